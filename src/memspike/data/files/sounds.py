"""A folder of recordings (wav) → frames of a model of the inner ear."""

import io
import wave
from pathlib import Path
from typing import Any

import numpy as np

from memspike.data.files.folders import listed
from memspike.data.files.options import FRAMES, WAVES, Reading
from memspike.data.files.raw import Raw, padded, waves
from memspike.data.source import decode
from memspike.data.spoken import Cochlea
from memspike.parts.errors import InputError

FORM = "a folder of sounds"


def read(path: Path, given: Reading) -> Raw:
    """Cochleagrams as bytes, [recordings, frames, channels]; `frames` of every recording, 16 by default.

    With data.kind=waveforms the sounds as they are.
    """
    found = listed(path, (".wav",))
    rate = _rate(found.files[0])
    sounds = [decode(file.read_bytes(), str(file.relative_to(path)), rate) for file in found.files]
    more: Any = {"labels": found.labels, "test": found.test, "groups": found.groups, "assumed": False}
    if given.kind == WAVES:
        x, lengths = padded([sound[:, None].astype(np.float64) for sound in sounds])
        return waves(Raw(FORM, x, WAVES, lengths=lengths, rate=float(rate), notes=found.notes, **more), given)
    if given.kind not in (None, FRAMES):
        raise InputError(f"data.kind is {given.kind}, but these are sounds; allowed: frames, waveforms.")
    cochlea = Cochlea(rate=rate) if given.frames is None else Cochlea(rate=rate, frames=given.frames)
    notes = (
        f"gammatone filters: {cochlea.channels} channels from {cochlea.f_low:g} to {cochlea.f_high:g} Hz, "
        f"{cochlea.frames} frames a recording at {rate} Hz",
        *found.notes,
    )
    return Raw(FORM, cochlea(sounds), FRAMES, notes=notes, **more)


def _rate(file: Path) -> int:
    """Samples a second of a recording."""
    try:
        with wave.open(io.BytesIO(file.read_bytes())) as sound:
            return sound.getframerate()
    except (wave.Error, EOFError) as error:
        raise InputError(f"{file.name} is not a readable wav file ({str(error) or 'it ends too early'}).") from None
