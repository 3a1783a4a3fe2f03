"""Contract suites: what every device, neuron, filter, readout, rule and scheme must keep.

Call them on your own part; each raises AssertionError with what was broken. They run on every registered
part in the library's own tests. Gradients are compared with finite differences, so call them with
`jax_enable_x64` on.
"""

from memspike.devices.base import AbstractDevice, AbstractPulseDevice, AbstractRelaxingDevice, AbstractStateDevice
from memspike.testing.common import check_compiles_once as check_compiles_once
from memspike.testing.common import check_parameters as check_parameters
from memspike.testing.common import check_serialisation as check_serialisation
from memspike.testing.parts import check_decolle_rule as check_decolle_rule
from memspike.testing.parts import check_eprop_rule as check_eprop_rule
from memspike.testing.parts import check_filter as check_filter
from memspike.testing.parts import check_local_rule as check_local_rule
from memspike.testing.parts import check_neuron as check_neuron
from memspike.testing.parts import check_readout as check_readout
from memspike.testing.parts import check_rule as check_rule
from memspike.testing.parts import check_scheme as check_scheme
from memspike.testing.parts import check_spiking_neuron as check_spiking_neuron
from memspike.testing.pulse_device import check_pulse_device as check_pulse_device
from memspike.testing.relaxing_device import check_relaxing_device as check_relaxing_device
from memspike.testing.state_device import check_state_device as check_state_device


def check_device(device: AbstractDevice) -> None:
    """The contracts of whatever kind of device this is."""
    if isinstance(device, AbstractPulseDevice):
        check_pulse_device(device)
    elif isinstance(device, AbstractStateDevice):
        check_state_device(device)
        if isinstance(device, AbstractRelaxingDevice):
            check_relaxing_device(device)
    else:
        raise AssertionError(f"{type(device).__name__} is neither a pulse device nor a state device")
