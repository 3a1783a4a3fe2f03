"""Measured files → devices: readers, likelihoods, candidates, fit."""

from memspike.fitting.fit import Candidate as Candidate
from memspike.fitting.fit import Estimate as Estimate
from memspike.fitting.fit import Fit as Fit
from memspike.fitting.fit import fit as fit
from memspike.fitting.measurements import Measurements as Measurements
