"""Doors to other programs: networks in their formats, and networks as theirs. Nothing below imports this package."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
