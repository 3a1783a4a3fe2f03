"""Kernels for the processor, compiled when they are first used and called by JAX's foreign function interface.

They are there with the extra `fast` (llvmlite), on a CPU, and unless $MEMSPIKE_FAST is 0. Whatever has a kernel has a
form in JAX as well, which stands in for it elsewhere and which tests hold against it. `import memspike` compiles
nothing.
"""

import ctypes
import importlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Num

SWITCH, PACKAGE = "MEMSPIKE_FAST", "llvmlite"
# where fields are in the structures of the interface, in bytes (xla/ffi/api/c_api.h, version 0.x, 64 bits)
EXTENSION, API, STAGE, ARGUMENTS, RESULTS = 8, 16, 32, 72, 112
DATA, DIMENSIONS = 24, 40
METADATA, API_VERSION, METADATA_VERSION = 24, (32, 36), (24, 28)
EXECUTE = 3
ATTRIBUTES = (
    '"prefer-vector-width"="512" "min-legal-vector-width"="512" "reciprocal-estimates"="vec-divf:1,vec-sqrtf:1"'
)


class Kernel(NamedTuple):
    """`body(writer, inputs, outputs, lengths)` writes it; `lengths` are both of buffer number `like`, or of several.

    Buffers are numbered through, the outputs after the inputs. A buffer with another number of axes is given as a pair
    with that number.
    """

    name: str
    inputs: int
    outputs: int
    like: int | tuple[int | tuple[int, int], ...]
    body: Callable[..., None]


@cache
def _works() -> bool:
    """Whether a kernel of one line finds what it should: the interface is as it was when this was written."""
    try:
        _register(_CHECK)
        given = np.arange(21, dtype=np.float32).reshape(1, 21)
        with jax.ensure_compile_time_eval():
            found = np.asarray(_called(_CHECK, (jax.numpy.asarray(given),), (given.shape,))[0])
        return bool((found == 2 * given + 1).all())
    except Exception:  # whatever it is, the form in JAX stays
        return False


def _twice(writer: Any, inputs: Sequence[Any], outputs: Sequence[Any], shape: tuple[Any, Any]) -> None:
    with writer.tiles(shape[1]) as (first, count):
        here, there = writer.after(inputs[0], first), writer.after(outputs[0], first)
        writer.each(count, lambda place: writer.store(writer.load(here, place) * 2.0 + 1.0, there, place))


_CHECK = Kernel("memspike_check", 1, 1, 0, _twice)


def wanted() -> bool:
    """Whether the package is there and nobody has switched kernels off."""
    return os.environ.get(SWITCH) != "0" and importlib.util.find_spec(PACKAGE) is not None


def available() -> bool:
    """Whether kernels can be used in this process."""
    return wanted() and jax.default_backend() == "cpu" and _works()


def state() -> str:
    """The same in words."""
    if available():
        return f"used, {PACKAGE} {version(PACKAGE)}"
    if os.environ.get(SWITCH) == "0":
        return f"not used: ${SWITCH} is 0"
    if importlib.util.find_spec(PACKAGE) is None:
        return "not used: pip install 'memspike[fast]'"
    where = jax.default_backend()
    return "not used: JAX does not call them as expected" if where == "cpu" else f"not used on the device {where}"


def call(
    kernel: Kernel,
    inputs: Sequence[Num[Array, "..."]],
    shapes: Sequence[tuple[int, ...] | jax.ShapeDtypeStruct],
    *,
    same: dict[int, int] | None = None,
) -> list[Num[Array, "..."]]:
    """The outputs of a kernel, of these shapes, float32 where they do not say otherwise, for inputs of 32 or 16 bits.

    `same` names inputs, by number, that become outputs where they are, and the outputs that they become.
    """
    _register(kernel)
    return _called(kernel, inputs, shapes, same)


def _called(kernel: Kernel, inputs: Sequence[Any], shapes: Sequence[Any], same: Any = None) -> list[Any]:
    kinds = tuple(x if isinstance(x, jax.ShapeDtypeStruct) else jax.ShapeDtypeStruct(x, np.float32) for x in shapes)
    return list(jax.ffi.ffi_call(kernel.name, kinds, input_output_aliases=same)(*inputs))


@cache
def _register(kernel: Kernel) -> None:
    """Compile a kernel and make it known to JAX."""
    capsule = ctypes.pythonapi.PyCapsule_New
    capsule.restype, capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    jax.ffi.register_ffi_target(kernel.name, capsule(_compiled(kernel), None, None), platform="cpu")


# compiled code lives as long as what compiled it
_ENGINES: list[Any] = []


def _compiled(kernel: Kernel) -> int:
    """The address of its machine code."""
    llvm: Any = importlib.import_module("llvmlite.binding")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3
    )
    module = llvm.parse_assembly(_written(kernel))
    module.verify()
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(module, passes)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    _ENGINES.append((engine, machine))
    return engine.get_function_address(kernel.name)


def _written(kernel: Kernel) -> str:
    """The handler of a kernel in LLVM's language: it says its version when asked, and runs when it is to."""
    from memspike.parts.lanes import BYTE, INT32, INT64, POINTER, ir
    from memspike.parts.writer import Writer

    def field(builder: Any, base: Any, offset: int) -> Any:
        return builder.gep(base, [ir.Constant(INT64, offset)], source_etype=BYTE)

    def pointer(builder: Any, base: Any, offset: int) -> Any:
        return builder.load(field(builder, base, offset), typ=POINTER)

    module = ir.Module(kernel.name)
    function = ir.Function(module, ir.FunctionType(POINTER, [POINTER]), kernel.name)
    entry, asked, staged, run, done = (function.append_basic_block() for _ in range(5))
    frame, nothing = function.args[0], ir.Constant(POINTER, None)

    builder = ir.IRBuilder(entry)
    extension = pointer(builder, frame, EXTENSION)
    builder.cbranch(builder.icmp_unsigned("!=", extension, nothing), asked, staged)

    builder = ir.IRBuilder(asked)
    theirs, ours = pointer(builder, frame, API), pointer(builder, extension, METADATA)
    for a, b in zip(API_VERSION, METADATA_VERSION, strict=True):
        builder.store(builder.load(field(builder, theirs, a), typ=INT32), field(builder, ours, b))
    builder.branch(done)

    builder = ir.IRBuilder(staged)
    stage = builder.load(field(builder, frame, STAGE), typ=INT32)
    builder.cbranch(builder.icmp_signed("==", stage, ir.Constant(INT32, EXECUTE)), run, done)

    builder = ir.IRBuilder(run)
    buffers = [
        [pointer(builder, base, 8 * k) for k in range(count)]
        for base, count in (
            (pointer(builder, frame, ARGUMENTS), kernel.inputs),
            (pointer(builder, frame, RESULTS), kernel.outputs),
        )
    ]
    inputs, outputs = ([pointer(builder, one, DATA) for one in some] for some in buffers)
    every, like = [*buffers[0], *buffers[1]], (kernel.like,) if isinstance(kernel.like, int) else kernel.like
    axes = [(k, 2) if isinstance(k, int) else k for k in like]
    lengths = [(pointer(builder, every[k], DIMENSIONS), n) for k, n in axes]
    shape = tuple(builder.load(field(builder, one, 8 * k), typ=INT64) for one, n in lengths for k in range(n))
    kernel.body(Writer(builder), inputs, outputs, shape)
    builder.branch(done)

    ir.IRBuilder(done).ret(nothing)
    # registers as wide as there are; divisions and roots by an estimate and a step of Newton's: exact to float32
    return str(module).replace(")\n{", f") {ATTRIBUTES}\n{{", 1)
