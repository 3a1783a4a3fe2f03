"""How cells share wires and how they answer while they are read."""

from memspike.arrays.crossbar import Crossbar as Crossbar
from memspike.arrays.rows import DynamicalRows as DynamicalRows
from memspike.arrays.rows import StaticRows as StaticRows
from memspike.arrays.solution import Currents as Currents
from memspike.arrays.solution import Solution as Solution
from memspike.arrays.solution import Voltages as Voltages
from memspike.arrays.solution import solve as solve
from memspike.arrays.solution import transfer as transfer
