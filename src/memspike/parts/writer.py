"""Writes the instructions of kernels: loops, loads, stores, buffers."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from memspike.parts.lanes import (
    FLOAT,
    FREEDOM,
    INT32,
    INT64,
    POINTER,
    SHORT,
    TILE,
    WIDE,
    Kind,
    Lanes,
    Value,
    Words,
    constant,
    ir,
)


class Place(NamedTuple):
    """Elements that are computed together: their index, and how many they are; with a mask only those that it sets."""

    index: Value
    width: int
    mask: Value = None


class Variable:
    """Lanes that change while loops run; the compiler keeps them in a register."""

    def __init__(self, writer: "Writer", start: Lanes) -> None:
        self.writer = writer
        with writer.builder.goto_entry_block():
            self.room = writer.builder.alloca(start.value.type)
        self.kind = start.value.type
        self.put(start)

    def put(self, x: Lanes) -> None:
        """Set it."""
        self.writer.builder.store(x.value, self.room)

    def get(self) -> Lanes:
        """What it is now."""
        return Lanes(self.writer, self.writer.builder.load(self.room, typ=self.kind))


class Writer:
    """Writes the instructions of a kernel: loops, loads, stores, buffers. A tile has `tile` elements."""

    last: Value

    def __init__(self, builder: Any) -> None:
        self.builder, self.tile = builder, TILE

    def intrinsic(self, name: str, result: Kind, *given: Value, near: bool = False) -> Value:
        """What a function that LLVM has makes of values; with `near` by an estimate that is made exact."""
        module = self.builder.module
        kind = ir.FunctionType(result, [x.type for x in given])
        known = module.globals.get(name) or ir.Function(module, kind, name)
        return self.builder.call(known, given, fastmath=("afn", *FREEDOM) if near else ())

    def whole(self, n: int) -> Value:
        """A whole number."""
        return ir.Constant(INT64, n)

    def product(self, numbers: Sequence[Value]) -> Value:
        """Of whole numbers."""
        found = self.whole(1)
        for n in numbers:
            found = self.builder.mul(found, n)
        return found

    def after(self, pointer: Value, elements: Value) -> Value:
        """The pointer that many float32 later."""
        return self.builder.gep(pointer, [elements], source_etype=FLOAT)

    def load(self, pointer: Value, place: Place) -> Lanes:
        """The numbers at a place."""
        if place.mask is not None:
            return self.load_where(place.mask, pointer, place)
        kind = FLOAT if place.width == 1 else ir.VectorType(FLOAT, place.width)
        found = self.builder.load(self.after(pointer, place.index), typ=kind)
        found.align = 4
        return Lanes(self, found)

    def store(self, x: Lanes, pointer: Value, place: Place) -> None:
        """Keep numbers at a place."""
        if place.mask is not None:
            self.store_where(place.mask, x, pointer, place)
            return
        self.builder.store(x.value, self.after(pointer, place.index)).align = 4

    def load_shorts(self, pointer: Value, place: Place) -> Words:
        """Whole numbers of 16 bits at a place, as words."""
        here = self.builder.gep(pointer, [place.index], source_etype=SHORT)
        kind = ir.VectorType(SHORT, place.width)
        if place.mask is None:
            found = self.builder.load(here, typ=kind)
            found.align = 2
        else:
            name, align = f"llvm.masked.load.v{place.width}i16.p0", ir.Constant(INT32, 2)
            found = self.intrinsic(name, kind, here, align, place.mask, constant(kind, 0))
        return Words(self, self.builder.zext(found, ir.VectorType(INT32, place.width)))

    def store_shorts(self, x: Words, pointer: Value, place: Place) -> None:
        """Keep words as whole numbers of 16 bits at a place."""
        here = self.builder.gep(pointer, [place.index], source_etype=SHORT)
        short = self.builder.trunc(x.value, ir.VectorType(SHORT, place.width))
        if place.mask is None:
            self.builder.store(short, here).align = 2
            return
        name = f"llvm.masked.store.v{place.width}i16.p0"
        self.intrinsic(name, ir.VoidType(), short, here, ir.Constant(INT32, 2), place.mask)

    def chosen(self, mask: Value, yes: Words, no: Words) -> Words:
        """Words where a mask is set, others elsewhere."""
        return Words(self, self.builder.select(mask, yes.value, no.value))

    def at_most_full(self, x: Words, full: int) -> Words:
        """Sums of whole numbers, and `full` where they have become too large for their bits."""
        low = self.builder.icmp_signed("<", x.value, constant(x.value.type, 0))
        return self.chosen(low, Words(self, constant(x.value.type, full)), x)

    def store_word(self, n: Value, pointer: Value, k: Value) -> None:
        """Keep a whole number as number `k` behind a pointer."""
        self.store(self.word(n).as_float(), pointer, Place(k, 1))

    def after_shorts(self, pointer: Value, elements: Value) -> Value:
        """The pointer that many numbers of 16 bits later."""
        return self.builder.gep(pointer, [elements], source_etype=SHORT)

    @contextmanager
    def only_if(self, condition: Value) -> Iterator[None]:
        """What is written inside is done if a condition holds."""
        with self.builder.if_then(condition):
            yield

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

    def any(self, mask: Value, *, every: bool = False) -> Value:
        """1 if a lane of a mask is set, or `every` one, else 0."""
        how = "and" if every else "or"
        name = f"llvm.vector.reduce.{how}.v{mask.type.count}i1"
        return self.builder.zext(self.intrinsic(name, ir.IntType(1), mask), INT64)

    def largest(self, x: Lanes) -> Value:
        """The largest of whole numbers as one, not below 0."""
        name, kind = f"llvm.vector.reduce.fmax.v{x.value.type.count}f32", FLOAT
        found = Lanes(self, self.intrinsic(name, kind, x.at_least(0.0).value))
        return self.builder.fptosi(found.value, INT64)

    def word(self, k: Value) -> Words:
        """A whole number as a word."""
        return Words(self, self.builder.trunc(k, INT32))

    def as_number(self, k: Value) -> Lanes:
        """A whole number as a float32."""
        return Lanes(self, self.builder.sitofp(k, FLOAT))

    def zero(self, width: int) -> Lanes:
        """Zeros."""
        return Lanes(self, constant(FLOAT if width == 1 else ir.VectorType(FLOAT, width), 0.0))

    def number(self, pointer: Value, k: "int | Value", width: int) -> Lanes:
        """Number `k` behind a pointer, `width` times."""
        one = self.load(pointer, Place(self.whole(k) if isinstance(k, int) else k, 1))
        return one if width == 1 else self.spread(one, width)

    def whole_at(self, pointer: Value, k: Value) -> Value:
        """Whole number `k` behind a pointer to words of 32 bits."""
        return self.builder.sext(self.load(pointer, Place(k, 1)).as_words().value, INT64)

    def buffer(self, more: int = 0) -> Value:
        """Room for the numbers of a tile, and some more."""
        room = self.builder.alloca(ir.ArrayType(FLOAT, self.tile + more))
        return self.builder.inttoptr(self.builder.ptrtoint(room, INT64), POINTER)

    def fill(self, buffers: Sequence[Value], numbers: Sequence[Lanes]) -> None:
        """The same number everywhere in a buffer, for several of them."""
        with self.loop(self.whole(0), self.whole(self.tile), WIDE) as i:
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
        with self.loop(self.whole(0), columns, self.tile) as first:
            left = self.builder.sub(columns, first)
            full = self.builder.icmp_signed(">", left, self.whole(self.tile))
            yield first, self.builder.select(full, self.whole(self.tile), left)

    def rows(self, count: Value, law: Any) -> None:
        """`law(place)` for all elements of a row, `WIDE` lanes at a time; the last ones behind a mask."""
        most = self.builder.and_(count, self.whole(-WIDE))
        with self.loop(self.whole(0), most, WIDE) as i:
            law(Place(i, WIDE))
        with self.loop(most, count, WIDE) as i:
            law(Place(i, WIDE, self.below(self.words(WIDE, i), count)))

    @contextmanager
    def set_lanes(self, mask: Value) -> Iterator[Value]:
        """What is written inside is done for every lane of a mask that is set: its number."""
        builder, bits = self.builder, ir.IntType(mask.type.count)
        left = builder.zext(builder.bitcast(mask, bits), INT64)
        head, inside, end = (builder.function.append_basic_block(name) for name in ("head", "inside", "end"))
        before = builder.block
        builder.branch(head)
        builder.position_at_end(head)
        now = builder.phi(INT64)
        now.add_incoming(left, before)
        builder.cbranch(builder.icmp_unsigned("!=", now, self.whole(0)), inside, end)
        builder.position_at_end(inside)
        yield self.intrinsic("llvm.cttz.i64", INT64, now, ir.Constant(ir.IntType(1), 1))
        now.add_incoming(builder.and_(now, builder.sub(now, self.whole(1))), builder.block)
        builder.branch(head)
        builder.position_at_end(end)

    def each(self, count: Value, law: Any) -> None:
        """`law(place)` for all elements of a tile."""
        most = self.builder.and_(count, self.whole(-WIDE))
        for ends, width in (((self.whole(0), most), WIDE), ((most, count), 1)):
            with self.loop(*ends, width) as i:
                law(Place(i, width))
