"""Maps of what a score rests on: on models and films whose evidence is known."""

import keras
import numpy as np
import pytest
from keras import layers

from tests.evaluation.evidence import SIZE, network, squares
from xraylib.evaluation import explain, map_checks
from xraylib.models import builders


@pytest.fixture(scope="module")
def films():
    return squares()


# Known evidence


def test_maps_hit_the_evidence(films):
    images, bright, dark = films
    model = network()
    cam = explain.grad_cam(model, images, progress=False)
    drop = explain.occlusion(model, images, patch=8, stride=4, progress=False)
    for maps in (cam, drop):
        assert maps.shape == images.shape[:3] and maps.dtype == np.float32
        found = map_checks.hits(maps, bright)
        assert (found.pointing.k, found.pointing.n, found.flat) == (24, 24, 0)
        assert found.mass > 4 * found.area
        other = map_checks.hits(maps, dark)
        assert other.pointing.k == 0 and other.mass < 0.01
    guess = map_checks.hits(map_checks.random_map(images, seed=1), bright)
    assert guess.pointing.k <= 6 and guess.mass == pytest.approx(guess.area, abs=0.02)
    assert guess.area == pytest.approx(100 / SIZE**2)


def test_grad_cam_is_the_weighted_sum(films):
    """Behind a mean over the map the slopes are known: Selvaraju's map is the CAM of 2016."""
    images, model = films[0], network()
    features = keras.Model(model.input, model.get_layer("features").output)(images).numpy()
    expected = np.maximum(features @ [50, -30], 0)
    found = explain.grad_cam(model, images, batch_size=7, progress=False)
    assert (found.max((1, 2)) == 1).all() and found.min() == 0
    # A pixel of the centre of a cell of 4 x 4: bilinear between 0.125 of a cell off.
    centres = (found[:, 1::4, 1::4] + found[:, 2::4, 2::4]) / 2
    correlation = np.corrcoef(centres.ravel(), expected.ravel())[0, 1]
    assert correlation > 0.98


def test_a_saturated_score_still_has_a_map(films):
    images = films[0]
    sure = network(bias=60.0)
    assert (sure.predict(images, verbose=0) == 1).all()
    for explained in (explain.grad_cam, explain.occlusion):
        settings = {} if explained is explain.grad_cam else {"patch": 8, "stride": 8}
        found = explained(sure, images, progress=False, **settings)
        plain = explained(network(), images, progress=False, **settings)
        np.testing.assert_allclose(found, plain, atol=1e-3 * plain.max())


def test_occlusion_knows_the_place_that_grad_cam_cannot_know():
    """Two equal squares, of which the model reads the left one: a limit that Grad-CAM has."""
    images = np.full((3, SIZE, SIZE, 3), 100, np.uint8)
    left, right = np.zeros((2, 3, SIZE, SIZE), bool)
    left[:, 8:20, 4:16] = right[:, 24:36, 32:44] = True
    images[left | right] = 250
    model = network("left", size=SIZE)
    drop = explain.occlusion(model, images, patch=12, stride=4, progress=False)
    assert map_checks.hits(drop, left).pointing.k == 3
    assert map_checks.hits(drop, left).mass > 0.4 and map_checks.hits(drop, right).mass == 0
    cam = explain.grad_cam(model, images, progress=False)
    masses = [map_checks.hits(cam, mask).mass for mask in (left, right)]
    assert masses[0] == pytest.approx(masses[1], rel=1e-3) and masses[0] > 0.3


def test_occlusion_gives_the_drop_of_the_logit():
    """A logit that is the mean pixel value: the drop is what the patch took away, at its centre."""
    pixels = keras.Input((31, 31, 3))
    x = layers.GlobalAveragePooling2D()(pixels)
    model = keras.Model(pixels, layers.Dense(1, "sigmoid", kernel_initializer="ones")(x))
    images = np.random.default_rng(1).integers(0, 256, (2, 31, 31, 3)).astype("float32")
    found = explain.occlusion(model, images, patch=9, stride=4, progress=False)
    above = images - images.mean((1, 2), keepdims=True)
    for row, column in ((0, 0), (8, 12), (22, 22)):  # 22: the far edges, off the stride
        inside = above[:, row : row + 9, column : column + 9]
        expected = inside.sum((1, 2, 3)) / 31**2
        np.testing.assert_allclose(found[:, row + 4, column + 4], expected, atol=2e-3)
    np.testing.assert_array_equal(found[:, 0, 0], found[:, 4, 4])  # continued to the edge


def test_nothing_that_speaks_for_the_class_gives_a_map_of_zeros():
    plain = np.full((2, SIZE, SIZE, 3), 100, np.uint8)
    found = explain.grad_cam(network(), plain, progress=False)
    np.testing.assert_array_equal(found, np.zeros((2, SIZE, SIZE), np.float32))


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_report_network(dtype):
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    model = builders.report_network("efficientnet_lite0", weights=None, seed=0, dtype=dtype)
    maps = explain.grad_cam(model, images)
    assert maps.shape == images.shape[:3] and maps.dtype == np.float32
    assert np.isfinite(maps).all() and maps.min() >= 0
    assert set(maps.max((1, 2)).tolist()) <= {0, 1}
    drops = explain.occlusion(model, images, patch=64, stride=64)
    assert drops.shape == images.shape[:3] and np.isfinite(drops).all() and (drops != 0).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: explain.grad_cam(m, x[0]), "pass image.None."),
        (lambda m, x: explain.grad_cam(m, x[:0]), "no images"),
        (lambda m, x: explain.grad_cam(m, [x[0], x[0, :9]]), "several sizes"),
        (lambda m, x: explain.grad_cam(network(size=32), x), "32 × 32 pixels.*got 48 × 48"),
        (lambda m, x: explain.occlusion(m, x, patch=49), "1 to 48 whole pixels.*patch=49"),
        (lambda m, x: explain.occlusion(m, x, patch=8, stride=9), "stride=9"),
        (lambda m, x: explain.occlusion(m, x, patch=8.5, stride=2), "whole.*patch=8.5"),
    ],
)
def test_bad_arguments_are_refused(films, call, message):
    with pytest.raises(ValueError, match=message):
        call(network(), films[0])


def test_other_models_are_refused(films):
    broken = network(bias=np.nan)
    for explained in (explain.grad_cam, explain.occlusion):
        with pytest.raises(ValueError, match="NaN"):
            explained(broken, films[0])
