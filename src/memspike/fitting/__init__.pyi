from .candidate import Candidate as Candidate
from .candidate import Estimate as Estimate
from .fit import Fit as Fit
from .fit import fit as fit
from .measurements import Measurements as Measurements
from .table import Trace as Trace
