"""MEMprop on spoken digits: memristive neurons hear an utterance frame by frame.

Assumed: the utterance is stored and played at the time scale of the circuit: each of its 16 frames, on average 22 ms of
speech, lasts `encoder.interval` = 50 µs. A delay line gives every frame rows of its own, driven by one pulse at the
time of the frame and at 0 V otherwise: the first crossbar has 16 × 24 rows and the bias row, which is driven at every
frame. The output membranes are read after the last frame. `encoder=channels` does without the delay line: 24 rows and
the bias row hear one frame after the other, and the membranes alone remember.
"""

from memspike.experiments import speakers
from memspike.experiments.base import register
from memspike.experiments.memprop_digits import memprop

REFERENCE = "no figure is published for MIF neurons; logistic regression on 20 log-mel bands × 10 frames: 95.7 %"

memprop_spoken = register(
    memprop(
        "memprop-spoken",
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
    ),
    "MIF network 384-64-10 on spoken digits, frame by frame; data.leave_out=SPEAKER for a new speaker",
)

memprop_spoken_speakers = register(
    speakers.study(
        memprop_spoken,
        "memprop-spoken-speakers",
        quick={"training.epochs": 2, "evaluation.chips": 2, "evaluation.fine_dt": 50e-6},
        expected=0.78,
        expected_quick=0.63,
        reference=REFERENCE + ", 54 to 90 % for a speaker left out",
    ),
    "memprop-spoken with each of the six speakers left out of the training in turn",
)
