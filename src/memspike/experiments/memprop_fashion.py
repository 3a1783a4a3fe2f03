"""MEMprop on Fashion-MNIST."""

from memspike.experiments.base import Experiment, register
from memspike.experiments.config import DataConfig, ExperimentConfig, InputConfig, NetworkConfig, TrainingConfig

memprop_fashion = register(
    Experiment(
        ExperimentConfig(
            experiment="memprop-fashion",
            data=DataConfig(name="fashion-mnist"),
            input=InputConfig(read_voltage=0.2, offset=0.286),
            network=NetworkConfig(hidden=(400,)),
            training=TrainingConfig(epochs=25, mirror=True, learning_rate=2e-3, init_gain=1.0),
        ),
        quick={"training.epochs": 1, "data.train": 12800, "data.test": 2000, "evaluation.chips": 5},
        expected=0.896,
        expected_quick=0.82,
        reference="SPICEprop, arXiv 2203.01426: 75.26 %",
    ),
    "MIF network 784-400-10 on Fashion-MNIST",
)
