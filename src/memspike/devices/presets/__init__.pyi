from . import aihwkit as aihwkit
from . import neurosim as neurosim
from . import published as published
