"""What the ledgers of a training say: pulses, wear, energy."""

from typing import Any

import numpy as np
from jaxtyping import Float

from memspike.arrays.ledger import Ledger
from memspike.training.learner import Chip
from memspike.training.population import Population


def device_pulses(
    ledgers: tuple[Ledger, ...], chips: int
) -> tuple[Float[np.ndarray, "chips devices"], Float[np.ndarray, "chips devices"]]:
    """Pulses and RESETs of every device of all crossbars; the ledgers have a leading axis of chips."""
    pulses = [np.asarray(ledger.up + ledger.down).reshape(chips, -1) for ledger in ledgers]
    resets = [np.asarray(ledger.resets).reshape(chips, -1) for ledger in ledgers]
    return np.concatenate(pulses, axis=1, dtype=np.float64), np.concatenate(resets, axis=1, dtype=np.float64)


def energies(ledgers: tuple[Ledger, ...], chips: int) -> Float[np.ndarray, " chips"]:
    """Write energy in J of every chip."""
    each = [np.asarray(ledger.write_energy, np.float64).reshape(chips, -1).sum(1) for ledger in ledgers]
    return np.sum(each, axis=0)


def costs(chips: Chip, population: Population, endurance: float) -> dict[str, Any]:
    """Pulses of a device, those of the device that had most and its wear, and write energy in J of a chip.

    Digital memory has no devices. Zero where the scheme sends no pulses.
    """
    names = ("writes_per_device", "sets_per_device", "resets_per_device", "writes_most", "energy_j", "endurance_used")
    if chips.ledger is None:
        return dict.fromkeys(names, 0.0) | {"writes_most": 0}
    pairs = zip(chips.ledger, population.learner.schemes, strict=True)
    written = tuple(one for one, scheme in pairs if not scheme.digital) or chips.ledger
    pulses, resets = device_pulses(written, population.count)
    most = int((pulses + resets).max())
    means = (float((pulses + resets).mean()), float(pulses.mean()), float(resets.mean()))
    energy = float(energies(chips.ledger, population.count).mean())
    found = dict(zip(names, (*means, most, energy, most / endurance), strict=True))
    return found | reading(chips.ledger, population.count)


def reading(ledgers: tuple[Ledger, ...], chips: int) -> dict[str, float]:
    """Energy in J of the reads that rule and scheme have booked, in the devices and in the wires, mean of the chips.

    A kind that was never booked is left out: it was not counted, which is not the same as nothing.
    """
    sums = {
        "read_energy_j": [one.read_energy.exact().sum() for one in ledgers],
        "wire_energy_j": [one.wire_energy.exact().sum() for one in ledgers],
    }
    return {name: float(np.sum(each)) / chips for name, each in sums.items() if np.sum(each) > 0}
