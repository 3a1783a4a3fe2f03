"""Numbers of neighbouring elements, whose operators write machine instructions: what kernels are written with.

A law is written for one element, as everywhere; `Lanes` of 16 compute it for 16 neighbours at once, `Lanes` of one for
those that are left over. What the processor has is the compiler's business: one register of 512 bits, two of 256 or
four of 128. Needs llvmlite, which is imported by nothing but kernels.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memspike.parts.writer import Writer

# it comes without types
ir: Any = importlib.import_module("llvmlite.ir")
Value = Any
"""A number, word, pointer or mask of a kernel."""
Kind = Any
"""The type of a value."""

WIDE = 16
# elements whose states stay in the nearest cache while time passes
TILE = 256

BYTE, SHORT, INT32, INT64, FLOAT = *(ir.IntType(n) for n in (8, 16, 32, 64)), ir.FloatType()
POINTER = ir.PointerType()
# products may be added in one instruction; infinities and NaN stay what they are
FREEDOM = ("contract", "nsz", "arcp")


class Lanes:
    """`width` float32 numbers; `+ − * /` with others and with numbers of Python."""

    def __init__(self, writer: "Writer", value: Value) -> None:
        self.writer, self.value = writer, value

    def _other(self, x: Any) -> Value:
        return x.value if isinstance(x, Lanes) else constant(self.value.type, float(x))

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

    def nothing(self) -> "Lanes":
        """As many zeros."""
        return Lanes(self.writer, constant(self.value.type, 0.0))

    def whole(self) -> "Words":
        """The next whole numbers towards zero, as words."""
        return Words(self.writer, self.writer.builder.fptosi(self.value, of_kind(self.value.type, INT32)))

    def ceiling(self) -> "Lanes":
        """The next whole numbers above."""
        kind = self.value.type
        name = f"llvm.ceil.v{kind.count}f32" if isinstance(kind, ir.VectorType) else "llvm.ceil.f32"
        return Lanes(self.writer, self.writer.intrinsic(name, kind, self.value))

    def as_words(self) -> "Words":
        """The same bits as words."""
        return Words(self.writer, self.writer.builder.bitcast(self.value, of_kind(self.value.type, INT32)))


class Words:
    """`width` words of 32 bits; `+ ^ | << >>` with others and with numbers of Python."""

    def __init__(self, writer: "Writer", value: Value) -> None:
        self.writer, self.value = writer, value

    def _two(self, name: str, x: Any) -> "Words":
        other = x.value if isinstance(x, Words) else constant(self.value.type, int(x))
        return Words(self.writer, getattr(self.writer.builder, name)(self.value, other))

    def __add__(self, x: Any) -> "Words":
        return self._two("add", x)

    def __xor__(self, x: Any) -> "Words":
        return self._two("xor", x)

    def __or__(self, x: Any) -> "Words":
        return self._two("or_", x)

    def __and__(self, x: Any) -> "Words":
        return self._two("and_", x)

    def __lshift__(self, x: int) -> "Words":
        return self._two("shl", x)

    def __rshift__(self, x: int) -> "Words":
        return self._two("lshr", x)

    def set_bits(self) -> "Words":
        """How many bits of every word are set."""
        kind = self.value.type
        name = f"llvm.ctpop.v{kind.count}i32" if isinstance(kind, ir.VectorType) else "llvm.ctpop.i32"
        return Words(self.writer, self.writer.intrinsic(name, kind, self.value))

    def number(self) -> Lanes:
        """The whole numbers that they are, as float32."""
        return Lanes(self.writer, self.writer.builder.sitofp(self.value, of_kind(self.value.type, FLOAT)))

    def as_float(self) -> Lanes:
        """The same bits as float32."""
        return Lanes(self.writer, self.writer.builder.bitcast(self.value, of_kind(self.value.type, FLOAT)))


def constant(kind: Kind, x: Any) -> Value:
    """A number of a kind, or of its lanes."""
    return ir.Constant(kind, [x] * kind.count if isinstance(kind, ir.VectorType) else x)


def of_kind(kind: Kind, element: Kind) -> Kind:
    """As many lanes of another element."""
    return ir.VectorType(element, kind.count) if isinstance(kind, ir.VectorType) else element
