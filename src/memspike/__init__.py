"""memspike: spiking neural networks made of memristive devices, simulated and trained."""

import lazy_loader

from memspike.parts import compiler_flags

compiler_flags.tell()

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.1.0"
