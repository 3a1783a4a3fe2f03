"""SPICE: devices, neurons, crossbars and whole trained networks as circuits that ngspice runs, and the comparison."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
