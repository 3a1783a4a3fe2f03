"""What the compiler of JAX is told before it starts."""

import os

_EXTRA = "xla_backend_extra_options"
_WIDTH = "xla_cpu_prefer_vector_width"
_FLAGS = {
    # bytes that an iteration of a loop may touch, by default 1,024
    _EXTRA: f"--{_EXTRA}=xla_cpu_small_while_loop_byte_threshold=65536",
    # bits of a register, by default 256; processors that have no such registers take what they have
    _WIDTH: f"--{_WIDTH}=512",
}


def tell() -> None:
    """Have XLA compile for a CPU what this library is made of: time loops over neurons, element by element.

    A time loop over a few neurons becomes one function, instead of one call an operation: a neuron of a netlist is
    three times as fast (`benchmarks/netlist.py`). Sixteen neurons are computed at once where the processor can, instead
    of eight: 1.1 to 1.3 times as fast (`benchmarks/against.py`). Numbers stay the same to rounding. Nothing changes
    where JAX has begun to compile, on other hardware, or where $XLA_FLAGS has the option already.
    """
    given = os.environ.get("XLA_FLAGS", "")
    more = [flag for name, flag in _FLAGS.items() if name not in given]
    if more:
        os.environ["XLA_FLAGS"] = " ".join([given, *more]).strip()
