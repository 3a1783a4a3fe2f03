"""Which frame of an example a time step shows, and how many steps frames take: the one place that says so."""

import numpy as np
from jaxtyping import Int

# of a step: what rounding may move an instant by
SLACK = 1e-6


def frame_at(steps: int, frame_time: float, dt: float, frames: int | None = None) -> Int[np.ndarray, " steps"]:
    """The number of the frame in which the middle of every step of `dt` seconds lies.

    Frames last `frame_time` seconds each; the last of so many `frames` lasts until the end, None: they go on.
    """
    found = np.floor((np.arange(steps) + 0.5 + SLACK) * (dt / frame_time)).astype(np.int32)
    return found if frames is None else np.minimum(found, frames - 1).astype(np.int32)


def steps_of(frames: Int[np.ndarray, "..."] | int, frame_time: float, dt: float) -> Int[np.ndarray, "..."]:
    """Steps of `dt` seconds whose middle lies in the first so many frames of `frame_time` seconds each."""
    return np.asarray(np.maximum(np.ceil(np.asarray(frames) * (frame_time / dt) - 0.5 - SLACK), 0), np.int32)
