"""Experiments: one file = one published figure, table or study."""

from memspike.experiments.aging import Aged as Aged
from memspike.experiments.aging import Plan as Plan
from memspike.experiments.aging import inference_over_time as inference_over_time
from memspike.experiments.base import Experiment as Experiment
from memspike.experiments.memprop_digits import memprop_digits as memprop_digits
from memspike.experiments.memprop_fashion import memprop_fashion as memprop_fashion
from memspike.experiments.memprop_mnist import memprop_mnist as memprop_mnist
from memspike.experiments.settings import resolve as resolve
from memspike.experiments.start import run as run
from memspike.experiments.wire_study import wire_study as wire_study
