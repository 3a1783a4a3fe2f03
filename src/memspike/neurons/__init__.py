"""Neurons: current → membrane voltage."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

from memspike.neurons.presets import mif as mif  # not when used: the file mif.py would take the name
