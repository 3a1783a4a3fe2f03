"""What the rows of a crossbar see of that which drives a layer: all of it, or patches of an image in turn."""

import math
from abc import abstractmethod
from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.arrays.crossbar import Crossbar, Seen
from memspike.devices.base import Key
from memspike.devices.part import AbstractPart
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
    def currents(
        self, crossbar: Crossbar, seen: Seen, v: Float[Array, "*batch inputs"], image: Map, *, key: Key = None
    ) -> Float[Array, "*batch neurons"]:
        """Currents in A into the neurons for voltages in V of the image; with a key, with fresh read noise."""


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

    def currents(
        self, crossbar: Crossbar, seen: Seen, v: Float[Array, "*batch inputs"], image: Map, *, key: Key = None
    ) -> Float[Array, "*batch neurons"]:
        """`Crossbar.read`."""
        return crossbar.read(seen, v, key=key)


class Convolution(AbstractConnection):
    """One array reads the patches of an image in turn: each column is a kernel, each position has its own neurons.

    Rows are the pixels of a patch (rows of the image, then columns, then channels), and a bias row. Pixels outside of
    the image are at 0 V. The currents of `pool` × `pool` neighbouring positions are held and averaged before the
    synaptic filter: a mean, as charge that is shared gives it; a maximum would need comparators. Positions that do not
    fill a pool are not read. Every read has its own read noise.

    Without converters all reads of all steps are one convolution with the kernel that averaged positions make
    together; with them, one product of matrices over all patches, and the average of what was converted.
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

    def _placed(self, v: Real, image: Map) -> tuple[Real, Real]:
        """The image [..., height, width, channels], and the bias [..., 0 or 1]."""
        n = math.prod(image)
        return v[..., :n].reshape(*v.shape[:-1], *image), v[..., n:]

    def reads(self, v: Float[Array, "*batch inputs"], image: Map) -> Float[Array, "*batch reads rows"]:
        """One read a position."""
        pixels, bias = self._placed(v, image)
        down, across = self._used(image)
        around, s = (self.padding, self.padding), self.stride
        padded = jnp.pad(pixels, (*((0, 0),) * (v.ndim - 1), around, around, (0, 0)))

        def shifted() -> Iterator[Real]:
            for a in range(self.kernel):
                for b in range(self.kernel):
                    yield padded[..., a : a + (down - 1) * s + 1 : s, b : b + (across - 1) * s + 1 : s, :]
            yield jnp.broadcast_to(bias[..., None, None, :], (*v.shape[:-1], down, across, bias.shape[-1]))

        patches = jnp.concatenate(list(shifted()), axis=-1)
        return patches.reshape(*v.shape[:-1], down * across, patches.shape[-1])

    def _used(self, image: Map) -> tuple[int, int]:
        """Positions below and beside each other that are read."""
        down, across = (n // self.pool * self.pool for n in self._positions(image))
        return down, across

    def currents(
        self, crossbar: Crossbar, seen: Seen, v: Float[Array, "*batch inputs"], image: Map, *, key: Key = None
    ) -> Float[Array, "*batch neurons"]:
        """The average of `pool`² reads for every neuron."""
        if crossbar.periphery.ideal:
            columns = crossbar.columns(seen)
            found = columns.read(v, key=key, product=lambda x, w: self._convolved(x, w, image), reads=self.pool**2)
            return found.reshape(*v.shape[:-1], -1)
        each = crossbar.read(seen, self.reads(v, image), key=key)
        down, across, columns = self.neurons(image, each.shape[-1])
        each = each.reshape(*v.shape[:-1], down, self.pool, across, self.pool, columns).mean((-4, -2))
        return each.reshape(*v.shape[:-1], -1)

    def _convolved(
        self, v: Float[Array, "*batch inputs"], w: Float[Array, "rows columns"], image: Map
    ) -> Float[Array, "*batch height width columns"]:
        """Averages over pools of patch @ w."""
        pixels, bias = self._placed(v, image)
        channels, columns = image[2], w.shape[1]
        kernel = w[: self.kernel**2 * channels].reshape(self.kernel, self.kernel, channels, columns)
        last = (self.pool - 1) * self.stride
        steps = range(0, last + 1, self.stride)
        wide = [jnp.pad(kernel, ((a, last - a), (b, last - b), (0, 0), (0, 0))) for a in steps for b in steps]
        kernel = sum(wide[1:], wide[0]) / len(wide)
        # the batch first: what is spread over devices stays so when it becomes one axis with the steps
        stacked = jnp.moveaxis(pixels, 0, -4) if v.ndim > 2 else pixels
        found = jax.lax.conv_general_dilated(
            stacked.reshape(-1, *image),
            kernel,
            (self.stride * self.pool,) * 2,
            ((self.padding, self.padding),) * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        found = found.reshape(*stacked.shape[:-3], *found.shape[1:])
        found = jnp.moveaxis(found, -4, 0) if v.ndim > 2 else found
        if not bias.shape[-1]:
            return found
        return found + (bias @ w[-1:])[..., None, None, :]
