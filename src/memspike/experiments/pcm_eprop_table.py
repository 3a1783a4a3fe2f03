"""All update schemes on phase-change memory, and what each imperfection of the devices costs them."""

from pathlib import Path
from typing import Any

from memspike._errors import unknown
from memspike.experiments.base import Experiment, register
from memspike.experiments.folder import RunFolder
from memspike.experiments.online_config import OnlineConfig, StudyConfig
from memspike.experiments.pcm_eprop import BASE, REFERENCE, TUNED, generate, said
from memspike.experiments.run import Report, silent
from memspike.experiments.settings import changed

# the constants of the released code, of which the search (scripts/tune_pcm_eprop.py) starts
RELEASED: dict[str, Any] = {
    "device.devices_per_side": 1,
    "device.shrink": 1.0,
    "neuron.theta": 0.19252357575425721,
    "learning.rate_factor": 1.0,
    "learning.rate_weight": 8.3827e-4,
}
# dotted keys of each line of the table: a scheme on its cell; settings of 40 trials for the second line of mixed
# precision, of the released code for the others until the same search was made for each
SCHEMES: dict[str, dict[str, Any]] = {
    "fp32": {
        "learning.scheme": "fp32",
        "neuron.theta": 0.1,
        "learning.rates": (2e-5, 5e-5, 2e-5),
        "learning.rate_factor": 1.0,
        "learning.rate_weight": 1e-4,
        "learning.feedback_gain": 0.1,
        "learning.weight_gain": 0.1,
    },
    "mixed-precision": RELEASED,
    "mixed-precision, 4 a side": {"device.devices_per_side": 4},
    "stochastic": RELEASED | {"learning.scheme": "stochastic"},
    "sign": RELEASED | {"learning.scheme": "sign", "programming.dead_zone": 3e-3},
    "multi, 4 a side": RELEASED | {"device.devices_per_side": 4, "learning.scheme": "multi"},
    "update-ready": RELEASED | {"learning.scheme": "update-ready"},
    "expected-step": RELEASED | {"learning.scheme": "expected-step"},
    "write-verify": RELEASED | {"learning.scheme": "write-verify"},
    "released code": RELEASED | {"learning.scheme": "mixed-precision-released", "learning.released": True},
}
CONDITIONS: dict[str, dict[str, Any]] = {
    "full": {},
    "no write noise": {"device.write_noise": False},
    "no drift": {"device.drift": False},
    "no read noise": {"device.read_noise": False},
    "ideal 4 bit": {"device.bits": 4},
}


def _wanted(kind: str, chosen: tuple[str, ...], known: dict[str, Any]) -> list[str]:
    for name in chosen:
        if name not in known:
            raise unknown(kind, name, known)
    return list(chosen or known)


def compare_schemes(
    config: OnlineConfig, out: Path, *, resume: bool = False, report: Report = silent
) -> dict[str, Any]:
    """Train every scheme under every condition with the same seeds; the folder holds one run folder a training.

    A condition changes the devices, so that digital weights have one line. The weights start with a random SET on some
    synapses, so that also a network whose reads have no noise is active. An interrupted study goes on where it was.
    """
    schemes = _wanted("scheme of the table", config.study.schemes, SCHEMES)
    conditions = _wanted("condition of the table", config.study.conditions, CONDITIONS)
    folder = RunFolder(out)
    folder.start(config, resume=resume)
    rows: list[dict[str, Any]] = []
    silence = 0.0
    for name in schemes:
        for condition in conditions if name != "fp32" else ["full"]:
            own = changed(config, SCHEMES[name] | CONDITIONS[condition])
            where = out / "trainings" / f"{name}-{condition}".replace(" ", "-").replace(",", "")
            result = generate(own, where, resume=(where / "config.toml").exists(), report=report)
            silence = result["mse_silent"]
            kept = ("mse_median", "mse_q1", "mse_q3", "diverged", "writes_per_device", "energy_j", "endurance_used")
            rows.append({"scheme": name, "condition": condition, **{key: result[key] for key in kept}})
            rows[-1] |= {"rate_hz": result["rate_hz"], "seeds": config.seeds}
            folder.write_csv("table.csv", rows)
    found = {"experiment": config.experiment, "rows": rows, "mse_silent": silence}
    found |= {"seeds": config.seeds, "seed": config.seed, "epochs": config.learning.epochs}
    folder.write_json("result.json", found)
    return found


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
        expected=0.015,
        expected_quick=0.2,
        reference=REFERENCE,
        study=compare_schemes,
        summary=said,
    ),
    "every update scheme on PCM: all its noise, and without each kind of it; error, pulses, energy",
)
