"""Rules turn activity and error into a wanted Δw; programming schemes turn Δw into device changes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
