"""How devices make one signed weight."""

from memspike.cells.differential import DifferentialPair as DifferentialPair
from memspike.cells.differential import Pair as Pair
