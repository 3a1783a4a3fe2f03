"""Rules turn activity and error into a wanted Δw; programming schemes turn Δw into device changes."""

from memspike.learning.losses import AbstractReadout as AbstractReadout
from memspike.learning.losses import SmoothMaximum as SmoothMaximum
from memspike.learning.losses import TimeMean as TimeMean
from memspike.learning.losses import Windowed as Windowed
from memspike.learning.programming.ideal import ideal as ideal
from memspike.learning.rules.bptt import bptt as bptt
