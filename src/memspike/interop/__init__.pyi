from . import spice as spice
