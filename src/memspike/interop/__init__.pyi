from .spice_cards import DeviceCard as DeviceCard
from .spice_cards import device_from_card as device_from_card
