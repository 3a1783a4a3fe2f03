"""Neurons: current → membrane voltage."""

from memspike.neurons.base import AbstractNeuron as AbstractNeuron
from memspike.neurons.driver import Driver as Driver
from memspike.neurons.filters import AlphaFilter as AlphaFilter
from memspike.neurons.filters import ExponentialFilter as ExponentialFilter
from memspike.neurons.integrators import forward_euler as forward_euler
from memspike.neurons.integrators import staggered_exponential as staggered_exponential
from memspike.neurons.lif import ALIF as ALIF
from memspike.neurons.lif import LIF as LIF
from memspike.neurons.lif import AbstractSpikingNeuron as AbstractSpikingNeuron
from memspike.neurons.lif import SpikingState as SpikingState
from memspike.neurons.mif import MIF as MIF
from memspike.neurons.mif import MIFState as MIFState
from memspike.neurons.observer import SpikeObserver as SpikeObserver
from memspike.neurons.presets import mif as mif
from memspike.neurons.presets import mif_gigaohm as mif_gigaohm
from memspike.neurons.presets import mif_megaohm as mif_megaohm
from memspike.neurons.presets import mif_symmetric as mif_symmetric
from memspike.neurons.relaxation import RelaxationOscillator as RelaxationOscillator
from memspike.neurons.relaxation import RelaxationState as RelaxationState
from memspike.neurons.relaxation import nbo2_oscillator as nbo2_oscillator
from memspike.neurons.relaxation import threshold_neuron as threshold_neuron
