"""Neurons: current → membrane voltage."""

import lazy_loader

from memspike.neurons.mif import mif as mif  # not when used: the file mif.py would take the name

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
