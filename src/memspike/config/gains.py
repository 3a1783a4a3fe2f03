"""The gain for row pulses, written down as a number where a configuration leaves it open."""

import dataclasses
from typing import Any

from memspike.config.networks import FeedforwardTopology, usual_gain
from memspike.config.sections import LayerSettings
from memspike.data.encoders import AbstractEvents


def with_gains(settings: Any) -> Any:
    """The settings with `network.input_gain` as a number where the encoder sends row pulses and none is given.

    It is `usual_gain` of the first layer; a later layer that the input drives, or one with a filter of its own, gets
    one of its own. Settings without such a network or encoder are returned as they are.
    """
    network, encoder = (getattr(settings, name, None) for name in ("network", "encoder"))
    if not (isinstance(network, FeedforwardTopology) and isinstance(encoder, AbstractEvents)):
        return settings
    if network.input_gain is not None:
        return settings

    def filled(k: int, layer: LayerSettings) -> LayerSettings:
        driven = k == 0 if layer.sources is None else any(s in (-1, "input") for s in layer.sources)
        if not driven or layer.input_gain is not None or (k == 0 and layer.filter is None):
            return layer
        return dataclasses.replace(layer, input_gain=usual_gain(layer.filter or network.filter, encoder.width))

    layers = tuple(filled(k, layer) for k, layer in enumerate(network.layers))
    gain = usual_gain(network.input_filter, encoder.width)
    return dataclasses.replace(settings, network=dataclasses.replace(network, layers=layers, input_gain=gain))
