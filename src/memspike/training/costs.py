"""What the ledgers of a training say: pulses, wear, energy."""

from typing import Any

import numpy as np
from jaxtyping import Float

from memspike.arrays.ledger import Ledger


def device_pulses(
    ledgers: tuple[Ledger, ...], chips: int
) -> tuple[Float[np.ndarray, "chips devices"], Float[np.ndarray, "chips devices"]]:
    """Pulses and RESETs of every device of all crossbars; the ledgers have a leading axis of chips."""
    pulses = [np.asarray(ledger.up + ledger.down).reshape(chips, -1) for ledger in ledgers]
    resets = [np.asarray(ledger.resets).reshape(chips, -1) for ledger in ledgers]
    return np.concatenate(pulses, axis=1, dtype=np.float64), np.concatenate(resets, axis=1, dtype=np.float64)


def pulse_costs(ledgers: tuple[Ledger, ...], chips: int) -> dict[str, Any]:
    """Pulses of a device, those of the device that had most, and write energy in J of a chip."""
    pulses, resets = device_pulses(ledgers, chips)
    energy = [np.asarray(ledger.write_energy, np.float64).reshape(chips, -1).sum(1) for ledger in ledgers]
    return {
        "writes_per_device": float((pulses + resets).mean()),
        "sets_per_device": float(pulses.mean()),
        "resets_per_device": float(resets.mean()),
        "writes_most": int((pulses + resets).max()),
        "energy_j": float(np.mean(np.sum(energy, axis=0))),
    }
