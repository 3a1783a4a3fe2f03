from . import aihwkit as aihwkit
from . import catalogue as catalogue
from . import neurosim as neurosim
from . import published as published
