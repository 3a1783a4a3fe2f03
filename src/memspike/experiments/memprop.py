"""MEMprop: fully memristive networks learn images and speech by backpropagation through their devices."""

from functools import partial
from typing import Any

from memspike.experiments import speakers
from memspike.experiments.base import classifier

# what all experiments with backpropagation through MIF neurons share
MEMPROP: dict[str, Any] = {
    "encoder": {"type": "image"},
    "network": {"type": "feedforward"},
    "neuron": {"type": "mif"},
    "synapse": {
        "type": "differential-pair",
        "device": {"type": "constant-step", "g_min": 10e-6, "g_max": 100e-6},
    },
    "array": {"drive": {"up": {"energy": 10e-12, "width": 0.0}, "down": {"energy": 10e-12, "width": 0.0}}},
    "learning": {
        "rule": {"type": "bptt"},
        "scheme": {"type": "ideal"},
        "optimizer": {"type": "adamw"},
        "objective": {"type": "windowed"},
        "start": {"type": "exact", "gain": 0.5},
    },
    "training": {"order": {"type": "by-steps"}, "epochs_together": 1, "checkpoint_every": 1000},
    "evaluation": {"chips": 20, "fine_dt": 10e-6},
}
memprop = partial(classifier, kind="membranes")


memprop_digits = memprop(
    "memprop-digits",
    "MIF network 64-64-10 on 8×8 digits; the demo",
    MEMPROP,
    {
        "data": {"name": "digits"},
        "network": {"layers": [{"size": 64}]},
        "augment": {"shift": 0.3},
        "learning": {"rule": {"weight_noise": 0.1}, "optimizer": {"learning_rate": 10e-3}},
        "training": {"epochs": 40, "batch": 32, "checkpoint_every": 400},
    },
    quick={"training.epochs": 8},
    expected=0.985,
    expected_quick=0.97,
    reference="MEMprop, arXiv 2206.12992; no figure is published for this data set",
)

memprop_mnist = memprop(
    "memprop-mnist",
    "MIF network 784-100-10 on MNIST; network.layers=[400] for the large one",
    MEMPROP,
    {
        "data": {"name": "mnist"},
        "encoder": {"read_voltage": 0.2},
        "network": {"layers": [{"size": 100}]},
        "augment": {"shift": 0.5},
        "learning": {"optimizer": {"learning_rate": 2e-3}},
        "training": {"epochs": 20},
    },
    quick={"training.epochs": 1, "data.train": 12800, "data.test": 2000, "evaluation.chips": 5},
    expected=0.985,
    expected_quick=0.89,
    reference="SPICEprop, arXiv 2203.01426: 97.58 % (hidden layer ReLU, MIF neurons at the output only)",
)

# Every convolution is one array of 5 × 5 pixels and a bias row, read for 28 × 28 and 14 × 14 positions; the currents of
# 2 × 2 of them are averaged. In all 4,704 neurons and 28,906 pairs of devices.
CONVOLUTION = {"type": "convolution", "kernel": 5, "padding": 2, "pool": 2}

CONVOLUTIONAL: dict[str, Any] = {
    "encoder": {"read_voltage": 0.2},
    "network": {"layers": [{"size": 16, "connection": CONVOLUTION}, {"size": 32, "connection": CONVOLUTION}]},
    "learning": {"optimizer": {"learning_rate": 4e-3}, "start": {"gain": 1.0}},
    "simulation": {"dt": 100e-6},
    "training": {"epochs": 10},
    "evaluation": {"at_once": 100},
}
CONVOLUTIONAL_QUICK = {
    "network.layers.0.size": 8,
    "network.layers.1.size": 16,
    "training.epochs": 1,
    "training.batch": 64,
    "data.train": 6400,
    "data.test": 500,
    "evaluation.chips": 2,
    "evaluation.fine_dt": 25e-6,
}

memprop_conv_mnist = memprop(
    "memprop-conv-mnist",
    "two convolutional layers of MIF neurons and a dense one on MNIST",
    MEMPROP,
    CONVOLUTIONAL,
    {"data": {"name": "mnist"}, "augment": {"shift": 0.5}},
    quick=CONVOLUTIONAL_QUICK,
    expected=0.992,
    expected_quick=0.91,
    reference="no figure is published for convolutional MIF networks; MEMprop, arXiv 2206.12992, is dense",
)

memprop_conv_fashion = memprop(
    "memprop-conv-fashion",
    "two convolutional layers of MIF neurons and a dense one on Fashion-MNIST",
    MEMPROP,
    CONVOLUTIONAL,
    {"data": {"name": "fashion-mnist"}, "encoder": {"offset": 0.286}, "augment": {"mirror": True}},
    quick=CONVOLUTIONAL_QUICK,
    expected=0.9,
    expected_quick=0.78,
    reference="no figure is published for convolutional MIF networks; SPICEprop, arXiv 2203.01426, dense: 75.26 %",
)

memprop_fashion = memprop(
    "memprop-fashion",
    "MIF network 784-400-10 on Fashion-MNIST",
    MEMPROP,
    {
        "data": {"name": "fashion-mnist"},
        "encoder": {"read_voltage": 0.2, "offset": 0.286},
        "network": {"layers": [{"size": 400}]},
        "augment": {"mirror": True},
        "learning": {"optimizer": {"learning_rate": 2e-3}, "start": {"gain": 1.0}},
        "training": {"epochs": 25},
    },
    quick={"training.epochs": 1, "data.train": 12800, "data.test": 2000, "evaluation.chips": 5},
    expected=0.896,
    expected_quick=0.82,
    reference="SPICEprop, arXiv 2203.01426: 75.26 %",
)

# Inputs as trains of row pulses of one height over 5 ms, and a price of membranes that leave the range of the published
# waveforms: the neurons answer with several spikes of their size.
SPIKES: dict[str, Any] = {
    "encoder": {"type": "pulse-rate", "pulses": 8, "interval": 600e-6, "read_voltage": 0.1},
    "network": {"input_filter": {"tau": 100e-6}, "filter": {"tau": 300e-6}},
    "learning": {
        "rule": {"swing": 65e-3, "swing_weight": 30.0},
        "objective": {"start": 0.1},
        "optimizer": {"learning_rate": 6e-3},
    },
    "simulation": {"duration": 5e-3},
    "evaluation": {"at_once": 250},
}
# twice as many pulses of half the height
SIXTEEN: dict[str, Any] = {
    "encoder": {"pulses": 16, "interval": 300e-6, "read_voltage": 0.05},
    "learning": {"objective": {"temperature": 2e-3}, "optimizer": {"learning_rate": 4e-3}},
    "simulation": {"dt": 100e-6},
}
SPIKING = "MEMprop, arXiv 2206.12992; the trains of pulses and the range are our own choice"

memprop_digits_spikes = memprop(
    "memprop-digits-spikes",
    "memprop-digits with inputs as spike trains over 5 ms, in the range of the published waveforms",
    MEMPROP,
    {
        "data": {"name": "digits"},
        "network": {"layers": [{"size": 64}]},
        "augment": {"shift": 0.3},
        "learning": {"rule": {"weight_noise": 0.1}},
        "training": {"epochs": 30, "batch": 32, "checkpoint_every": 400},
    },
    SPIKES,
    quick={"training.epochs": 6, "evaluation.chips": 2, "evaluation.fine_dt": 25e-6},
    expected=0.98,
    expected_quick=0.95,
    reference=SPIKING,
)

memprop_mnist_spikes = memprop(
    "memprop-mnist-spikes",
    "memprop-mnist with inputs as spike trains over 5 ms; network.layers=[400] for the large one",
    MEMPROP,
    {
        "data": {"name": "mnist"},
        "network": {"layers": [{"size": 100}]},
        "augment": {"shift": 0.5},
        "training": {"epochs": 8},
    },
    SPIKES,
    SIXTEEN,
    quick={
        "training.epochs": 1,
        "data.train": 9600,
        "data.test": 500,
        "evaluation.chips": 2,
        "evaluation.fine_dt": 25e-6,
    },
    expected=0.98,
    expected_quick=0.85,
    reference=SPIKING,
)

memprop_fashion_spikes = memprop(
    "memprop-fashion-spikes",
    "memprop-fashion with inputs as spike trains over 5 ms",
    MEMPROP,
    {
        "data": {"name": "fashion-mnist"},
        "network": {"layers": [{"size": 400}]},
        "augment": {"mirror": True},
        "training": {"epochs": 10},
    },
    SPIKES,
    SIXTEEN,
    quick={
        "network.layers.0.size": 100,
        "training.epochs": 1,
        "data.train": 9600,
        "data.test": 500,
        "evaluation.chips": 2,
        "evaluation.fine_dt": 25e-6,
    },
    expected=0.885,
    expected_quick=0.75,
    reference=SPIKING,
)

# Assumed: an utterance is stored and played at the time scale of the circuit: each of its 16 frames, 22 ms of speech on
# average, lasts `encoder.interval` = 50 µs. A delay line gives every frame rows of its own, driven by one pulse at the
# time of the frame and at 0 V otherwise: the first crossbar has 16 × 24 rows and the bias row, which is driven at every
# frame. The output membranes are read after the last frame. `encoder=channels` does without the delay line: 24 rows and
# the bias row hear one frame after the other, and the membranes alone remember.
REFERENCE = "no figure is published for MIF neurons; logistic regression on 20 log-mel bands × 10 frames: 95.7 %"

memprop_spoken = memprop(
    "memprop-spoken",
    "MIF network 384-64-10 on spoken digits, frame by frame; data.leave_out=SPEAKER for a new speaker",
    MEMPROP,
    {
        "data": {"name": "spoken-digits"},
        "encoder": {"type": "frames", "interval": 50e-6, "read_voltage": 0.2},
        "network": {"layers": [{"size": 64}]},
        "augment": {"shift": 0.3},
        "learning": {
            "rule": {"weight_noise": 0.1},
            "optimizer": {"learning_rate": 5e-3},
            "objective": {"start": 0.65, "stop": 1.0},
        },
        "simulation": {"duration": 1.2e-3},
        "training": {"epochs": 30, "batch": 100, "label_smoothing": 0.1},
    },
    quick={"training.epochs": 6, "evaluation.chips": 5, "evaluation.fine_dt": 25e-6},
    expected=0.99,
    expected_quick=0.95,
    reference=REFERENCE,
)

memprop_spoken_spikes = memprop(
    "memprop-spoken-spikes",
    "memprop-spoken with every frame as trains of four pulses, 0.1 ms apart, over 6.4 ms",
    MEMPROP,
    {
        "data": {"name": "spoken-digits"},
        "network": {"layers": [{"size": 64}]},
        "augment": {"shift": 0.3},
        "learning": {"rule": {"weight_noise": 0.1}},
        "training": {"epochs": 30, "batch": 100, "label_smoothing": 0.1},
    },
    SPIKES,
    {
        "encoder": {"type": "frame-pulse-rate", "pulses": 4, "interval": 100e-6},
        "network": {"filter": {"tau": 2e-3}},
        "simulation": {"duration": 7e-3},
        "learning": {"objective": {"start": 0.65, "temperature": 1e-3}},
    },
    quick={"training.epochs": 6, "evaluation.chips": 2, "evaluation.fine_dt": 25e-6},
    expected=0.98,
    expected_quick=0.94,
    reference=REFERENCE,
)

memprop_spoken_speakers = speakers.study(
    memprop_spoken,
    "memprop-spoken-speakers",
    "memprop-spoken with each of the six speakers left out of the training in turn",
    quick={"training.epochs": 2, "evaluation.chips": 2, "evaluation.fine_dt": 50e-6},
    expected=0.78,
    expected_quick=0.62,
    reference=REFERENCE + ", 54 to 90 % for a speaker left out",
)
