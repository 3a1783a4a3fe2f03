"""Random numbers in kernels: those of `jax.random`, element by element, drawn where they are needed only."""

import math
from collections.abc import Sequence

import numpy as np

from memspike.parts.lane_functions import inverse_error_function
from memspike.parts.lanes import Lanes, Words
from memspike.parts.random import MANTISSA, PARITY, ROTATIONS

# the uniform number of a normal one lies above −1
LOWEST = float(np.nextafter(np.float32(-1), np.float32(0)))


def both(key: Sequence[Words], element: Words) -> tuple[Words, Words]:
    """The two words that a key with two words makes of a number: as `jax.random.fold_in`."""
    schedule = (key[0], key[1], key[0] ^ key[1] ^ PARITY)
    a, b = schedule[0], element + schedule[1]
    for group in range(5):
        for by in ROTATIONS[group % 2]:
            a = a + b
            b = a ^ ((b << by) | (b >> (32 - by)))
        a, b = a + schedule[(group + 1) % 3], b + schedule[(group + 2) % 3] + (group + 1)
    return a, b


def bits(key: Sequence[Words], element: Words) -> Words:
    """The word of an element of an array, `key` the two words of its key: as `jax.random.bits`."""
    a, b = both(key, element)
    return a ^ b


def uniform(key: Sequence[Words], element: Words) -> Lanes:
    """In [0, 1): as `jax.random.uniform`, to the bit."""
    one = int(np.float32(1).view(np.uint32))
    return ((bits(key, element) >> (32 - MANTISSA)) | one).as_float() - 1.0


def normal(key: Sequence[Words], element: Words) -> Lanes:
    """As `jax.random.normal`, to 1e-6 of it."""
    share = uniform(key, element) * (1 - LOWEST) + LOWEST
    return inverse_error_function(share.at_least(LOWEST)) * math.sqrt(2)
