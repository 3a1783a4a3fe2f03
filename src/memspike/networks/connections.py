"""What the rows of a crossbar see of that which drives a layer: all of it, or patches of an image in turn."""

import math
from abc import abstractmethod

import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.arrays.crossbar import Columns, Crossbar, Seen
from memspike.devices.base import Key
from memspike.devices.part import AbstractPart
from memspike.networks.patches import Cut, patches
from memspike.parts.errors import InputError
from memspike.parts.param import option

Real = Float[Array, "..."]
Map = tuple[int, ...]
"""Where neurons are: (neurons,), or (height, width, channels), of which the last runs fastest in a flat array."""


class AbstractConnection(AbstractPart):
    """From what drives a layer to the rows of its crossbar, and from the columns to the neurons."""

    @abstractmethod
    def rows(self, image: Map) -> int:
        """Rows that an image needs, without a bias row; InputError where it cannot be connected."""

    @abstractmethod
    def neurons(self, image: Map, columns: int) -> Map:
        """Where the neurons behind so many columns are."""

    @abstractmethod
    def reads(self, v: Float[Array, "*batch inputs"], image: Map) -> Float[Array, "*batch reads rows"]:
        """Row voltages in V of every read of the array; what `v` has beyond the image is the bias row."""

    @abstractmethod
    def averages(self, v: Float[Array, "*batch inputs"], image: Map) -> Float[Array, "*batch places rows"]:
        """The mean row voltages in V of the reads behind the neurons of every place."""

    @abstractmethod
    def linear(
        self, columns: Columns, v: Float[Array, "*batch inputs"], image: Map, *, key: Key = None
    ) -> Float[Array, "*batch neurons"]:
        """What columns without converters give to the neurons, in A for `v` in V; with a key, with fresh read noise."""

    @abstractmethod
    def pooled(self, each: Float[Array, "*batch reads columns"], image: Map) -> Float[Array, "*batch neurons"]:
        """What all reads together give to the neurons."""

    def currents(
        self, crossbar: Crossbar, seen: Seen, v: Float[Array, "*batch inputs"], image: Map, *, key: Key = None
    ) -> Float[Array, "*batch neurons"]:
        """Currents in A into the neurons for voltages in V of the image; with a key, with fresh read noise."""
        if crossbar.periphery.ideal:
            return self.linear(crossbar.columns(seen), v, image, key=key)
        return self.pooled(crossbar.read(seen, self.reads(v, image), key=key), image)


class Dense(AbstractConnection):
    """Every row drives every neuron."""

    def rows(self, image: Map) -> int:
        """As many as the image has places."""
        return math.prod(image)

    def neurons(self, image: Map, columns: int) -> Map:
        """One a column."""
        return (columns,)

    def reads(self, v: Float[Array, "*batch inputs"], image: Map) -> Float[Array, "*batch reads rows"]:
        """One read."""
        return v[..., None, :]

    def averages(self, v: Float[Array, "*batch inputs"], image: Map) -> Float[Array, "*batch places rows"]:
        """Those of the one read."""
        return v[..., None, :]

    def linear(
        self, columns: Columns, v: Float[Array, "*batch inputs"], image: Map, *, key: Key = None
    ) -> Float[Array, "*batch neurons"]:
        """`Columns.read`."""
        return columns.read(v, key=key)

    def pooled(self, each: Float[Array, "*batch reads columns"], image: Map) -> Float[Array, "*batch neurons"]:
        """Those of the one read."""
        return each[..., 0, :]


class Convolution(AbstractConnection):
    """One array reads the patches of an image in turn: each column is a kernel, each position has its own neurons.

    Rows are the pixels of a patch (rows of the image, then columns, then channels), and a bias row. Pixels outside of
    the image are at 0 V. The currents of `pool` × `pool` neighbouring positions are held and averaged before the
    synaptic filter: a mean, as charge that is shared gives it; a maximum would need comparators. Positions that do not
    fill a pool are not read. Every read has its own read noise.

    All patches of all steps are one product of matrices. Currents are linear in the row voltages, so that without
    converters these are averaged first, and the product has one row a neuron and not one a read.
    """

    kernel: int = option(3, "height and width of a patch in pixels", bounds=(1, 10**4))
    stride: int = option(1, "pixels from a position to the next", bounds=(1, 10**4))
    padding: int = option(0, "pixels at 0 V around the image", bounds=(0, 10**4))
    pool: int = option(1, "the currents of so many × so many positions are averaged", bounds=(1, 10**4))

    def rows(self, image: Map) -> int:
        """kernel² · channels."""
        self._positions(image)
        return self.kernel**2 * image[2]

    def neurons(self, image: Map, columns: int) -> Map:
        """(height, width, columns)."""
        return (*(n // self.pool for n in self._positions(image)), columns)

    def _positions(self, image: Map) -> tuple[int, int]:
        """Positions of the kernel below and beside each other."""
        if len(image) != 3:
            raise InputError(f"A convolution needs an image; it is driven by {math.prod(image)} rows without places.")
        if self.padding >= self.kernel:
            raise InputError(
                f"padding is {self.padding}; allowed: 0 to {self.kernel - 1}, less than the kernel, which sees nothing "
                "beyond it."
            )
        space = [n + 2 * self.padding - self.kernel for n in image[:2]]
        if min(space) < 0:
            size = " × ".join(str(n + 2 * self.padding) for n in image[:2])
            raise InputError(
                f"The kernel of {self.kernel} × {self.kernel} is larger than the image of {size}, padding included."
            )
        down, across = (n // self.stride + 1 for n in space)
        if self.pool > min(down, across):
            raise InputError(f"pool is {self.pool}; the kernel has {down} × {across} positions to average.")
        return down, across

    def _used(self, image: Map) -> tuple[int, int]:
        """Positions below and beside each other that are read."""
        down, across = (n // self.pool * self.pool for n in self._positions(image))
        return down, across

    def _padded(self, v: Real, image: Map) -> Real:
        """The image [..., height, width, channels] with the pixels around it."""
        pixels = v[..., : math.prod(image)].reshape(*v.shape[:-1], *image)
        around = (self.padding, self.padding)
        return jnp.pad(pixels, (*((0, 0),) * (v.ndim - 1), around, around, (0, 0)))

    def reads(self, v: Float[Array, "*batch inputs"], image: Map) -> Float[Array, "*batch reads rows"]:
        """One read a position."""
        cut = Cut(self.kernel, self.stride, *self._used(image))
        return _with_bias(patches(self._padded(v, image), cut), v[..., math.prod(image) :])

    def _mean_patches(self, v: Real, image: Map) -> Real:
        """Of every pool the mean of its patches: pixels are averaged before patches are cut."""
        pixels, n = self._padded(v, image), range(self.pool)
        height, width = (size - self.stride * (self.pool - 1) for size in pixels.shape[-3:-1])
        moved = [(a * self.stride, b * self.stride) for a in n for b in n]
        whole = sum((pixels[..., a : a + height, b : b + width, :] for a, b in moved), jnp.zeros((), v.dtype))
        cut = Cut(self.kernel, self.stride * self.pool, *(size // self.pool for size in self._used(image)))
        return patches(whole / self.pool**2, cut)

    def averages(self, v: Float[Array, "*batch inputs"], image: Map) -> Float[Array, "*batch places rows"]:
        """Of every pool the mean of the row voltages of its reads."""
        return _with_bias(self._mean_patches(v, image), v[..., math.prod(image) :])

    def linear(
        self, columns: Columns, v: Float[Array, "*batch inputs"], image: Map, *, key: Key = None
    ) -> Float[Array, "*batch neurons"]:
        """The average of `pool`² reads for every neuron: one product of averaged row voltages, and that of the bias."""

        def product(x: Real, w: Real) -> Real:
            found = self._mean_patches(x, image) @ w[: self.rows(image)]
            bias = x[..., math.prod(image) :]
            return found + (bias @ w[self.rows(image) :])[..., None, :] if bias.shape[-1] else found

        found = columns.read(v, key=key, product=product, reads=self.pool**2)
        return found.reshape(*v.shape[:-1], -1)

    def pooled(self, each: Float[Array, "*batch reads columns"], image: Map) -> Float[Array, "*batch neurons"]:
        """The average of `pool`² reads for every neuron."""
        down, across, columns = self.neurons(image, each.shape[-1])
        lead = each.shape[:-2]
        each = each.reshape(*lead, down, self.pool, across, self.pool, columns).mean((-4, -2))
        return each.reshape(*lead, -1)


def _with_bias(rows: Real, bias: Real) -> Real:
    """Rows of patches [..., places, pixels], each with the bias rows [..., bias] behind it."""
    return jnp.concatenate([rows, jnp.broadcast_to(bias[..., None, :], (*rows.shape[:-1], bias.shape[-1]))], axis=-1)
