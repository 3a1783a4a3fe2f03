"""MEMprop on Fashion-MNIST."""

from memspike.experiments.base import register
from memspike.experiments.memprop_digits import memprop

memprop_fashion = register(
    memprop(
        "memprop-fashion",
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
    ),
    "MIF network 784-400-10 on Fashion-MNIST",
)
