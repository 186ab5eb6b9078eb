"""Maps of what a score rests on: on models and films whose evidence is known."""

import keras
import numpy as np
import pytest
from keras import layers

from xraylib import explain, models

SIZE = 48


@pytest.fixture(scope="module")
def films():
    """Grey films with one bright and one dark square: images, masks of the two."""
    rng = np.random.default_rng(0)
    images = rng.integers(90, 110, (24, SIZE, SIZE, 3)).astype(np.uint8)
    bright, dark = np.zeros((2, 24, SIZE, SIZE), bool)
    for i in range(24):
        one, other = rng.permutation(9)[:2]  # cells of a 3 x 3 grid
        for mask, cell, grey in ((bright, one, 250), (dark, other, 5)):
            row, column = 16 * np.array(divmod(cell, 3)) + rng.integers(1, 7, 2)
            mask[i, row : row + 10, column : column + 10] = True
            images[i][mask[i]] = grey
    return images, bright, dark


def network(head="mean", bias=0.0, size=None):
    """Channel 0 of "features" sees what is bright, channel 1 what is dark; bright speaks for 1."""
    images = keras.Input((size, size, 3), name="images")
    x = layers.Conv2D(2, 4, strides=4, activation="relu", name="features")(images)
    if head == "mean":
        x, weights = layers.GlobalAveragePooling2D(name="pool")(x), np.array([[50.0], [-30.0]])
    else:  # only the left half counts
        weights = np.zeros((size // 4, size // 4, 2, 1))
        weights[:, : size // 8, 0] = 1
        x, weights = layers.Flatten(name="pool")(x), weights.reshape(-1, 1)
    model = keras.Model(images, layers.Dense(1, "sigmoid", name="probability")(x))
    mean = np.full((4, 4, 3), 1 / (48 * 255))
    model.get_layer("features").set_weights([np.stack([mean, -mean], -1), np.array([-0.5, 0.3])])
    model.get_layer("probability").set_weights([weights, np.array([bias])])
    return model


def edges(model, images):
    """An "explanation" that never asks the model."""
    return np.abs(np.gradient(np.asarray(images, float)[..., 0], axis=1))


# Known evidence


@pytest.mark.parametrize("target", [1, 0])
def test_maps_hit_the_evidence_of_either_class(films, target):
    images, bright, dark = films
    masks, model = (bright, dark)[1 - target], network()
    cam = explain.grad_cam(model, images, target=target, progress=False)
    drop = explain.occlusion(model, images, patch=8, stride=4, target=target, progress=False)
    for maps in (cam, drop):
        assert maps.shape == images.shape[:3] and maps.dtype == np.float32
        found = explain.hits(maps, masks)
        assert (found.pointing.k, found.pointing.n, found.flat) == (24, 24, 0)
        assert found.mass > 4 * found.area
        other = explain.hits(maps, (bright, dark)[target])
        assert other.pointing.k == 0 and other.mass < 0.01
    guess = explain.hits(explain.random_map(images, seed=1), masks)
    assert guess.pointing.k <= 6 and guess.mass == pytest.approx(guess.area, abs=0.02)
    assert guess.area == pytest.approx(100 / SIZE**2)


def test_grad_cam_is_the_weighted_sum(films):
    """Behind a mean over the map the slopes are known: Selvaraju's map is the CAM of 2016."""
    images, model = films[0], network()
    features = explain.feature_maps(model, images, "features")
    assert features.shape == (24, 12, 12, 2) and features.dtype == np.float32
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
    assert explain.hits(drop, left).pointing.k == 3
    assert explain.hits(drop, left).mass > 0.4 and explain.hits(drop, right).mass == 0
    cam = explain.grad_cam(model, images, progress=False)
    masses = [explain.hits(cam, mask).mass for mask in (left, right)]
    assert masses[0] == pytest.approx(masses[1], rel=1e-3) and masses[0] > 0.3


def test_occlusion_gives_the_drop_of_the_logit():
    """A logit that is the mean pixel value: the drop is what the patch took away, at its centre."""
    pixels = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(pixels)
    model = keras.Model(pixels, layers.Dense(1, "sigmoid", kernel_initializer="ones")(x))
    images = np.random.default_rng(1).integers(0, 256, (2, 31, 25, 3)).astype("float32")
    found = explain.occlusion(model, images, patch=9, stride=4, fill=7, progress=False)
    for row, column in ((0, 0), (8, 12), (22, 16)):  # 22 and 16: the far edges, off the stride
        inside = images[:, row : row + 9, column : column + 9]
        expected = (inside - 7).sum((1, 2, 3)) / (31 * 25)
        np.testing.assert_allclose(found[:, row + 4, column + 4], expected, rtol=1e-3)
    np.testing.assert_array_equal(found[:, 0, 0], found[:, 4, 4])  # continued to the edge
    against = explain.occlusion(model, images, patch=9, stride=4, fill=7, target=0, progress=False)
    np.testing.assert_array_equal(against, -found)
    means = explain.occlusion(model, images, patch=25, stride=25, progress=False)
    whole = images - images.mean((1, 2), keepdims=True)
    expected = whole[:, :25].sum((1, 2, 3)) / (31 * 25)
    np.testing.assert_allclose(means[:, 12, 12], expected, atol=2e-3)


def test_random_maps_are_right_as_often_as_the_mask_is_large():
    images = np.zeros((400, 28, 28, 3), np.uint8)
    quarter = np.zeros((400, 28, 28), bool)
    quarter[:, :14, 14:] = True
    maps = explain.random_map(images, seed=0)
    found = explain.hits(maps, quarter)
    assert found.pointing.low < 0.25 < found.pointing.high
    assert found.mass == pytest.approx(0.25, abs=0.01) and found.area == 0.25
    np.testing.assert_array_equal(maps, explain.random_map(images, seed=0))
    assert not np.array_equal(maps, explain.random_map(images, seed=1))
    assert (maps.max((1, 2)) == 1).all() and maps.min() >= 0
    # Smooth: neighbours differ little beside the whole range.
    assert np.abs(np.diff(maps, axis=1)).max() < 0.5


def test_maxima_that_are_shared():
    mask = np.zeros((1, 4, 4), bool)
    mask[0, :, :2] = True
    one = np.zeros((1, 4, 4))
    one[0, 0, :3] = 5  # two of three highest pixels inside
    assert explain.hits(one, mask).pointing.k == 1
    assert explain.hits(one, mask).mass == pytest.approx(2 / 3)
    one[0, 0, :4] = 5
    assert explain.hits(one, mask).pointing.k == 0


def test_flat_maps_point_nowhere():
    masks = np.ones((3, 4, 4), bool)
    masks[:, 3] = False
    maps = np.zeros((3, 4, 4))
    maps[1] = 0.1 + np.random.default_rng(0).random((4, 4)) * 1e-9
    maps[2] = -2
    found = explain.hits(maps, masks)
    assert (found.pointing.k, found.flat, found.area) == (0, 3, 0.75)
    assert found.mass == pytest.approx(0.25)  # one of three has mass, spread evenly
    assert "3 maps flat" in str(found)


def test_nothing_that_speaks_for_the_class_gives_a_map_of_zeros():
    plain = np.full((2, SIZE, SIZE, 3), 100, np.uint8)
    found = explain.grad_cam(network(), plain, progress=False)
    np.testing.assert_array_equal(found, np.zeros((2, SIZE, SIZE), np.float32))


# Random weights


@pytest.fixture(scope="module")
def report():
    return models.report_network("efficientnet_lite0", weights=None, seed=0)


def test_what_ignores_the_model_is_caught(films):
    images = films[0]

    def cam(model, images):
        return explain.grad_cam(model, images, progress=False)

    table = explain.sanity(cam, network(), images, draws=8)
    assert list(table.index) == ["top", "all"] and (table["n"] == 24).all()
    assert (table["correlation"] < 0.75).all() and (table["sd_draws"] > 0).all()
    caught = explain.sanity(edges, network(), images, draws=2)
    np.testing.assert_allclose(caught["correlation"], 1)
    np.testing.assert_allclose(caught[["sd", "sd_draws", "flat"]], 0, atol=1e-12)
    again = explain.sanity(cam, network(), images, draws=8)
    assert again.equals(table)
    assert not explain.sanity(cam, network(), images, draws=8, seed=1).equals(table)


def test_flat_maps_give_a_number_too(films):
    images, model = films[0][:4], network()
    original = model.get_layer("probability").get_weights()[0]

    def flat(model, images):
        return np.zeros(images.shape[:3])

    def flat_when_random(candidate, images):
        same = np.array_equal(candidate.get_layer("probability").get_weights()[0], original)
        return edges(candidate, images) if same else flat(candidate, images)

    for explained, expected in ((flat, 1), (flat_when_random, 0)):
        table = explain.sanity(explained, model, images, draws=2)
        assert (table["correlation"] == expected).all() and (table["flat"] == 8).all()
        assert not table.isna().any(axis=None)


def test_random_weights_reach_down_to_a_layer(report):
    before = report.get_weights()
    top, everything = explain.randomise(report, after="features"), explain.randomise(report)
    names = [layer.name for layer in report.layers]
    source = names[: names.index("features")]
    for name in names:
        old = report.get_layer(name).get_weights()
        for new, redrawn in ((top, name not in source), (everything, True)):
            for a, b in zip(old, new.get_layer(name).get_weights(), strict=True):
                # Kernels move; the rest of an untrained network is at its start already. Both were
                # made with seed 0: that must not give a source its own weights back.
                assert np.array_equal(a, b) != (redrawn and a.ndim > 1), name
    for a, b in zip(before, report.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    features = explain.feature_maps(everything, images, "features")
    assert 1e-2 < features.std() < 10  # the signal neither fades nor explodes


def test_batch_normalisation_starts_anew():
    pixels = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="features")(pixels)
    x = layers.GlobalMaxPooling2D()(layers.BatchNormalization(name="bn")(x))
    model = keras.Model(pixels, layers.Dense(1, "sigmoid", name="probability")(x))
    for name in ("bn", "probability"):
        layer = model.get_layer(name)
        layer.set_weights([w + 3 for w in layer.get_weights()])
    copy = explain.randomise(model, seed=5, after="features")
    gamma, beta, mean, variance = copy.get_layer("bn").get_weights()
    assert (gamma == 1).all() and (variance == 1).all() and not beta.any() and not mean.any()
    assert copy.get_layer("probability").get_weights()[1] == 0
    draws = [explain.randomise(model, seed=s).get_layer("features").kernel for s in (5, 5, 6)]
    assert np.array_equal(draws[0], draws[1]) and not np.array_equal(draws[0], draws[2])


# The book's networks


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_report_network(report, policy):
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 80, 3), dtype=np.uint8)
    model = report
    if policy != "float32":
        keras.config.set_dtype_policy(policy)
        try:
            model = models.report_network("efficientnet_lite0", weights=None, seed=0)
        finally:
            keras.config.set_dtype_policy("float32")
        assert model.get_layer("features").compute_dtype == "bfloat16"
    for layer in ("features", "block10_add"):  # the second inside a residual connection
        maps = np.maximum(*(explain.grad_cam(model, images, layer, target=t) for t in (0, 1)))
        assert maps.shape == (2, 64, 80) and maps.dtype == np.float32
        assert np.isfinite(maps).all() and maps.min() >= 0 and (maps.max((1, 2)) == 1).all()
    drops = explain.occlusion(model, images, stride=32)
    assert drops.shape == (2, 64, 80) and np.isfinite(drops).all() and (drops != 0).any()
    features = explain.feature_maps(model, images, "block10_add")
    assert features.shape == (2, 14, 14, 112) and features.dtype == np.float32


# What cannot be right


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: explain.grad_cam(m, x, "mixed10"), "images, features, pool, prob.*'mixed10'"),
        (lambda m, x: explain.feature_maps(m, x, "pool"), "of images, features; got 'pool' with"),
        (lambda m, x: explain.grad_cam(m, x[0]), "pass image.None."),
        (lambda m, x: explain.grad_cam(m, x / 255), "already scaled"),
        (lambda m, x: explain.grad_cam(m, x[:0]), "no images"),
        (lambda m, x: explain.grad_cam(m, [x[0], x[0, :9]]), "several sizes"),
        (lambda m, x: explain.grad_cam(network(size=32), x), r"\('n', 32, 32, 3\).*\(24, 48"),
        (lambda m, x: explain.grad_cam(m, x, target=2), "target must be 0 or 1.*got 2"),
        (lambda m, x: explain.occlusion(m, x, patch=49), "1 to 48 whole pixels.*patch=49"),
        (lambda m, x: explain.occlusion(m, x, patch=8, stride=9), "stride=9"),
        (lambda m, x: explain.occlusion(m, x, patch=8.5, stride=2), "whole.*patch=8.5"),
        (lambda m, x: explain.occlusion(m, x, fill=256), "from 0 to 255, got 256"),
        (lambda m, x: explain.occlusion(m, x, fill="black"), "'black'"),
        (lambda m, x: explain.occlusion(m, x, fill=float("nan")), "got nan"),
        (lambda m, x: explain.randomise(m, after="top"), "expected one of.*'top'"),
        (lambda m, x: explain.sanity(edges, m, x, draws=0), "1 or more, got 0"),
        (lambda m, x: explain.sanity(lambda m, x: x, m, x), r"shape \(24, 48, 48\), got \(24, 48"),
        (lambda m, x: explain.sanity(lambda m, x: x[..., 0] * np.nan, m, x), "finite: False"),
    ],
)
def test_bad_arguments_are_refused(films, call, message):
    with pytest.raises(ValueError, match=message):
        call(network(), films[0])


def test_other_models_are_refused(films):
    pixels = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, name="features")(pixels)
    model = keras.Model(pixels, layers.Dense(2, "softmax")(layers.GlobalMaxPooling2D()(x)))
    for explained in (explain.grad_cam, explain.occlusion):
        with pytest.raises(ValueError, match="one sigmoid unit"):
            explained(model, films[0])
    broken = network(bias=np.nan)
    for explained in (explain.grad_cam, explain.occlusion):
        with pytest.raises(ValueError, match="NaN"):
            explained(broken, films[0])


def test_masks_that_cannot_be_hit(films):
    _, bright, _ = films
    maps = np.zeros(bright.shape)
    empty = bright.copy()
    empty[[3, 7]] = False
    for masks, message in (
        (empty, r"masks \[3, 7\] are empty"),
        (bright.astype(int), "masks > 0"),
        (bright[:, :9], "resize the masks"),
        (bright[0], "one shape"),
    ):
        with pytest.raises(ValueError, match=message):
            explain.hits(maps, masks)
    with pytest.raises(ValueError, match="NaN"):
        explain.hits(maps * np.nan, bright)
    with pytest.raises(ValueError, match=r"\(0, 4, 4\)"):
        explain.hits(np.zeros((0, 4, 4)), np.zeros((0, 4, 4), bool))
