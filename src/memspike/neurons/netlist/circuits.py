"""Three circuits as decks: the published MIF neuron, an oscillator with a hard switch, a neuron of two memristors."""

from typing import Any

from memspike.neurons.netlist.deck import parse_deck
from memspike.neurons.netlist.neuron import Netlist

MIF_DECK = """MIF neuron: a capacitor and two volatile memristors, one in series with 50 mV
C1  v  0  1n
X1  v  0  mif-pair
X2  v  e2 mif-pair
VE2 e2 0  50m
.end
"""

PEARSON_ANSON_DECK = """Pearson-Anson oscillator: a threshold switch with hysteresis beside a capacitor
VS   supply 0 2
RL   supply v 3k
C1   v 0 100p ic=0
S1   v 0 v 0 nbo2
.model nbo2 sw(vt=0.505 vh=0.205 ron=300 roff=20k)
.end
"""

TWO_MEMRISTORS_DECK = """Two NbO2 threshold switches with opposite supplies: channels of a Hodgkin-Huxley neuron
X1   a nsup nbo2
VN   nsup 0 -0.66
C1   a 0 200p
RL1  a 0 10k
RL2  a b 1.5k
C2   b 0 50p
X2   b psup nbo2
VP   psup 0 0.66
.end
"""


def mif_netlist(**options: Any) -> Netlist:
    """The published MIF neuron as a netlist, equal to `mif()`.

    `options` are fields of `Netlist`, such as substeps. InputError for options that do not fit the circuit.

    Source: Kang et al., IEEE TCAS-I 68(12): 4837 (2021), doi 10.1109/TCSI.2021.3126555.
    """
    return Netlist(parse_deck(MIF_DECK), **options)


def pearson_anson(**options: Any) -> Netlist:
    """A relaxation oscillator of a supply, 3 kΩ, 100 pF and a switch that is on above 0.71 V and off below 0.3 V.

    `options` are fields of `Netlist`, such as substeps. InputError for options that do not fit the circuit.

    8 MHz; steps of 2.5 ns. Both voltages are those between which the library's NbO2 switch oscillates; the resistances
    of the switch are an example. Source of the circuit: Pearson & Anson, Proc. Phys. Soc. Lond. 34: 175 (1921).
    """
    return Netlist(parse_deck(PEARSON_ANSON_DECK), **options)


def two_memristor_neuron(**options: Any) -> Netlist:
    """A neuron of two NbO2 threshold switches with opposite supplies; the input enters at `a`, spikes leave at `b`.

    `options` are fields of `Netlist`, such as substeps. InputError for options that do not fit the circuit.

    Silent below some 50 µA, then spikes of 0.3 V, faster with more current; steps of 0.25 ns. A **reconstruction**: the
    circuit is that of Pickett, Medeiros-Ribeiro & Williams, Nature Materials 12: 114 (2013), doi 10.1038/nmat3510, the
    device the library's `nbo2`, whose parameters no source confirms, and the supplies, resistors and capacitors were
    chosen so that it spikes with that device.
    """
    options = {"input": "a", "membrane": "b"} | options
    return Netlist(parse_deck(TWO_MEMRISTORS_DECK), **options)
