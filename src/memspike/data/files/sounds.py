"""A folder of recordings (wav) → frames of a model of the inner ear."""

import io
import wave
from pathlib import Path

from memspike.data.files.folders import listed
from memspike.data.files.options import FRAMES, Reading
from memspike.data.files.raw import Raw
from memspike.data.source import decode
from memspike.data.spoken import Cochlea
from memspike.parts.errors import InputError


def read(path: Path, given: Reading) -> Raw:
    """Cochleagrams as bytes, [recordings, frames, channels]; `frames` of every recording, 16 by default."""
    found = listed(path, (".wav",))
    rate = _rate(found.files[0])
    sounds = [decode(file.read_bytes(), str(file.relative_to(path)), rate) for file in found.files]
    cochlea = Cochlea(rate=rate) if given.frames is None else Cochlea(rate=rate, frames=given.frames)
    notes = (
        f"gammatone filters: {cochlea.channels} channels from {cochlea.f_low:g} to {cochlea.f_high:g} Hz, "
        f"{cochlea.frames} frames a recording at {rate} Hz",
        *found.notes,
    )
    x = cochlea(sounds)
    return Raw(
        "a folder of sounds", x, FRAMES, found.labels, test=found.test, groups=found.groups, assumed=False, notes=notes
    )


def _rate(file: Path) -> int:
    """Samples a second of a recording."""
    try:
        with wave.open(io.BytesIO(file.read_bytes())) as sound:
            return sound.getframerate()
    except (wave.Error, EOFError) as error:
        raise InputError(f"{file.name} is not a readable wav file ({str(error) or 'it ends too early'}).") from None
