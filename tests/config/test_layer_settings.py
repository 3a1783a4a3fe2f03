"""Layers of a configuration: what they come to, and what is refused before anything is written."""

import re
from typing import Any

import numpy as np
import pytest

import memspike as ms
from memspike.config.build import classifier, network_of
from memspike.config.resolve import written
from memspike.experiments import resolve
from memspike.networks import Convolution

CONVOLUTION = "network.layers.0.connection=convolution"
SMALL = ("data.train=64", "data.test=20", "training.epochs=1", "evaluation.chips=0", "evaluation.fine_dt=none")


def settings_of(*changes, name="memprop-digits"):
    return resolve(name, [*SMALL, *changes]).settings


def network(*changes, inputs=65, image=(8, 8)) -> Any:
    return network_of(settings_of(*changes), inputs, 10, image=image)


def test_images_go_from_layer_to_layer():
    found = network(
        "network.layers=[4,6,5]",
        CONVOLUTION,
        "network.layers.0.connection.padding=1",
        "network.layers.0.connection.pool=2",
        "network.layers.1.connection={type='convolution', kernel=2, stride=2}",
        "network.layers.2.sources=[input, 0, 1]",
        "network.layers.2.bias=false",
    )
    assert [layer.map for layer in found.layers] == [(4, 4, 4), (2, 2, 6), (5,), (10,)]
    assert found.shapes == ((9 + 1, 4), (4 * 4, 6), (64 + 64 + 24, 5), (5, 10))
    assert [layer.sources for layer in found.layers] == [None, None, (-1, 0, 1), None]
    colours = network(CONVOLUTION, "network.layers=[3]", CONVOLUTION, inputs=49, image=(4, 4, 3))
    assert colours.shapes[0] == (27 + 1, 3)


def test_rows_of_bias_and_recurrence():
    found = network("network.layers=[6,5]", "network.layers.0.bias=false", "network.layers.1.bias=true")
    assert found.shapes == ((64, 6), (7, 5), (5, 10))
    assert found.layers[1].bias == settings_of().network.bias_voltage
    again = network("network.layers=[6]", "network.layers.0.recurrent=true", "network.layers.0.bias=true")
    assert again.shapes == ((65, 6), (6, 6), (6, 10))
    assert again.names[1] == "layer 1 recurrent"
    assert again.layers[0].bias is None, "the bias row of the input is there already"


def test_first_weights_have_the_fan_in_of_the_kernel():
    import jax

    found = network("network.layers=[40]", CONVOLUTION, "network.layers.0.connection.kernel=5")
    w = found.init_weights(1.0, key=jax.random.key(0))[0]
    assert w.shape == (26, 40)
    assert float(w.std()) == pytest.approx(1 / np.sqrt(26), rel=0.1)


def test_a_configuration_of_layers_is_written_and_read_again():
    changes = [CONVOLUTION, "network.layers.1.size=7", "network.layers.1.sources=[input,0]"]
    changes += ["network.layers.1.recurrent=true", "network.layers.1.neuron=lif"]
    changes += ["network.layers.1.neuron.tau=[1ms,2ms,3ms,4ms,5ms,6ms,7ms]"]
    given = settings_of(*changes)
    tables = written(given)
    first, second = tables["network"]["layers"]
    assert first["connection"] == {"type": "convolution", "kernel": 3, "stride": 1, "padding": 0, "pool": 1}
    assert second["sources"] == ["input", 0]
    np.testing.assert_allclose(second["neuron"]["tau"], np.arange(1, 8) * 1e-3)
    assert isinstance(given.network.layers[0].connection, Convolution)


def gains(*changes):
    return [float(layer.input_gain) for layer in network(*changes).layers]


def test_the_gain_of_row_pulses_is_a_number_of_the_configuration():
    """tau of the filter over the width of a pulse, of every layer that the input drives, unless it is given."""
    assert settings_of().network.input_gain == written(settings_of())["network"]["input_gain"] == 30.0
    assert gains() == [30.0, 1.0]
    assert gains("encoder.width=20us") == [15.0, 1.0]
    assert gains("network.input_gain=30", "encoder.width=20us") == [30.0, 1.0], "twice the charge"
    assert gains("network.input_filter.tau=50us") == [5.0, 1.0]
    skips = ("network.layers=[6,5]", "network.layers.1.sources=[input,0]")
    assert gains(*skips) == [30.0, 10.0, 1.0]
    assert gains(*skips, "network.input_gain=7") == [7.0, 7.0, 1.0]
    own = ("network.layers=[6]", "network.layers.0.filter={type='exponential', tau='20us'}")
    assert gains(*own) == [2.0, 1.0]
    assert gains(*own, "network.layers.0.input_gain=4") == [4.0, 1.0]
    again = settings_of(*skips)
    assert written(again)["network"]["layers"][1]["input_gain"] == 10.0
    assert settings_of("encoder=image-rate").network.input_gain is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (("encoder=image-rate", "network.input_gain=30"), "network.input_gain is 30, but the encoder sends no row"),
        (
            ("encoder=image-rate", "network.layers.0.input_gain=2"),
            "network.layers.0.input_gain is 2, but the encoder sends no row",
        ),
        (("network=recurrent", "neuron=lif", "network.layers.0.input_gain=2"), "this network is recurrent"),
        ((CONVOLUTION, "network.layers.0.connection.kernel=11"), "kernel of 11 × 11 is larger than the image of 8 × 8"),
        ((CONVOLUTION, "network.layers.0.connection.kernel=0"), "network.layers.0.connection.kernel is 0"),
        ((CONVOLUTION, "encoder=channels"), "what drives it has 8 neurons"),
        ((CONVOLUTION, "network.reading=dynamical"), "need an array of their own for every position"),
        (("network.layers.1.connection=convolution",), "what drives it has 64 neurons"),
        ((CONVOLUTION, "network.layers=[]", CONVOLUTION), "the last layer must be dense"),
        (("network.layers.0.sources=[0]",), "network.layers.0.sources is [0]; allowed: -1 (or input)"),
        (("network.layers.1.size=4", "network.layers.1.sources=[5]"), "allowed: -1 (or input) to 0"),
        (("network.layers.1.size=4", "network.layers.1.sources=[]"), "network.layers.1.sources is []"),
        (("network.layers.0.neuron=lif", "network.layers.0.neuron.tau=[1ms,2ms]"), "neuron.tau has 2 values; 1 or 64"),
        (("neuron=lif", "network.layers.1.recurrent=true"), "its spiking neurons integrate and do not fire"),
        (("network=recurrent", "neuron=lif", "network.layers.0.recurrent=true"), "this network is recurrent"),
        (("network.layers.0.recurrent=3",), "true or false is needed"),
        (("network.layers.0.loops=true",), "the layer is not recurrent"),
    ],
)
def test_impossible_layers_are_refused_in_one_sentence(changes, words):
    with pytest.raises(ms.InputError, match=re.escape(words)) as error:
        classifier(settings_of(*changes))
    assert str(error.value).endswith(".")
    assert ". " not in str(error.value).replace("network.", "")
