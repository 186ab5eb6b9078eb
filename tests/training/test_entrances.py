"""What models take: pixel values in range, in the right shape, and nothing else."""

import numpy as np
import pytest

from xraylib.data.images import check_images
from xraylib.evaluation import explain
from xraylib.models import builders
from xraylib.training import fitting, frozen

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 224, 224, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def lite0():
    return builders.report_network("efficientnet_lite0", seed=1)


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
def test_wrong_pixels_are_refused_at_every_entrance(lite0, images, message):
    labels = [0, 1, 0, 1]
    for call in (
        lambda: check_images(images),
        lambda: frozen.features(lite0, images),
        lambda: fitting.predict(lite0, images),
        lambda: fitting.fit(lite0, images, labels),
        lambda: fitting.fit(lite0, IMAGES, labels, validation=(images, labels)),
        lambda: explain.grad_cam(lite0, images),
        lambda: explain.occlusion(lite0, images),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_another_size_is_refused(lite0):
    for call in (frozen.features, fitting.predict, explain.grad_cam, explain.occlusion):
        with pytest.raises(ValueError, match="224 × 224 pixels.*got 100 × 90. Resize them"):
            call(lite0, IMAGES[:, :100, :90])


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
    np.testing.assert_array_equal(fitting.predict(lite0, images), fitting.predict(lite0, IMAGES))
    check_images(0 * images)
