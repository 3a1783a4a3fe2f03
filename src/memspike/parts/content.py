"""What an object of Python holds, as a short text: two objects that would do the same have the same."""

import functools
import hashlib
import types
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

DIGITS = 16


def content_of(value: Any) -> str:
    """The first digits of a SHA-256 of numbers, texts and arrays, of functions their code and what they closed over.

    Of other objects it is their class and their fields. The same in every process.
    """
    found = hashlib.sha256()
    for piece in _pieces(value, ()):
        found.update(piece + b"\0")
    return found.hexdigest()[:DIGITS]


def _pieces(value: Any, seen: tuple[int, ...]) -> Iterator[bytes]:
    if id(value) in seen:
        yield b"again"
        return
    seen = (*seen, id(value))
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        array = np.asarray(value)
        yield f"{array.dtype}{array.shape}".encode() + array.tobytes()
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield repr(key).encode()
            yield from _pieces(one, seen)
    elif isinstance(value, tuple | list):
        yield f"{type(value).__name__} {len(value)}".encode()
        for one in value:
            yield from _pieces(one, seen)
    elif isinstance(value, functools.partial):
        yield from _pieces((value.func, value.args, value.keywords), seen)
    elif isinstance(value, types.MethodType):
        yield from _pieces((value.__func__, value.__self__), seen)
    elif isinstance(value, types.FunctionType):
        yield from _of_function(value, seen)
    elif isinstance(value, type | types.BuiltinFunctionType | types.ModuleType):
        yield f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value.__name__)}".encode()
    elif value is None or isinstance(value, str | bytes | int | float | complex):
        yield repr(value).encode()
    else:
        yield f"{type(value).__module__}.{type(value).__qualname__}".encode()
        yield from _pieces(getattr(value, "__dict__", None), seen)


def _of_function(make: types.FunctionType, seen: tuple[int, ...]) -> Iterator[bytes]:
    """Name, code, defaults and what was closed over."""
    yield f"{make.__module__}.{make.__qualname__}".encode()
    yield from _of_code(make.__code__)
    yield from _pieces((make.__defaults__, make.__kwdefaults__), seen)
    for cell in make.__closure__ or ():
        try:
            held = cell.cell_contents
        except ValueError:  # not filled yet
            held = None
        yield from _pieces(held, seen)


def _of_code(code: types.CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr(code.co_names).encode()
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _of_code(constant)
        elif isinstance(constant, frozenset):
            yield repr(sorted(map(repr, constant))).encode()
        else:
            yield repr(constant).encode()
