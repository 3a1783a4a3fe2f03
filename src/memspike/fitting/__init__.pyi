from .fit import Candidate as Candidate
from .fit import Estimate as Estimate
from .fit import Fit as Fit
from .fit import fit as fit
from .measurements import Measurements as Measurements
