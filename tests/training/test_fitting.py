"""Training, on phantoms and a small real network."""

import functools
import json
import zipfile

import keras
import numpy as np
import pytest

from xraylib.data import arrays, datasets
from xraylib.data.arrays import rows
from xraylib.models import builders
from xraylib.models.random_weights import initialise
from xraylib.training import fitting, frozen, saving
from xraylib.training.classifier import Recipe


@pytest.fixture(scope="module")
def data():
    return datasets.load("phantom", n=24, seed=5, size=224)


@functools.cache
def built(**settings):
    model = builders.report_network("efficientnet_lite0", seed=1, **settings)
    return model, [variable.numpy() for variable in model.variables]


@pytest.fixture
def network():
    """A network as if it were new: each is built once, and compiled once."""

    def build(trainable="top", **settings):
        model, start = built(trainable=trainable, **settings)
        for variable, value in zip(model.variables, start, strict=True):
            variable.assign(value)
        return model

    return build


def moving(model):
    """Copies of every running mean and variance of the backbone."""
    names = [layer.name for layer in model.layers]
    backbone = model.layers[: names.index("features")]
    return [w.numpy() for layer in backbone for w in layer.non_trainable_weights]


def test_frozen_training_learns_and_leaves_the_backbone_alone(data, network):
    model = network()
    backbone = keras.Model(model.input, model.get_layer("features").output)
    before = [w.numpy() for w in backbone.weights]
    history = fitting.fit(
        model, data.images[:12], data.labels[:12],
        validation=(data.images[18:], data.labels[18:]),
        epochs=8, draws=2, learning_rate=1e-3, progress=False,
    )  # fmt: skip
    assert set(history) == {"loss", "accuracy", "mae", "val_loss", "val_accuracy", "val_mae"}
    assert all(len(values) == 8 for values in history.values())
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    for old, new in zip(before, backbone.weights, strict=True):
        np.testing.assert_array_equal(old, new.numpy())
    scores = fitting.predict(model, data.images[18:])
    assert scores.shape == (6,) and scores.dtype == "float64"
    # The model that was handed in is the one that learned: same loss as the history's last.
    labels = data.labels[18:]
    loss = -np.mean(np.log(np.where(labels == 1, scores, 1 - scores)))
    assert loss == pytest.approx(history["val_loss"][-1], rel=0.05)


def test_settled_averages_are_those_of_the_images_and_nothing_else_moves(data, network):
    model = network("all", weights=None)
    norm = next(x for x in model.layers if isinstance(x, keras.layers.BatchNormalization))
    incoming = keras.Model(model.input, norm.input)(data.images[:18].astype("float32")).numpy()
    before = {weight.path: weight.numpy() for weight in model.weights}
    fitting.settle(model, data.images[:18])
    np.testing.assert_allclose(norm.moving_mean, incoming.mean((0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, incoming.var((0, 1, 2)), rtol=1e-3)
    moved = {w.name for w in model.weights if not np.array_equal(w, before[w.path])}
    assert moved == {"moving_mean", "moving_variance"} and norm.momentum == 0.99

    still = network()
    averages = moving(still)
    fitting.settle(still, data.images[:18])
    assert all(map(np.array_equal, averages, moving(still)))


def test_same_seed_same_scores(data, network, exact):
    scores = []
    for seed in (3, 3, 4):
        model = network(weights=None)
        fitting.fit(
            model, data.images[:8], data.labels[:8],
            epochs=2, draws=2, learning_rate=1e-4, seed=seed, progress=False,
        )  # fmt: skip
        scores.append(fitting.predict(model, data.images[:8]))
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-4)
    assert np.abs(scores[0] - scores[2]).max() > 1e-4


@pytest.mark.parametrize(
    "n, sizes", [(10, [5, 5]), (11, [5, 6]), (12, [5, 5, 2]), (1, [1]), (5, [5])]
)
def test_batches_are_shuffled_anew_and_none_is_of_a_single_image(n, sizes):
    """Keras repeats the first epoch's order on arrays (seeded); and batch normalisation would turn
    a batch of one image into zeros."""
    x = np.arange(n, dtype="float32")[:, None]
    batches = fitting._batches(x, x, 3, 5, seed=0)
    orders = []
    for epoch in range(3):
        made = list(batches(epoch))
        assert np.concatenate([ends for _, _, ends in made]).tolist() == np.cumsum(sizes).tolist()
        assert all((images == labels).all() for images, labels, _ in made)
        orders.append(np.concatenate([images for images, _, _ in made])[:, 0].tolist())
        assert sorted(orders[-1]) == list(range(n))
    assert n == 1 or len(set(map(tuple, orders))) == 3
    again = np.concatenate([images for images, _, _ in batches(1)])[:, 0].tolist()
    assert again == orders[1]


def test_a_set_on_disk_is_trained_on_part_by_part(monkeypatch, tmp_path, exact):
    """With the weights that it gives in one piece."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(22, 7, 7, 64)).astype("float16"), np.arange(22) % 2
    np.save(tmp_path / "features.npy", x)
    model, ends = builders.report_top((7, 7, 64), 0), []
    for at_once in (fitting._AT_ONCE, 2 * 5 * 7 * 7 * 64 * 4):
        monkeypatch.setattr(fitting, "_AT_ONCE", at_once)
        initialise(model, 0)
        fitting.fit(model, arrays.OnDisk(tmp_path / "features.npy"), y, epochs=2, progress=False)
        ends.append(model.get_weights())
    for one, parts in zip(*ends, strict=True):
        np.testing.assert_allclose(one, parts, atol=1e-6)


def test_each_epoch_takes_another_version_of_an_image_and_never_the_plain_one():
    x = (np.arange(6)[:, None] + 10 * np.arange(5)[None])[..., None]  # tens: the version
    batches = fitting._batches(x, np.zeros((6, 1)), 6, 4, seed=0, versions=True)
    taken = [np.concatenate([images for images, _, _ in batches(k)])[:, 0] for k in range(6)]
    for image in range(6):
        versions = [int(v) // 10 for epoch in taken for v in epoch if v % 10 == image]
        assert sorted(versions[:4]) == [1, 2, 3, 4] and len(versions) == 6
    other = fitting._batches(x, np.zeros((6, 1)), 6, 4, seed=1, versions=True)
    assert sorted(np.concatenate([a for a, _, _ in other(0)])[:, 0]) != sorted(taken[0])


def test_cached_draws_are_augmented_versions(data, network):
    model = network(weights=None)
    plain = frozen.features(model, data.images[:4], progress=False)
    drawn = frozen.features(model, data.images[:4], draws=2, seed=1, progress=False)
    assert plain.shape == (4, 7, 7, 1280) and drawn.shape == (4, 3, 7, 7, 1280)
    assert plain.dtype == "float16"
    np.testing.assert_array_equal(drawn[:, 0], plain)
    assert not np.array_equal(drawn[:, 1], drawn[:, 2])
    assert not np.array_equal(drawn[:, 1], plain)
    same, other = (
        frozen.features(model, data.images[:4], draws=2, seed=s, progress=False) for s in (1, 2)
    )
    np.testing.assert_array_equal(drawn, same)
    assert not np.array_equal(drawn[:, 1:], other[:, 1:])
    # Alone or in company, an image's features are the same: else something of the test images
    # would reach the training images. And a black image stays black however it is turned.
    alone = frozen.features(model, data.images[:1], progress=False)
    np.testing.assert_allclose(alone[0], plain[0], rtol=0.01, atol=0.01)
    black = frozen.features(model, np.zeros_like(data.images[:1]), draws=1, progress=False)
    np.testing.assert_allclose(black[0, 1], black[0, 0], rtol=0.01, atol=0.01)


def test_bad_input_is_refused_before_any_work(data, network):
    model = network(weights=None)
    images, labels = data.images[:4], data.labels[:4]
    with pytest.raises(ValueError, match="label of 0 or 1"):
        fitting.fit(model, images, labels + 1)
    with pytest.raises(ValueError, match="4 images"):
        fitting.fit(model, images, labels[:3])
    with pytest.raises(ValueError, match="epochs=0"):
        fitting.fit(model, images, labels, epochs=0)


def test_trains_in_bfloat16_and_leaves_the_readers_precision_alone(data, network):
    model = network(dtype="mixed_bfloat16")
    fitting.fit(model, data.images[:8], data.labels[:8], epochs=2, draws=1, progress=False)
    scores = fitting.predict(model, data.images[:8])
    assert scores.dtype == "float64" and scores.min() >= 0 and scores.max() <= 1
    assert keras.config.dtype_policy().name == "float32"
    assert keras.layers.Dense(1).dtype_policy.name == "float32"


def test_saved_model_comes_back_with_labels_and_scaling(data, network, tmp_path):
    model = network()
    path = tmp_path / "model.keras"
    resized = {"interpolation": "bilinear", "keep_aspect": True}
    names = ["chest", "abdomen"]
    saving.save(model, path, class_names=names, trained_on="24 phantoms", **resized)
    again, card = saving.load(path)
    assert card == {"class_names": names, "trained_on": "24 phantoms"} | resized
    assert [p.name for p in tmp_path.iterdir()] == ["model.keras"]
    scores = fitting.predict(model, data.images[:3])
    np.testing.assert_array_equal(fitting.predict(again, data.images[:3]), scores)
    frozen_too = [weight.path for weight in model.trainable_weights]
    assert [weight.path for weight in again.trainable_weights] == frozen_too


def test_a_model_saved_before_resizing_was_noted(network, tmp_path):
    network(weights=None).save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras", "a") as archive:
        archive.writestr("xraylib.json", json.dumps({"class_names": ["a", "b"]}))
    card = saving.load(tmp_path / "m.keras")[1]
    assert card == {"class_names": ["a", "b"], "interpolation": "nearest", "keep_aspect": False}


def test_a_training_that_failed_gives_no_scores(data, network):
    """NaN is not 0.5 or more: every image would be called class 0."""
    model = network(weights=None)
    unit = model.layers[-1]
    unit.set_weights([np.full_like(weights, np.nan) for weights in unit.get_weights()])
    with pytest.raises(ValueError, match="NaN for 3 of 3 images.*lower learning rate"):
        fitting.predict(model, data.images[:3])


@pytest.mark.parametrize(
    "head", [("softmax", 2), ("linear", 1), ("softmax", 3)], ids=["two units", "logit", "three"]
)
def test_other_heads_are_refused_at_every_door(data, network, head, tmp_path):
    """Of two units the first would be printed as the score of class 1: the label inverted."""
    base = builders.part(network(weights=None), None, "features")
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    model = keras.Model(base.input, keras.layers.Dense(head[1], head[0])(x))
    path = tmp_path / "m.keras"
    model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xraylib.json", json.dumps({"class_names": ["a", "b"]}))
    for call in (
        lambda: fitting.fit(model, data.images[:4], data.labels[:4]),
        lambda: fitting.predict(model, data.images[:4]),
        lambda: saving.save(model, tmp_path / "n.keras", class_names="ab", trained_on=""),
        lambda: saving.load(path),
    ):
        with pytest.raises(ValueError, match="ends in a Dense layer of one sigmoid unit"):
            call()
    assert not (tmp_path / "n.keras").exists()


def test_saving_in_the_wrong_place_leaves_nothing(network, tmp_path):
    model = network(weights=None)
    with pytest.raises(ValueError, match=r"\.keras"):
        saving.save(model, tmp_path / "m.h5", class_names=("a", "b"), trained_on="")
    with pytest.raises(ValueError, match="two class names"):
        saving.save(model, tmp_path / "m.keras", class_names=("a",), trained_on="")
    with pytest.raises(OSError):
        saving.save(model, tmp_path / "no" / "m.keras", class_names=("a", "b"), trained_on="")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_model_is_named(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        saving.load(tmp_path / "absent.keras")
    text = tmp_path / "text.keras"
    text.write_text("hello")
    with pytest.raises(ValueError, match="no such archive"):
        saving.load(text)
    bare = tmp_path / "bare.keras"
    with zipfile.ZipFile(bare, "w") as archive:
        archive.writestr("other", "x")
    with pytest.raises(ValueError, match="without labels"):
        saving.load(bare)
    broken = tmp_path / "broken.keras"
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("xraylib.json", json.dumps({"class_names": ["a", "b"], "trained_on": ""}))
    with pytest.raises(ValueError, match="cannot read this model"):
        saving.load(broken)


def test_a_top_on_features_that_were_computed_before_learns_the_same(data, network, exact):
    """Cross-validation runs the backbone once; the top must be the one that fit would train."""
    model = network()
    kept = dict(epochs=4, seed=3, progress=False)
    images, labels = data.images[:12], data.labels[:12]
    fitting.fit(model, images, labels, draws=2, **kept)
    X = frozen.features(model, images, draws=2, seed=3, progress=False)
    top = builders.report_top(X.shape[2:], seed=1)
    history = fitting.fit(top, X, labels, validation=(X, labels), **kept)
    scores = fitting.predict(top, X)
    np.testing.assert_allclose(scores, fitting.predict(model, images), atol=1e-3)
    assert len(history["val_loss"]) == 4
    with pytest.raises(ValueError, match=r"shape \(n, 7, 7, 1280\).*got \(12, 9\)"):
        fitting.fit(top, np.zeros((12, 9)), labels)
    with pytest.raises(ValueError, match="one label of 0 or 1 for each of the 12"):
        fitting.fit(top, X, labels[:-1])


# Larger than the memory


def test_features_in_a_store_are_those_in_memory(data, network, tmp_path):
    model, images = network(weights=None), data.images[:6]
    plain = frozen.features(model, images, draws=1, seed=1, progress=False)
    how = {"store": tmp_path, "progress": False}
    kept = frozen.features(model, images, draws=1, seed=1, batch_size=4, **how)
    # Convolutions of batches of another size are rounded otherwise.
    np.testing.assert_allclose(kept[:].astype("f4"), plain.astype("f4"), rtol=0.01, atol=0.01)
    averages = frozen.averaged(model, images, **how)
    np.testing.assert_allclose(averages[:], frozen.averaged(model, images), rtol=0.01, atol=0.01)
    files = len(list(tmp_path.glob("*.npy")))
    frozen.features(model, images, draws=1, seed=1, batch_size=5, **how)
    assert files == len(list(tmp_path.glob("*.npy"))) == 2
    frozen.features(network(), images, draws=1, seed=1, **how)
    frozen.features(model, images[:5], draws=1, seed=1, **how)
    assert len(list(tmp_path.glob("*.npy"))) == 4


def test_a_top_learns_the_same_from_the_disk(data, network, tmp_path):
    model = network(weights=None)
    images, labels = data.images[:12], data.labels[:12]
    kept = frozen.features(model, images, draws=1, store=tmp_path, progress=False)
    scores = []
    for X in (kept, kept[:]):
        classifier = Recipe("efficientnet_lite0", None, epochs=2).fit(
            rows(X, slice(0, 9)), labels[:9]
        )
        scores.append(classifier.predict_proba(rows(X, slice(9, 12)))[:, 1])
    np.testing.assert_allclose(*scores, atol=1e-6)
