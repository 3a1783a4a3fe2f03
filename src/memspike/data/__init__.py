"""Data sets, how they are had, and how pixels and frames become row voltages or spikes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
