"""How devices make one signed weight."""

from memspike.cells.base import AbstractCell as AbstractCell
from memspike.cells.base import CellState as CellState
from memspike.cells.base import Worth as Worth
from memspike.cells.differential import DifferentialPair as DifferentialPair
from memspike.cells.multi import GlobalCounter as GlobalCounter
from memspike.cells.multi import MultiDevice as MultiDevice
from memspike.cells.multi import PerSynapse as PerSynapse
from memspike.cells.refresh import Refresh as Refresh
from memspike.cells.refresh import Refreshed as Refreshed
from memspike.cells.single import SingleReference as SingleReference
from memspike.cells.single import at_symmetry_point as at_symmetry_point
from memspike.cells.single import midpoint as midpoint
from memspike.cells.slices import BitSliced as BitSliced
from memspike.cells.write import Alternate as Alternate
from memspike.cells.write import BothSides as BothSides
from memspike.cells.write import OneSided as OneSided
