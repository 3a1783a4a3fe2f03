"""All update schemes on phase-change memory, and what each imperfection of the devices costs them."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from memspike.experiments.base import Experiment, register
from memspike.experiments.online_config import OnlineConfig, StudyConfig
from memspike.experiments.pcm_eprop import BASE, REFERENCE, TUNED, generate, said
from memspike.experiments.run import Report, silent
from memspike.experiments.settings import changed
from memspike.parts.errors import unknown
from memspike.training.folder import RunFolder

# dotted keys of each line of the table: a scheme on its cell, and what scripts/tune_pcm_eprop.py found for it in 40
# trials on seeds 1000 and 1001, 120 epochs each; the released code keeps its own constants
SCHEMES: dict[str, dict[str, Any]] = {
    "fp32": {
        "learning.scheme": "fp32",
        "learning.rates": (2e-5, 5e-5, 2e-5),
        "learning.feedback_gain": 0.1,
        "learning.weight_gain": 0.1,
        "learning.rate_factor": 1.728,
        "learning.rate_weight": 1.747e-05,
        "neuron.theta": 0.1685,
    },
    "mixed-precision": {
        "device.shrink": 3.896,
        "learning.rate_factor": 1.18,
        "learning.rate_weight": 0.0003637,
        "neuron.theta": 0.2483,
    },
    "mixed-precision 4 a side": {"device.devices_per_side": 4},
    "stochastic": {
        "learning.scheme": "stochastic",
        "device.shrink": 3.959,
        "learning.rate_factor": 0.06965,
        "learning.rate_weight": 0.0003011,
        "neuron.theta": 0.3112,
    },
    "sign": {
        "learning.scheme": "sign",
        "device.shrink": 3.709,
        "learning.rate_factor": 2.599,
        "learning.rate_weight": 0.002552,
        "neuron.theta": 0.1618,
        "programming.dead_zone": 0.002154,
    },
    "multi 4 a side": {
        "learning.scheme": "multi",
        "device.devices_per_side": 4,
        "device.shrink": 0.8312,
        "learning.rate_factor": 2.732,
        "learning.rate_weight": 0.0001814,
        "neuron.theta": 0.1203,
    },
    "update-ready": {
        "learning.scheme": "update-ready",
        "device.shrink": 3.896,
        "learning.rate_factor": 1.18,
        "learning.rate_weight": 0.0003637,
        "neuron.theta": 0.2483,
    },
    "expected-step": {
        "learning.scheme": "expected-step",
        "device.shrink": 3.303,
        "learning.rate_factor": 2.413,
        "learning.rate_weight": 0.0001925,
        "neuron.theta": 0.2978,
    },
    "write-verify": {
        "learning.scheme": "write-verify",
        "device.shrink": 3.298,
        "learning.rate_factor": 0.8438,
        "learning.rate_weight": 0.0004792,
        "neuron.theta": 0.3996,
    },
    "released code": {
        "learning.scheme": "mixed-precision-released",
        "learning.released": True,
        "device.start": "read-noise",
        "device.shrink": 1.0,
        "neuron.theta": 0.19252357575425721,
        "learning.rate_factor": 1.0,
        "learning.rate_weight": 8.3827e-4,
    },
}
CONDITIONS: dict[str, dict[str, Any]] = {
    "full": {},
    "no write noise": {"device.write_noise": False},
    "no drift": {"device.drift": False},
    "no read noise": {"device.read_noise": False},
    "ideal 4 bit": {"device.bits": 4},
}


def wanted(kind: str, chosen: tuple[str, ...], known: dict[str, Any]) -> list[str]:
    """The chosen names, or all; InputError for an unknown one."""
    for name in chosen:
        if name not in known:
            raise unknown(kind, name, known)
    return list(chosen or known)


KEPT = ("mse_median", "mse_q1", "mse_q3", "diverged", "writes_per_device", "writes_most", "energy_j", "endurance_used")


class Line(NamedTuple):
    """A line of a table: what its row says, and the dotted keys that its training changes."""

    row: dict[str, str]
    settings: dict[str, Any]


def compare(
    config: OnlineConfig, out: Path, lines: list[Line], *, resume: bool = False, report: Report = silent
) -> dict[str, Any]:
    """Train every line with the same seeds; the folder holds one run folder a training.

    An interrupted study goes on where it was.
    """
    folder = RunFolder(out)
    folder.start(config, resume=resume)
    rows: list[dict[str, Any]] = []
    silence = 0.0
    for line in lines:
        own = changed(config, line.settings)
        where = out / "trainings" / "-".join(line.row.values()).replace(" ", "-").replace(",", "").replace("/", "")
        if (where / "result.json").exists():
            result = json.loads((where / "result.json").read_text())
        else:
            result = generate(own, where, resume=(where / "config.toml").exists(), report=report)
        silence = result["mse_silent"]
        rows.append({**line.row, **{key: result[key] for key in KEPT if key in result}})
        rows[-1] |= {key: result[key] for key in ("mse_first", "days") if key in result}
        rows[-1] |= {"rate_hz": result["rate_hz"], "seeds": config.seeds}
        folder.write_csv("table.csv", rows)
    found = {"experiment": config.experiment, "rows": rows, "mse_silent": silence}
    found |= {"seeds": config.seeds, "seed": config.seed, "epochs": config.learning.epochs}
    folder.write_json("result.json", found)
    return found


def compare_schemes(
    config: OnlineConfig, out: Path, *, resume: bool = False, report: Report = silent
) -> dict[str, Any]:
    """Train every scheme under every condition with the same seeds.

    A condition changes the devices, so that digital weights have one line. The weights start with a random SET on some
    synapses, so that also a network whose reads have no noise is active.
    """
    schemes = wanted("scheme of the table", config.study.schemes, SCHEMES)
    conditions = wanted("condition of the table", config.study.conditions, CONDITIONS)
    lines = [
        Line({"scheme": name, "condition": condition}, SCHEMES[name] | CONDITIONS[condition])
        for name in schemes
        for condition in (conditions if name != "fp32" else ["full"])
    ]
    return compare(config, out, lines, resume=resume, report=report)


pcm_eprop_table = register(
    Experiment(
        BASE.model_copy(
            update={
                "experiment": "pcm-eprop-table",
                "device": BASE.device.model_copy(update={"start": "random-set", "devices_per_side": 1}),
                "learning": TUNED,
                "study": StudyConfig(),
            }
        ),
        quick={
            "seeds": 2,
            "learning.epochs": 10,
            "study.schemes": ("fp32", "mixed-precision"),
            "study.conditions": ("full",),
        },
        expected=0.0104,
        expected_quick=0.2,
        reference=REFERENCE,
        study=compare_schemes,
        summary=said,
    ),
    "every update scheme on PCM: all its noise, and without each kind of it; error, pulses, energy",
)
