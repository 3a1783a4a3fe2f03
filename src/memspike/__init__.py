"""memspike: spiking neural networks made of memristive devices, simulated and trained."""

from memspike import arrays as arrays
from memspike import cells as cells
from memspike import data as data
from memspike import devices as devices
from memspike import experiments as experiments
from memspike import fitting as fitting
from memspike import learning as learning
from memspike import networks as networks
from memspike import neurons as neurons
from memspike.parts.errors import InputError as InputError
from memspike.parts.errors import RunError as RunError
from memspike.parts.parallel import use_cores as use_cores
from memspike.parts.param import parameters as parameters

__version__ = "0.1.0"
