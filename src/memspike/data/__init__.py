"""Data sets, how they are had, and how pixels become row voltages."""

from memspike.data.base import Dataset as Dataset
from memspike.data.digits import digits as digits
from memspike.data.encoders import AmplitudeEvents as AmplitudeEvents
from memspike.data.store import load as load
