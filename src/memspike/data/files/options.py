"""What may be said of a file of one's own beside its path: the keys below `data` that only files have."""

import dataclasses

import equinox as eqx

from memspike.parts.errors import InputError
from memspike.parts.param import option

IMAGES, FRAMES, WAVES = "images", "frames", "waveforms"
SHARE = 0.25
FRAME = 10e-3
POOL = 8


class Reading(eqx.Module):
    """How a file is read, split and scaled; none: as the file says, or the usual way of its format."""

    kind: str | None = option(
        None,
        "what an example is: an image, frames in time, or a sound as it is; none: images from pictures only",
        choices=(IMAGES, FRAMES, WAVES),
    )
    label: str | None = option(None, "column or array with the classes; none: the one called label or y")
    target: str | None = option(None, "column or array with the numbers that are wanted: a regression")
    group: str | None = option(None, "column or array, such as speaker, whose values stay on one side of the split")
    split: float | None = option(
        None, "share of the test part where the file states none; none: 0.25", bounds=(0.001, 0.999)
    )
    scale: str | None = option(
        None,
        "what makes values lie in [0, 1], fitted on the training part; none: bytes as they are, numbers by their range",
        choices=("range", "standard", "none"),
    )
    frames: int | None = option(None, "every example resampled to so many frames", bounds=(1, 10**6))
    frame: float | None = option(
        None, "length of a frame in which spikes are counted; none: 10 ms", unit="s", bounds=(1e-9, 1e6)
    )
    window: int | None = option(None, "frames of the windows into which one long series is cut", bounds=(1, 10**7))
    pool: int | None = option(None, "pixels a side of a camera that are counted together; none: 8", bounds=(1, 10**4))
    sha256: str | None = option(None, "SHA-256 of what the file holds; another content is refused")

    def given(self) -> dict[str, object]:
        """The keys that say something, by name."""
        pairs = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        return {name: value for name, value in pairs if value is not None}

    def check(self, allowed: frozenset[str], what: str) -> None:
        """InputError for the first key that says something without a meaning for `what`."""
        for name, value in self.given().items():
            if name not in allowed:
                raise InputError(f"data.{name} is {value}, which has no meaning for {what}; leave it out.")
