"""Timing that all benchmarks share."""

import statistics
import time


def alternate(functions, rounds):
    """Median seconds of each, warmed up once, measured in turns so that a busy machine hurts all."""
    for f in functions:
        f()
    times = [[] for _ in functions]
    for _ in range(rounds):
        for f, seconds in zip(functions, times, strict=True):
            start = time.perf_counter()
            f()
            seconds.append(time.perf_counter() - start)
    return [statistics.median(t) for t in times]


def seconds(f, rounds):
    """Median seconds of one function."""
    return alternate([f], rounds)[0]
