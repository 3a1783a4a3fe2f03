"""All parameter sets of devices: importing this fills the registry."""

from memspike.devices.presets import aihwkit as aihwkit
from memspike.devices.presets import hermes as hermes
from memspike.devices.presets import joshi as joshi
from memspike.devices.presets import laws as laws
from memspike.devices.presets import metastable as metastable
from memspike.devices.presets import neurosim as neurosim
from memspike.devices.presets import pcm as pcm
from memspike.devices.presets import vteam as vteam
from memspike.parts.registry import DEVICES as DEVICES
