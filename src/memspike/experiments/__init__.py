"""Experiments: one file = one published figure, table or study."""

from memspike.experiments.base import Experiment as Experiment
from memspike.experiments.memprop_digits import memprop_digits as memprop_digits
from memspike.experiments.memprop_fashion import memprop_fashion as memprop_fashion
from memspike.experiments.memprop_mnist import memprop_mnist as memprop_mnist
from memspike.experiments.run import run as run
from memspike.experiments.settings import resolve as resolve
