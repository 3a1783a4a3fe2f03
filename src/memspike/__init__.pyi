from . import arrays as arrays
from . import cells as cells
from . import data as data
from . import devices as devices
from . import experiments as experiments
from . import fitting as fitting
from . import learning as learning
from . import networks as networks
from . import neurons as neurons
from . import report as report
from . import testing as testing
from .experiments.trained import load as load
from .parts.errors import InputError as InputError
from .parts.errors import RunError as RunError
from .parts.parallel import use_cores as use_cores
from .parts.param import Meta as Meta
from .parts.param import Parameter as Parameter
from .parts.param import option as option
from .parts.param import param as param
from .parts.param import parameters as parameters
from .parts.param import part as part
from .parts.register import register as register

__version__: str
