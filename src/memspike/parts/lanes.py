"""Numbers of neighbouring elements, whose operators write machine instructions: what kernels are written with.

A law is written for one element, as everywhere; `Lanes` of 16 compute it for 16 neighbours at once, `Lanes` of one for
those that are left over. What the processor has is the compiler's business: one register of 512 bits, two of 256 or
four of 128. Needs llvmlite, which is imported by nothing but kernels.
"""

import importlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

# it comes without types
ir: Any = importlib.import_module("llvmlite.ir")
Value = Any
"""A number, word, pointer or mask of a kernel."""
Kind = Any
"""The type of a value."""

WIDE = 16
# elements whose states stay in the nearest cache while time passes
TILE = 256

BYTE, INT32, INT64, FLOAT = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType()
POINTER = ir.PointerType()
# products may be added in one instruction; infinities and NaN stay what they are
FREEDOM = ("contract", "nsz", "arcp")


class Lanes:
    """`width` float32 numbers; `+ − * /` with others and with numbers of Python."""

    def __init__(self, writer: "Writer", value: Value) -> None:
        self.writer, self.value = writer, value

    def _other(self, x: Any) -> Value:
        return x.value if isinstance(x, Lanes) else _constant(self.value.type, float(x))

    def _two(self, name: str, a: Value, b: Value) -> "Lanes":
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

    def above(self, x: Any) -> Value:
        """Where they are larger."""
        return self.writer.builder.fcmp_ordered(">", self.value, self._other(x))

    def where(self, condition: Value, other: "Lanes") -> "Lanes":
        """Themselves where a condition holds, others elsewhere."""
        return Lanes(self.writer, self.writer.builder.select(condition, self.value, other.value))

    def as_words(self) -> "Words":
        """The same bits as words."""
        return Words(self.writer, self.writer.builder.bitcast(self.value, _of_kind(self.value.type, INT32)))


class Words:
    """`width` words of 32 bits; `+ ^ | << >>` with others and with numbers of Python."""

    def __init__(self, writer: "Writer", value: Value) -> None:
        self.writer, self.value = writer, value

    def _two(self, name: str, x: Any) -> "Words":
        other = x.value if isinstance(x, Words) else _constant(self.value.type, int(x))
        return Words(self.writer, getattr(self.writer.builder, name)(self.value, other))

    def __add__(self, x: Any) -> "Words":
        return self._two("add", x)

    def __xor__(self, x: Any) -> "Words":
        return self._two("xor", x)

    def __or__(self, x: Any) -> "Words":
        return self._two("or_", x)

    def __lshift__(self, x: int) -> "Words":
        return self._two("shl", x)

    def __rshift__(self, x: int) -> "Words":
        return self._two("lshr", x)

    def as_float(self) -> Lanes:
        """The same bits as float32."""
        return Lanes(self.writer, self.writer.builder.bitcast(self.value, _of_kind(self.value.type, FLOAT)))


def _constant(kind: Kind, x: Any) -> Value:
    return ir.Constant(kind, [x] * kind.count if isinstance(kind, ir.VectorType) else x)


def _of_kind(kind: Kind, element: Kind) -> Kind:
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


def root(x: Lanes) -> Lanes:
    """√x."""
    kind = x.value.type
    name = f"llvm.sqrt.v{kind.count}f32" if isinstance(kind, ir.VectorType) else "llvm.sqrt.f32"
    return Lanes(x.writer, x.writer.intrinsic(name, kind, x.value))


# (log(1 + f) − f + f²/2)/f³ for 1 + f between √½ and √2, after Moshier's Cephes library
LOGARITHM = (
    *(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1),
    *(-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
)


def logarithm(x: Lanes) -> Lanes:
    """log x of normal numbers above 0, to 1e-7 of it or, where it is below 1, to 1e-7."""
    bits, builder, whole = x.as_words(), x.writer.builder, _of_kind(x.value.type, INT32)
    # the exponent with which what is left lies between √½ and √2
    high = Words(x.writer, builder.ashr((bits + -0x3F3504F3).value, _constant(whole, 23)))
    f = Words(x.writer, builder.sub(bits.value, (high << 23).value)).as_float() - 1.0
    exponent = Lanes(x.writer, builder.sitofp(high.value, x.value.type))
    share = f * LOGARITHM[0] + LOGARITHM[1]
    for c in LOGARITHM[2:]:
        share = share * f + c
    return exponent * LN2[0] + (exponent * LN2[1] + (share * f - 0.5) * (f * f) + f)


# by Giles, GPU Computing Gems 2 (2011), chapter 10: for w = −log(1 − x²) below 5, and above
INVERSE = (
    *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503),
    *(-0.00417768164, 0.246640727, 1.50140941),
)
INVERSE_FAR = (
    *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613),
    *(0.00943887047, 1.00167406, 2.83297682),
)


def inverse_error_function(x: Lanes) -> Lanes:
    """erf⁻¹(x) for |x| < 1, to 1e-6 of it."""
    w = -logarithm((1.0 - x) * (1.0 + x))
    near, far = w - 2.5, root(w) - 3.0
    shares = []
    for at, (first, *others) in ((near, INVERSE), (far, INVERSE_FAR)):
        share = at * 0.0 + first
        for c in others:
            share = share * at + c
        shares.append(share)
    return shares[1].where(w.above(5.0), shares[0]) * x


class Place(NamedTuple):
    """Elements that are computed together: their index, and how many they are."""

    index: Value
    width: int


class Writer:
    """Writes the instructions of a kernel: loops, loads, stores, buffers."""

    last: Value

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def intrinsic(self, name: str, result: Kind, *given: Value) -> Value:
        """What a function that LLVM has makes of values."""
        module = self.builder.module
        kind = ir.FunctionType(result, [x.type for x in given])
        known = module.globals.get(name) or ir.Function(module, kind, name)
        return self.builder.call(known, given)

    def whole(self, n: int) -> Value:
        """A whole number."""
        return ir.Constant(INT64, n)

    def after(self, pointer: Value, elements: Value) -> Value:
        """The pointer that many float32 later."""
        return self.builder.gep(pointer, [elements], source_etype=FLOAT)

    def load(self, pointer: Value, place: Place) -> Lanes:
        """The numbers at a place."""
        kind = FLOAT if place.width == 1 else ir.VectorType(FLOAT, place.width)
        found = self.builder.load(self.after(pointer, place.index), typ=kind)
        found.align = 4
        return Lanes(self, found)

    def store(self, x: Lanes, pointer: Value, place: Place) -> None:
        """Keep numbers at a place."""
        self.builder.store(x.value, self.after(pointer, place.index)).align = 4

    def words(self, width: int, first: Value) -> Words:
        """Whole numbers from `first` on."""
        kind = ir.VectorType(INT32, width)
        steps = Words(self, ir.Constant(kind, list(range(width))))
        return steps + self.spread(Words(self, self.builder.trunc(first, INT32)), width)

    def spread(self, x: Any, width: int) -> Any:
        """One number or word, `width` times."""
        kind = ir.VectorType(x.value.type, width)
        nothing = ir.Constant(kind, ir.Undefined)
        first = self.builder.insert_element(nothing, x.value, ir.Constant(INT32, 0))
        every = ir.Constant(ir.VectorType(INT32, width), [0] * width)
        return type(x)(self, self.builder.shuffle_vector(first, nothing, every))

    def below(self, words: Words, limit: Value) -> Value:
        """Where words are below a whole number."""
        most = self.spread(Words(self, self.builder.trunc(limit, INT32)), words.value.type.count)
        return self.builder.icmp_signed("<", words.value, most.value)

    def load_where(self, mask: Value, pointer: Value, place: Place) -> Lanes:
        """The numbers at a place where the mask is set, 0 elsewhere."""
        kind, align = ir.VectorType(FLOAT, place.width), ir.Constant(INT32, 4)
        here = self.after(pointer, place.index)
        name = f"llvm.masked.load.v{place.width}f32.p0"
        return Lanes(self, self.intrinsic(name, kind, here, align, mask, self.zero(place.width).value))

    def store_where(self, mask: Value, x: Lanes, pointer: Value, place: Place) -> None:
        """Keep numbers at a place where the mask is set."""
        name, here = f"llvm.masked.store.v{place.width}f32.p0", self.after(pointer, place.index)
        self.intrinsic(name, ir.VoidType(), x.value, here, ir.Constant(INT32, 4), mask)

    def pack(self, mask: Value, x: Lanes, pointer: Value, first: Value) -> None:
        """Keep the numbers where the mask is set, one after the other, from number `first` behind a pointer on."""
        name = f"llvm.masked.compressstore.v{x.value.type.count}f32"
        self.intrinsic(name, ir.VoidType(), x.value, self.after(pointer, first), mask)

    def unpack(self, mask: Value, other: Lanes, pointer: Value, first: Value) -> Lanes:
        """What was packed, back at its lanes; `other` elsewhere."""
        kind = other.value.type
        name = f"llvm.masked.expandload.v{kind.count}f32"
        return Lanes(self, self.intrinsic(name, kind, self.after(pointer, first), mask, other.value))

    def count(self, mask: Value) -> Value:
        """How many lanes of a mask are set."""
        bits = ir.IntType(mask.type.count)
        found = self.intrinsic(f"llvm.ctpop.i{mask.type.count}", bits, self.builder.bitcast(mask, bits))
        return self.builder.zext(found, INT64)

    def zero(self, width: int) -> Lanes:
        """Zeros."""
        return Lanes(self, _constant(FLOAT if width == 1 else ir.VectorType(FLOAT, width), 0.0))

    def number(self, pointer: Value, k: "int | Value", width: int) -> Lanes:
        """Number `k` behind a pointer, `width` times."""
        one = self.load(pointer, Place(self.whole(k) if isinstance(k, int) else k, 1))
        return one if width == 1 else self.spread(one, width)

    def buffer(self, more: int = 0) -> Value:
        """Room for the numbers of a tile, and some more."""
        room = self.builder.alloca(ir.ArrayType(FLOAT, TILE + more))
        return self.builder.inttoptr(self.builder.ptrtoint(room, INT64), POINTER)

    def fill(self, buffers: Sequence[Value], numbers: Sequence[Lanes]) -> None:
        """The same number everywhere in a buffer, for several of them."""
        with self.loop(self.whole(0), self.whole(TILE), WIDE) as i:
            for buffer, x in zip(buffers, numbers, strict=True):
                self.store(x, buffer, Place(i, WIDE))

    @contextmanager
    def loop(self, start: Value, stop: Value, step: int = 1) -> Iterator[Value]:
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
    def running(self, start: Value, stop: Value, step: int) -> Iterator[tuple[Value, Value, Callable[[Value], None]]]:
        """A loop as `loop`, with a whole number that begins at 0: index, number, and what sets it for the next turn.

        Behind the loop it is `last`.
        """
        builder = self.builder
        head, inside, end = (builder.function.append_basic_block(name) for name in ("head", "inside", "end"))
        before = builder.block
        builder.branch(head)
        builder.position_at_end(head)
        i, number = builder.phi(INT64), builder.phi(INT64)
        i.add_incoming(start, before)
        number.add_incoming(self.whole(0), before)
        builder.cbranch(builder.icmp_signed("<", i, stop), inside, end)
        builder.position_at_end(inside)
        found: list[Value] = []
        yield i, number, found.append
        i.add_incoming(builder.add(i, self.whole(step)), builder.block)
        number.add_incoming(found[0], builder.block)
        builder.branch(head)
        builder.position_at_end(end)
        self.last = number

    @contextmanager
    def tiles(self, columns: Value) -> Iterator[tuple[Value, Value]]:
        """What is written inside is done for every tile: its first column, and how many it has."""
        with self.loop(self.whole(0), columns, TILE) as first:
            left = self.builder.sub(columns, first)
            full = self.builder.icmp_signed(">", left, self.whole(TILE))
            yield first, self.builder.select(full, self.whole(TILE), left)

    def each(self, count: Value, law: Any) -> None:
        """`law(place)` for all elements of a tile."""
        most = self.builder.and_(count, self.whole(-WIDE))
        for ends, width in (((self.whole(0), most), WIDE), ((most, count), 1)):
            with self.loop(*ends, width) as i:
                law(Place(i, width))
