"""Devices: v and time → conductance; one published model a file, presets as values."""

from memspike.devices.base import AbstractDevice as AbstractDevice
from memspike.devices.base import AbstractStateDevice as AbstractStateDevice
from memspike.devices.metastable_switch import MetastableSwitch as MetastableSwitch
from memspike.devices.presets import knowm as knowm
from memspike.devices.presets import mif_pair as mif_pair
