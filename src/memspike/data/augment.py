"""Random changes of training images."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

Images = Float[Array, "batch height width"]


def shift(images: Images, pixels: float, *, key: PRNGKeyArray) -> Images:
    """Move each image by a normal random offset of s.d. `pixels` (rounded, at most 2) in both directions."""
    reach = 2
    _, height, width = images.shape
    padded = jnp.pad(images, ((0, 0), (reach, reach), (reach, reach)))
    offset = jnp.clip(jnp.round(pixels * jax.random.normal(key, (len(images), 2))), -reach, reach)
    starts = offset.astype(jnp.int32) + reach

    def crop(image: Float[Array, "h w"], start: Array) -> Array:
        return jax.lax.dynamic_slice(image, (start[0], start[1]), (height, width))

    return jax.vmap(crop)(padded, starts)


def mirror(images: Images, *, key: PRNGKeyArray) -> Images:
    """Mirror each image left to right with probability one half."""
    flip = jax.random.bernoulli(key, 0.5, (len(images), 1, 1))
    return jnp.where(flip, images[:, :, ::-1], images)


def drop(images: Images, share: float, *, key: PRNGKeyArray) -> Images:
    """Set a random `share` of the pixels to zero."""
    return jnp.where(jax.random.bernoulli(key, share, images.shape), 0.0, images)
