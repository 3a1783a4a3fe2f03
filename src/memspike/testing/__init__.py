"""Contract suites: what every device, neuron, filter, readout, rule and scheme must keep.

Call them on your own part; each raises AssertionError with what was broken. They run on every registered
part in the library's own tests. Gradients are compared with finite differences, so each suite switches 64 bit on for
itself, and off again.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
