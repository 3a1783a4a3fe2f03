"""Numbers of neighbouring elements, whose operators write machine instructions: what kernels are written with.

A law is written for one element, as everywhere; `Lanes` of 16 compute it for 16 neighbours at once, `Lanes` of one for
those that are left over. What the processor has is the compiler's business: one register of 512 bits, two of 256 or
four of 128. Needs llvmlite, which is imported by nothing but kernels.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from llvmlite import ir

WIDE = 16
# elements whose states stay in the nearest cache while time passes
TILE = 256

BYTE, INT32, INT64, FLOAT = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType()
POINTER = ir.PointerType()
# products may be added in one instruction; infinities and NaN stay what they are
FREEDOM = ("contract", "nsz", "arcp")


class Lanes:
    """`width` float32 numbers; `+ − * /` with others and with numbers of Python."""

    def __init__(self, writer: "Writer", value: ir.Value) -> None:
        self.writer, self.value = writer, value

    def _other(self, x: Any) -> ir.Value:
        return x.value if isinstance(x, Lanes) else _constant(self.value.type, float(x))

    def _two(self, name: str, a: ir.Value, b: ir.Value) -> "Lanes":
        return Lanes(self.writer, getattr(self.writer.builder, name)(a, b, flags=FREEDOM))

    def __add__(self, x: Any) -> "Lanes":
        return self._two("fadd", self.value, self._other(x))

    __radd__ = __add__

    def __mul__(self, x: Any) -> "Lanes":
        return self._two("fmul", self.value, self._other(x))

    __rmul__ = __mul__

    def __sub__(self, x: Any) -> "Lanes":
        return self._two("fsub", self.value, self._other(x))

    def __rsub__(self, x: Any) -> "Lanes":
        return self._two("fsub", self._other(x), self.value)

    def __truediv__(self, x: Any) -> "Lanes":
        return self._two("fdiv", self.value, self._other(x))

    def __rtruediv__(self, x: Any) -> "Lanes":
        return self._two("fdiv", self._other(x), self.value)

    def __neg__(self) -> "Lanes":
        return 0.0 - self

    def _chosen(self, how: str, x: Any) -> "Lanes":
        other, builder = self._other(x), self.writer.builder
        # NaN fails every comparison, so that it is the second value: it stays where it is the first of both
        return Lanes(self.writer, builder.select(builder.fcmp_ordered(how, other, self.value), other, self.value))

    def at_most(self, x: Any) -> "Lanes":
        """The smaller one; NaN stays."""
        return self._chosen("<", x)

    def at_least(self, x: Any) -> "Lanes":
        """The larger one; NaN stays."""
        return self._chosen(">", x)


def _constant(kind: ir.Type, x: Any) -> ir.Constant:
    return ir.Constant(kind, [x] * kind.count if isinstance(kind, ir.VectorType) else x)


def _of_kind(kind: ir.Type, element: ir.Type) -> ir.Type:
    return ir.VectorType(element, kind.count) if isinstance(kind, ir.VectorType) else element


# adding it to a number of moderate size rounds that to a whole one; ln 2 as the sum of a short number and the rest
ROUND, LN2 = 1.5 * 2.0**23, (0.693359375, -2.12194440e-4)
# (e^r − 1 − r)/r² between −½·ln 2 and ½·ln 2 by its Chebyshev interpolation: e^r to 1e-8
EXPONENTIAL = (1.39261761e-3, 8.36317307e-3, 4.16665547e-2, 1.66665770e-1, 0.5)
# the product of two of its exponentials is a number of float32, and so is its inverse
LARGEST = 40.0


def _parts_of_exponential(x: Lanes) -> tuple[Lanes, Lanes]:
    """2^n and e^r − 1 of x = n·ln 2 + r, with r as small as can be."""
    n = (x * (1 / math.log(2)) + ROUND) - ROUND
    r = (x - n * LN2[0]) - n * LN2[1]
    share = r * EXPONENTIAL[0] + EXPONENTIAL[1]
    for c in EXPONENTIAL[2:]:
        share = share * r + c
    writer, builder = x.writer, x.writer.builder
    whole = _of_kind(x.value.type, INT32)
    bits = builder.add(builder.fptosi(n.value, whole), _constant(whole, 127))
    power = builder.bitcast(builder.shl(bits, _constant(whole, 23)), x.value.type)
    return Lanes(writer, power), share * (r * r) + r


def exponential(x: Lanes) -> Lanes:
    """e^x with x held between −40 and 40, to 2e-7 of it."""
    power, above = _parts_of_exponential(x.at_most(LARGEST).at_least(-LARGEST))
    return power * above + power


def risen(z: Lanes) -> Lanes:
    """1 − e^(−z) with z held between −40 and 40, to 2e-7 of it also where z is small."""
    power, above = _parts_of_exponential(-z.at_most(LARGEST).at_least(-LARGEST))
    return (1.0 - power) - power * above


class Place(NamedTuple):
    """Elements that are computed together: their index, and how many they are."""

    index: ir.Value
    width: int


class Writer:
    """Writes the instructions of a kernel: loops, loads, stores, buffers."""

    def __init__(self, builder: ir.IRBuilder) -> None:
        self.builder = builder

    def whole(self, n: int) -> ir.Constant:
        """A whole number."""
        return ir.Constant(INT64, n)

    def after(self, pointer: ir.Value, elements: ir.Value) -> ir.Value:
        """The pointer that many float32 later."""
        return self.builder.gep(pointer, [elements], source_etype=FLOAT)

    def load(self, pointer: ir.Value, place: Place) -> Lanes:
        """The numbers at a place."""
        kind = FLOAT if place.width == 1 else ir.VectorType(FLOAT, place.width)
        found = self.builder.load(self.after(pointer, place.index), typ=kind)
        found.align = 4
        return Lanes(self, found)

    def store(self, x: Lanes, pointer: ir.Value, place: Place) -> None:
        """Keep numbers at a place."""
        self.builder.store(x.value, self.after(pointer, place.index)).align = 4

    def zero(self, width: int) -> Lanes:
        """Zeros."""
        return Lanes(self, _constant(FLOAT if width == 1 else ir.VectorType(FLOAT, width), 0.0))

    def number(self, pointer: ir.Value, k: "int | ir.Value", width: int) -> Lanes:
        """Number `k` behind a pointer, `width` times."""
        one = self.load(pointer, Place(self.whole(k) if isinstance(k, int) else k, 1))
        if width == 1:
            return one
        kind = ir.VectorType(FLOAT, width)
        nothing = ir.Constant(kind, ir.Undefined)
        first = self.builder.insert_element(nothing, one.value, ir.Constant(INT32, 0))
        every = ir.Constant(ir.VectorType(INT32, width), [0] * width)
        return Lanes(self, self.builder.shuffle_vector(first, nothing, every))

    def buffer(self) -> ir.Value:
        """Room for the numbers of a tile."""
        room = self.builder.alloca(ir.ArrayType(FLOAT, TILE))
        return self.builder.inttoptr(self.builder.ptrtoint(room, INT64), POINTER)

    def fill(self, buffers: Sequence[ir.Value], numbers: Sequence[Lanes]) -> None:
        """The same number everywhere in a buffer, for several of them."""
        with self.loop(self.whole(0), self.whole(TILE), WIDE) as i:
            for buffer, x in zip(buffers, numbers, strict=True):
                self.store(x, buffer, Place(i, WIDE))

    @contextmanager
    def loop(self, start: ir.Value, stop: ir.Value, step: int = 1) -> Iterator[ir.Value]:
        """What is written inside is done for i = start, start + step … below stop."""
        builder = self.builder
        head, inside, end = (builder.function.append_basic_block(name) for name in ("head", "inside", "end"))
        before = builder.block
        builder.branch(head)
        builder.position_at_end(head)
        i = builder.phi(INT64)
        i.add_incoming(start, before)
        builder.cbranch(builder.icmp_signed("<", i, stop), inside, end)
        builder.position_at_end(inside)
        yield i
        i.add_incoming(builder.add(i, self.whole(step)), builder.block)
        builder.branch(head)
        builder.position_at_end(end)

    @contextmanager
    def tiles(self, columns: ir.Value) -> Iterator[tuple[ir.Value, ir.Value]]:
        """What is written inside is done for every tile: its first column, and how many it has."""
        with self.loop(self.whole(0), columns, TILE) as first:
            left = self.builder.sub(columns, first)
            full = self.builder.icmp_signed(">", left, self.whole(TILE))
            yield first, self.builder.select(full, self.whole(TILE), left)

    def each(self, count: ir.Value, law: Any) -> None:
        """`law(place)` for all elements of a tile."""
        most = self.builder.and_(count, self.whole(-WIDE))
        for ends, width in (((self.whole(0), most), WIDE), ((most, count), 1)):
            with self.loop(*ends, width) as i:
                law(Place(i, width))
