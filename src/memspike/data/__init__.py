"""Data sets, how they are had, and how pixels and frames become row voltages or spikes."""

from memspike.data.base import Dataset as Dataset
from memspike.data.cochlea import Cochlea as Cochlea
from memspike.data.digits import digits as digits
from memspike.data.encoders import AmplitudeEvents as AmplitudeEvents
from memspike.data.encoders import ChannelEvents as ChannelEvents
from memspike.data.encoders import FrameEvents as FrameEvents
from memspike.data.encoders import FrameSpikes as FrameSpikes
from memspike.data.evidence import evidence as evidence
from memspike.data.shapes import LatencySpikes as LatencySpikes
from memspike.data.shapes import shapes as shapes
from memspike.data.spoken import spoken_digits as spoken_digits
from memspike.data.store import load as load
