"""Devices: v, pulses and time → conductance; one published model a file, presets as values."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
