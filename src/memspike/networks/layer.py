"""One layer: a crossbar, what reading does to it, a synaptic filter and a population of neurons."""

import equinox as eqx

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.rows import AbstractRows, StaticRows
from memspike.neurons.base import AbstractNeuron
from memspike.neurons.filters import AbstractFilter, AlphaFilter
from memspike.neurons.mif import MIF


class Layer(eqx.Module):
    """Row voltages → crossbar currents → filter → membranes; `shape` is (rows, columns)."""

    shape: tuple[int, int] = eqx.field(static=True)
    crossbar: Crossbar = eqx.field(default_factory=Crossbar)
    rows: AbstractRows = eqx.field(default_factory=StaticRows)
    filter: AbstractFilter = eqx.field(default_factory=AlphaFilter)
    neuron: AbstractNeuron = eqx.field(default_factory=MIF)
