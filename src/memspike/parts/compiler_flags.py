"""What the compiler of JAX is told before it starts."""

import os

_EXTRA = "xla_backend_extra_options"
# bytes that an iteration of a loop may touch, by default 1,024
_SMALL_LOOPS = f"--{_EXTRA}=xla_cpu_small_while_loop_byte_threshold=65536"


def small_loops() -> None:
    """Let XLA compile a time loop over a few neurons on a CPU as one function, instead of one call an operation.

    A neuron of a netlist is three times as fast then (`benchmarks/netlist.py`); numbers stay the same. Nothing changes
    where JAX has begun to compile, on other hardware, or where $XLA_FLAGS has such options already.
    """
    given = os.environ.get("XLA_FLAGS", "")
    if _EXTRA not in given:
        os.environ["XLA_FLAGS"] = f"{given} {_SMALL_LOOPS}".strip()
