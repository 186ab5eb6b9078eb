"""The images that models take: pixel values from 0 to 255, resized and scaled inside the graph."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

_SLACK = 0.01  # what resampling in single precision may overshoot 0..255 by
_SCALED = (
    "The largest pixel value is at most 1: these images look already scaled. Pass pixel values "
    "from 0 to 255; the model scales them itself."
)
_RANGE = (
    "Pixel values must lie in 0..255. Pass the images as they were read, without scaling or "
    "standardising them; the model scales them itself."
)
_FINITE = "Pixel values must be finite numbers, but some are NaN or infinite."


def check_images(images):
    """Refuse images that a model would misread, and say how to set them right.

    Args:
        images: array (n, height, width, 3) of integers or floats in 0..255; n at least 1. Images
            that are black all over are allowed.

    Returns:
        The same images, not copied where they are an array already.

    Raises:
        ValueError: another type or shape, no images, values that are not finite or outside 0..255,
            or a largest value above 0 and at most 1, as division by 255 leaves it.
    """
    try:
        array = np.asarray(images)
    except ValueError:  # NumPy on images of several sizes
        array = np.empty(0, object)
    if array.dtype.kind not in "uif":
        raise ValueError(
            f"Images must be numbers in one array; got dtype {array.dtype}. Images of several "
            "sizes must first be resized to one."
        )
    if array.ndim != 4 or array.shape[-1] != 3:
        how = {
            2: "Is it one grey image? Then pass np.repeat(image[None, ..., None], 3, axis=-1).",
            3: "For one colour image pass image[None]; for grey images (n, height, width) pass "
            "np.repeat(images[..., None], 3, axis=-1).",
        }.get(array.ndim, "")
        if array.ndim == 4 and array.shape[-1] == 1:
            how = "For grey images pass np.repeat(images, 3, axis=-1)."
        elif array.ndim == 4 and array.shape[1] == 3:
            how = "The channels seem to come first: pass np.moveaxis(images, 1, -1)."
        raise ValueError(
            f"Images must have shape (n, height, width, 3); got {array.shape}. {how}".rstrip()
        )
    if array.size == 0:
        raise ValueError(f"There are no images: got shape {array.shape}.")
    low, high = array.min(), array.max()
    if not np.isfinite([low, high]).all():  # min and max of an array with NaN are NaN
        raise ValueError(_FINITE)
    if low < -_SLACK or high > 255 + _SLACK:
        raise ValueError(f"{_RANGE} Got {low:g} to {high:g}.")
    if 0 < high <= 1:
        raise ValueError(f"{_SCALED} Got {low:g} to {high:g}.")
    return array


@keras.saving.register_keras_serializable("xraylib")
class Preprocess(layers.Layer):
    """Resize to ``size`` × ``size`` and scale to (pixel - offset) / divisor, inside the graph.

    Takes (n, height, width, 3) pixel values in 0..255 and gives (n, size, size, 3), both float32
    under mixed precision too, so that the checks see the pixels as they are. Shrinking is bilinear
    with antialiasing, so that no row of a large radiograph is skipped; at ``size`` × ``size`` it
    changes nothing.

    Raises:
        tf.errors.InvalidArgumentError: when the model runs, on what :func:`check_images` refuses.
    """

    def __init__(self, size, offset, divisor, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.size, self.offset, self.divisor = size, offset, divisor
        self.supports_jit = False  # XLA drops the checks below

    def call(self, images):
        images = tf.debugging.assert_all_finite(images, _FINITE)
        low, high = tf.reduce_min(images), tf.reduce_max(images)
        inside = tf.logical_and(low >= -_SLACK, high <= 255 + _SLACK)
        tf.debugging.Assert(inside, [_RANGE, "Got", low, "to", high])
        unscaled = tf.logical_or(high <= 0, high > 1)
        tf.debugging.Assert(unscaled, [_SCALED, "Got", low, "to", high])
        if tuple(images.shape[1:3]) != (self.size, self.size):
            images = tf.image.resize(images, (self.size, self.size), antialias=True)
        return (images - self.offset) / self.divisor

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.size, self.size, input_shape[-1])

    def get_config(self):
        here = {"size": self.size, "offset": self.offset, "divisor": self.divisor}
        return {**super().get_config(), **here}
