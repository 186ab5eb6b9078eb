"""What models take: pixel values in range, in the right shape, and nothing else."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_sample_image

from xraylib import models
from xraylib.preprocessing import check_images

CHINA = load_sample_image("china.jpg")
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 90, 110, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def lite0():
    return models.report_network("efficientnet_lite0", seed=1)


def until(model, layer):
    return keras.Model(model.input, model.get_layer(layer).output)


def test_shrinking_averages_as_pillow_does(lite0):
    found = until(lite0, "preprocess")(CHINA[None])[0] * 128 + 127
    expected = Image.fromarray(CHINA).resize((224, 224), Image.Resampling.BILINEAR)
    assert np.abs(found - np.asarray(expected, float)).max() < 1  # Pillow rounds, twice
    assert models.native_size(lite0) == 224


GOOD = IMAGES.astype("float32")
BAD = [
    pytest.param(GOOD / 255, "already scaled", id="divided by 255"),
    pytest.param(GOOD / 127.5 - 1, "0..255", id="-1 to 1"),
    pytest.param(GOOD - GOOD.mean(), "0..255", id="centred"),
    pytest.param(GOOD * 257, "0..255", id="16 bits"),
    pytest.param(np.where(GOOD == 7, np.nan, GOOD), "NaN", id="NaN"),
    pytest.param(np.where(GOOD == 7, np.inf, GOOD), "infinite", id="infinite"),
]


@pytest.mark.parametrize(("images", "message"), BAD)
def test_wrong_pixels_are_refused_everywhere(lite0, images, message):
    with pytest.raises(ValueError, match=message):
        check_images(images)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        lite0.predict(images, verbose=0)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        lite0(images)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([[["a"]]], "must be numbers"),
        ([IMAGES[0], IMAGES[0, :50]], "several sizes"),
        (IMAGES > 9, "must be numbers.*bool"),
        (IMAGES[0], r"image\[None\]"),
        (IMAGES[..., 0], "np.repeat"),
        (IMAGES[..., :1], "np.repeat"),
        (IMAGES[0, ..., 0], "np.repeat"),
        (np.moveaxis(IMAGES, -1, 1), "np.moveaxis"),
        (IMAGES[:0], "no images"),
    ],
)
def test_wrong_arrays_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        check_images(images)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64"])
def test_right_images_pass(lite0, dtype):
    images = IMAGES.astype(dtype)
    assert check_images(images) is images
    np.testing.assert_array_equal(
        lite0.predict(images, verbose=0), lite0.predict(IMAGES, verbose=0)
    )
    check_images(0 * images)
    assert np.isfinite(lite0.predict(0 * images, verbose=0)).all()
