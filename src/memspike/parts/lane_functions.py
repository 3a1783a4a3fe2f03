"""Functions of lanes: exponentials, roots, logarithms and what is made of them."""

import math

from memspike.parts.lanes import INT32, Lanes, Words, constant, ir, of_kind
from memspike.parts.writer import Variable

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
    whole = of_kind(x.value.type, INT32)
    bits = builder.add(builder.fptosi(n.value, whole), constant(whole, 127))
    power = builder.bitcast(builder.shl(bits, constant(whole, 23)), x.value.type)
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
    return Lanes(x.writer, x.writer.intrinsic(name, kind, x.value, near=True))


# (log(1 + f) − f + f²/2)/f³ for 1 + f between √½ and √2, after Moshier's Cephes library
LOGARITHM = (
    *(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1),
    *(-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
)


def logarithm(x: Lanes) -> Lanes:
    """log x of normal numbers above 0, to 1e-7 of it or, where it is below 1, to 1e-7."""
    bits, builder, whole = x.as_words(), x.writer.builder, of_kind(x.value.type, INT32)
    # the exponent with which what is left lies between √½ and √2
    high = Words(x.writer, builder.ashr((bits + -0x3F3504F3).value, constant(whole, 23)))
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
    writer, w = x.writer, -logarithm((1.0 - x) * (1.0 + x))
    found, above = Variable(writer, _polynomial(w - 2.5, INVERSE)), w.above(5.0)
    if not isinstance(x.value.type, ir.VectorType):
        return _polynomial(root(w) - 3.0, INVERSE_FAR).where(above, found.get()) * x
    # one number in three hundred
    with writer.only_if(writer.builder.icmp_signed(">", writer.any(above), writer.whole(0))):
        found.put(_polynomial(root(w) - 3.0, INVERSE_FAR).where(above, found.get()))
    return found.get() * x


def _polynomial(at: Lanes, coefficients: tuple[float, ...]) -> Lanes:
    first, *others = coefficients
    share = at.nothing() + first
    for c in others:
        share = share * at + c
    return share
