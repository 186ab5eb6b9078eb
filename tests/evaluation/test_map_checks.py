"""The tests of maps, tried on maps that are known to be good, bad or flat."""

import keras
import numpy as np
import pytest
from keras import layers

from tests.evaluation.evidence import edges, network, squares
from xraylib.evaluation import explain, map_checks
from xraylib.models import builders
from xraylib.training import frozen


@pytest.fixture(scope="module")
def films():
    return squares()


def test_random_maps_are_right_as_often_as_the_mask_is_large():
    images = np.zeros((400, 28, 28, 3), np.uint8)
    quarter = np.zeros((400, 28, 28), bool)
    quarter[:, :14, 14:] = True
    maps = map_checks.random_map(images, seed=0)
    found = map_checks.hits(maps, quarter)
    assert found.pointing.low < 0.25 < found.pointing.high
    assert found.mass == pytest.approx(0.25, abs=0.01) and found.area == 0.25
    np.testing.assert_array_equal(maps, map_checks.random_map(images, seed=0))
    assert not np.array_equal(maps, map_checks.random_map(images, seed=1))
    assert (maps.max((1, 2)) == 1).all() and maps.min() >= 0
    # Smooth: neighbours differ little beside the whole range.
    assert np.abs(np.diff(maps, axis=1)).max() < 0.5


def test_maxima_that_are_shared():
    mask = np.zeros((1, 4, 4), bool)
    mask[0, :, :2] = True
    one = np.zeros((1, 4, 4))
    one[0, 0, :3] = 5  # two of three highest pixels inside
    assert map_checks.hits(one, mask).pointing.k == 1
    assert map_checks.hits(one, mask).mass == pytest.approx(2 / 3)
    one[0, 0, :4] = 5
    assert map_checks.hits(one, mask).pointing.k == 0


def test_flat_maps_point_nowhere():
    masks = np.ones((3, 4, 4), bool)
    masks[:, 3] = False
    maps = np.zeros((3, 4, 4))
    maps[1] = 0.1 + np.random.default_rng(0).random((4, 4)) * 1e-9
    maps[2] = -2
    found = map_checks.hits(maps, masks)
    assert (found.pointing.k, found.flat, found.area) == (0, 3, 0.75)
    assert found.mass == pytest.approx(0.25)  # one of three has mass, spread evenly


def test_what_ignores_the_model_is_caught(films):
    images = films[0]

    def cam(model, images):
        return explain.grad_cam(model, images, progress=False)

    both = map_checks.sanity({"cam": cam, "edges": edges}, network(), images, draws=8)
    assert list(both.index) == ["cam", "edges"] and list(both.columns) == ["top", "all"]
    assert (both.loc["cam"] < 0.75).all()
    np.testing.assert_allclose(both.loc["edges"], 1)
    # Which methods it shares the random models with makes no difference to one.
    again = map_checks.sanity({"cam": cam}, network(), images, draws=8)
    assert again.loc["cam"].equals(both.loc["cam"])
    other = map_checks.sanity({"cam": cam}, network(), images, draws=8, seed=1)
    assert not other.loc["cam"].equals(both.loc["cam"])


def test_all_methods_meet_the_same_random_models(films, monkeypatch):
    images, met = films[0][:2], {"one": [], "other": []}

    def method(name):
        def explain(model, images):
            met[name].append(model)
            return edges(model, images)

        return explain

    made = []
    randomise = map_checks.randomise
    monkeypatch.setattr(
        map_checks, "randomise", lambda *a, **b: made.append(randomise(*a, **b)) or made[-1]
    )
    model = network()
    map_checks.sanity({name: method(name) for name in met}, model, images, draws=3)
    assert len(made) == 6  # three a stage, however many methods
    for models_met in met.values():
        assert all(a is b for a, b in zip(models_met, [model, *made], strict=True))


def test_flat_maps_give_a_number_too(films):
    images, model = films[0][:4], network()
    original = model.get_layer("probability").get_weights()[0]

    def flat(model, images):
        return np.zeros(images.shape[:3])

    def flat_when_random(candidate, images):
        same = np.array_equal(candidate.get_layer("probability").get_weights()[0], original)
        return edges(candidate, images) if same else flat(candidate, images)

    for explained, expected in ((flat, 1), (flat_when_random, 0)):
        table = map_checks.sanity({"it": explained}, model, images, draws=2)
        assert (table == expected).all(axis=None)


def test_random_weights_reach_down_to_a_layer():
    report = builders.report_network("efficientnet_lite0", weights=None, seed=0)
    before = report.get_weights()
    top, everything = (map_checks.randomise(report, backbone=each) for each in (False, True))
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
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    features = frozen.features(everything, images, progress=False)
    assert 1e-2 < features.std() < 10  # the signal neither fades nor explodes


def test_batch_normalisation_starts_anew():
    pixels = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="features")(pixels)
    x = layers.GlobalMaxPooling2D()(layers.BatchNormalization(name="bn")(x))
    model = keras.Model(pixels, layers.Dense(1, "sigmoid", name="probability")(x))
    for name in ("bn", "probability"):
        layer = model.get_layer(name)
        layer.set_weights([w + 3 for w in layer.get_weights()])
    copy = map_checks.randomise(model, seed=5, backbone=False)
    gamma, beta, mean, variance = copy.get_layer("bn").get_weights()
    assert (gamma == 1).all() and (variance == 1).all() and not beta.any() and not mean.any()
    assert copy.get_layer("probability").get_weights()[1] == 0
    draws = [map_checks.randomise(model, seed=s).get_layer("features").kernel for s in (5, 5, 6)]
    assert np.array_equal(draws[0], draws[1]) and not np.array_equal(draws[0], draws[2])


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
            map_checks.hits(maps, masks)
    with pytest.raises(ValueError, match="NaN"):
        map_checks.hits(maps * np.nan, bright)
    with pytest.raises(ValueError, match=r"\(0, 4, 4\)"):
        map_checks.hits(np.zeros((0, 4, 4)), np.zeros((0, 4, 4), bool))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: map_checks.randomise(keras.Sequential([*m.layers[2:]])), "layer: features"),
        (
            lambda m, x: map_checks.sanity({"it": lambda m, x: x}, m, x),
            r"shape \(24, 48, 48\), got \(24, 48",
        ),
        (
            lambda m, x: map_checks.sanity({"it": lambda m, x: x[..., 0] * np.nan}, m, x),
            "expected it to give .* finite: False",
        ),
    ],
)
def test_bad_arguments_are_refused(films, call, message):
    with pytest.raises(ValueError, match=message):
        call(network(), films[0])
