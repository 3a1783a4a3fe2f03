"""The metastable switch: the pair of the published MIF neuron, and Knowm's device."""

from memspike.devices.metastable_switch import MetastableSwitch
from memspike.devices.presets.preset import preset


@preset("mif-pair", MetastableSwitch.source)
def mif_pair() -> MetastableSwitch:
    """The volatile memristor of the published MIF neuron: 1 kΩ / 100 kΩ, on at 110 mV, off below 5 mV, 1 ms."""
    return MetastableSwitch()


@preset("knowm", MetastableSwitch.source)
def knowm() -> MetastableSwitch:
    """Knowm's default mean metastable switch: 500 Ω / 1.5 kΩ, ±270 mV, 0.1 ms, thermal voltage at 298.5 K."""
    return MetastableSwitch(r_on=500.0, r_off=1500.0, v_on=0.27, v_off=-0.27, v_scale=25.7227e-3, tau=1e-4)
