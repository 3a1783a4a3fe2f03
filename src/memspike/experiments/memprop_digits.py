"""The demo: a fully memristive network learns handwritten digits by backpropagation through its devices."""

from memspike.experiments.base import Experiment, register
from memspike.experiments.config import (
    DataConfig,
    ExperimentConfig,
    NetworkConfig,
    TrainingConfig,
)

memprop_digits = register(
    Experiment(
        ExperimentConfig(
            experiment="memprop-digits",
            data=DataConfig(name="digits"),
            network=NetworkConfig(hidden=(64,)),
            training=TrainingConfig(
                epochs=40, batch=32, learning_rate=10e-3, weight_noise=0.1, shift=0.3, checkpoint_every=400
            ),
        ),
        quick={"training.epochs": 8},
        expected=0.985,
        expected_quick=0.97,
        reference="MEMprop, arXiv 2206.12992; no figure is published for this data set",
    ),
    "MIF network 64-64-10 on the digits of scikit-learn; the demo",
)
