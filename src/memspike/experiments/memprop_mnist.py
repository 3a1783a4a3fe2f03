"""MEMprop on MNIST: every layer memristive integrate-and-fire neurons behind RRAM pairs."""

from memspike.experiments.base import Experiment, register
from memspike.experiments.config import DataConfig, ExperimentConfig, InputConfig, NetworkConfig, TrainingConfig

memprop_mnist = register(
    Experiment(
        ExperimentConfig(
            experiment="memprop-mnist",
            data=DataConfig(name="mnist"),
            input=InputConfig(read_voltage=0.2),
            network=NetworkConfig(hidden=(100,)),
            training=TrainingConfig(epochs=20, learning_rate=2e-3, shift=0.5),
        ),
        quick={"training.epochs": 1, "data.train": 12800, "data.test": 2000, "evaluation.chips": 5},
        expected=0.985,
        expected_quick=0.89,
        reference="SPICEprop, arXiv 2203.01426: 97.58 % (hidden layer ReLU, MIF neurons at the output only)",
    ),
    "MIF network 784-100-10 on MNIST; network.hidden=[400] for the large one",
)
