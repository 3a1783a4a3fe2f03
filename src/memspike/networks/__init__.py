"""Layers, networks and the one time loop."""

from memspike.networks.feedforward import Feedforward as Feedforward
from memspike.networks.feedforward import feedforward as feedforward
from memspike.networks.layer import Layer as Layer
from memspike.networks.simulate import Events as Events
from memspike.networks.simulate import simulate as simulate
