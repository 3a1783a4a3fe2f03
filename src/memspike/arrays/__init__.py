"""How cells share wires and how they answer while they are read."""

from memspike.arrays.crossbar import Crossbar as Crossbar
from memspike.arrays.rows import DynamicalRows as DynamicalRows
from memspike.arrays.rows import StaticRows as StaticRows
