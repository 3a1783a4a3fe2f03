"""Layers, networks and the one time loop."""

from memspike.networks.associative import Associative as Associative
from memspike.networks.competitive import Competitive as Competitive
from memspike.networks.competitive import Episode as Episode
from memspike.networks.feedforward import Feedforward as Feedforward
from memspike.networks.feedforward import feedforward as feedforward
from memspike.networks.layer import Layer as Layer
from memspike.networks.local import Local as Local
from memspike.networks.local import LocalLayer as LocalLayer
from memspike.networks.local import LocalNetwork as LocalNetwork
from memspike.networks.local import Traces as Traces
from memspike.networks.local import local_network as local_network
from memspike.networks.recurrent import Activity as Activity
from memspike.networks.recurrent import Clock as Clock
from memspike.networks.recurrent import Reading as Reading
from memspike.networks.recurrent import Readings as Readings
from memspike.networks.recurrent import Recurrent as Recurrent
from memspike.networks.recurrent import clock as clock
from memspike.networks.simulate import Events as Events
from memspike.networks.simulate import simulate as simulate
