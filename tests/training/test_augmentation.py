"""The one resampling does what Keras' generator does to the same numbers."""

import numpy as np
import pytest
from keras.src.legacy.preprocessing.image import ImageDataGenerator
from scipy.ndimage import gaussian_filter

from xraylib.training import augmentation

REPORT = {
    "rotation_range": 20, "width_shift_range": 0.2, "height_shift_range": 0.2,
    "shear_range": 0.2, "zoom_range": 0.2, "horizontal_flip": True,
}  # fmt: skip


def smooth_image(height=120, width=120, channels=3, seed=0):
    noise = np.random.default_rng(seed).normal(size=(height, width, channels))
    noise = gaussian_filter(noise, (3, 3, 0))
    return (255 * (noise - noise.min()) / np.ptp(noise)).astype("float32")


def from_keras(parameters, shape):
    """Keras' drawn parameters as ours: degrees, and its tx (the height shift) moves along x."""
    one = {k: np.array([v]) for k, v in parameters.items() if v is not None}
    return augmentation.affine_matrices(
        shape, np.deg2rad(one["theta"]), one["tx"], one["ty"],
        np.deg2rad(one["shear"]), one["zx"], one["zy"], one["flip_horizontal"].astype(bool),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_same_picture_as_keras(seed):
    """Same parameters, same picture, over the whole frame with its smeared edges."""
    image = smooth_image()
    generator = ImageDataGenerator(**REPORT | {"shear_range": 15})
    parameters = generator.get_random_transform(image.shape, seed=seed)
    expected = generator.apply_transform(image.copy(), parameters)
    ours = augmentation.apply(image[None], from_keras(parameters, (120, 120)))[0]
    assert np.abs(ours - expected).max() < 0.1  # of 255


def test_rotates_about_the_centre_of_any_shape():
    """Where Keras does not: half a turn of a picture that is not square is both flips."""
    image = smooth_image(41, 60)
    zero, one = np.zeros(1), np.ones(1)
    half_turn = augmentation.affine_matrices(
        (41, 60), np.array([np.pi]), zero, zero, zero, one, one, np.array([False])
    )
    turned = augmentation.apply(image[None], half_turn)[0]
    np.testing.assert_allclose(turned, image[::-1, ::-1], atol=0.01)


def test_height_shift_moves_rows():
    image = np.zeros((1, 20, 30, 1), "uint8")
    image[0, 10, 15] = 255
    zero, one = np.zeros(1), np.ones(1)
    down = augmentation.affine_matrices(
        (20, 30), zero, zero, np.array([4.0]), zero, one, one, np.array([False])
    )
    assert np.argwhere(augmentation.apply(image, down)[0])[0].tolist() == [6, 15, 0]


def test_same_distribution_as_keras():
    """Angles, zooms, shears, shifts and flips have the generator's ranges and means."""
    shape, n = (100, 100), 4000
    generator = ImageDataGenerator(**REPORT)
    theirs = np.concatenate(
        [from_keras(generator.get_random_transform((*shape, 3), seed=i), shape) for i in range(n)]
    )
    ours = augmentation.random_matrices(n, shape, np.random.default_rng(0))
    spread = theirs.std(0)
    assert np.all(np.abs(ours.mean(0) - theirs.mean(0)) < 5 * spread / np.sqrt(n))
    np.testing.assert_allclose(ours.std(0), spread, rtol=0.05)
    tails = np.quantile([ours, theirs], [0.02, 0.98], axis=1)
    assert np.all(np.abs(tails[:, 0] - tails[:, 1]) < 0.15 * spread)


def test_shear_is_in_degrees():
    """0.2 means a fifth of a degree: the picture's vertical lines stay upright to the eye."""
    matrices = augmentation.random_matrices(
        1000, (299, 299), np.random.default_rng(0),
        rotation=0, shift=0, zoom=0, horizontal_flip=False,
    )  # fmt: skip
    largest = np.rad2deg(np.abs(matrices[:, 0, 1]).max())
    assert 0.19 < largest <= 0.2 + 1e-9


def test_identity_and_flip_are_exact():
    image = smooth_image(31, 40).astype("uint8")[None]
    still = {"rotation": 0, "shift": 0, "shear": 0, "zoom": 0}
    rng = np.random.default_rng(3)
    same = augmentation.augment(image, rng, **still, horizontal_flip=False)
    np.testing.assert_array_equal(same, image)
    many = augmentation.augment(np.repeat(image, 40, 0), rng, **still)
    flipped = np.array([np.array_equal(m, image[0, :, ::-1]) for m in many])
    kept = np.array([np.array_equal(m, image[0]) for m in many])
    assert np.all(flipped ^ kept) and 5 < flipped.sum() < 35


def test_seeded_and_dtype_kept():
    images = np.stack([smooth_image(50, 50, 1, s) for s in range(3)])
    for dtype in ("uint8", "float32"):
        batch = images.astype(dtype)
        a, b, c = (augmentation.augment(batch, np.random.default_rng(s)) for s in (1, 1, 2))
        assert a.dtype == dtype and a.shape == batch.shape
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


def test_bad_input_is_named():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="resized first"):
        augmentation.apply(np.zeros((4, 4, 3), "uint8"), np.zeros((4, 2, 3)))
    with pytest.raises(ValueError, match="uint8 or float32"):
        augmentation.apply(np.zeros((1, 4, 4, 3)), np.zeros((1, 2, 3)))
    with pytest.raises(ValueError, match="one an image"):
        augmentation.apply(np.zeros((2, 4, 4, 3), "uint8"), np.zeros((1, 2, 3)))
    with pytest.raises(ValueError, match="zoom"):
        augmentation.random_matrices(1, (4, 4), rng, zoom=1.0)
    with pytest.raises(ValueError, match="rotation"):
        augmentation.random_matrices(1, (4, 4), rng, rotation=-1)
