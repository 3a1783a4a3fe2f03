"""MEMprop on MNIST: every layer memristive integrate-and-fire neurons behind RRAM pairs."""

from memspike.experiments.base import register
from memspike.experiments.memprop_digits import memprop

memprop_mnist = register(
    memprop(
        "memprop-mnist",
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
    ),
    "MIF network 784-100-10 on MNIST; network.layers=[400] for the large one",
)
