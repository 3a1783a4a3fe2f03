"""The contracts of a device, whatever its kind."""

from memspike.devices.base import AbstractDevice, AbstractPulseDevice, AbstractRelaxingDevice, AbstractStateDevice
from memspike.testing.pulse_device import check_pulse_device
from memspike.testing.relaxing_device import check_relaxing_device
from memspike.testing.state_device import check_state_device


def check_device(device: AbstractDevice) -> None:
    """The contracts of whatever kind of device this is."""
    if isinstance(device, AbstractPulseDevice):
        check_pulse_device(device)
    elif isinstance(device, AbstractRelaxingDevice):
        check_relaxing_device(device)
    elif isinstance(device, AbstractStateDevice):
        check_state_device(device)
    else:
        raise AssertionError(f"{type(device).__name__} is neither a pulse device nor a state device")
