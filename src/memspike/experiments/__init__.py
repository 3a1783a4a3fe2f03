"""Experiments: one file = one published figure, table or study."""

from memspike.experiments.aging import Aged as Aged
from memspike.experiments.aging import Plan as Plan
from memspike.experiments.aging import inference_over_time as inference_over_time
from memspike.experiments.asymmetry_study import asymmetry_devices as asymmetry_devices
from memspike.experiments.asymmetry_study import asymmetry_study as asymmetry_study
from memspike.experiments.base import Experiment as Experiment
from memspike.experiments.decolle import decolle_digits as decolle_digits
from memspike.experiments.decolle import decolle_mnist as decolle_mnist
from memspike.experiments.eprop_evidence import eprop_evidence as eprop_evidence
from memspike.experiments.eprop_spoken import eprop_spoken as eprop_spoken
from memspike.experiments.memory_retrieval import memory_retrieval as memory_retrieval
from memspike.experiments.memprop_digits import memprop_digits as memprop_digits
from memspike.experiments.memprop_fashion import memprop_fashion as memprop_fashion
from memspike.experiments.memprop_mnist import memprop_mnist as memprop_mnist
from memspike.experiments.memprop_spoken import memprop_spoken as memprop_spoken
from memspike.experiments.pcm_eprop import pcm_eprop as pcm_eprop
from memspike.experiments.pcm_eprop_studies import pcm_eprop_effects as pcm_eprop_effects
from memspike.experiments.pcm_eprop_studies import pcm_eprop_life as pcm_eprop_life
from memspike.experiments.pcm_eprop_table import pcm_eprop_table as pcm_eprop_table
from memspike.experiments.pcm_writes import pcm_writes as pcm_writes
from memspike.experiments.settings import resolve as resolve
from memspike.experiments.start import run as run
from memspike.experiments.stdp_patterns import stdp_patterns as stdp_patterns
from memspike.experiments.stdp_patterns import stdp_patterns_waveform as stdp_patterns_waveform
from memspike.experiments.tiki_taka_regression import tiki_taka_regression as tiki_taka_regression
from memspike.experiments.wire_study import wire_study as wire_study
