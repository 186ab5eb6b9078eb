"""Training, on phantoms and a small real network."""

import json
import zipfile

import keras
import numpy as np
import pytest

from xraylib import datasets, models, training


@pytest.fixture(scope="module")
def data():
    return datasets.load("phantom", n=24, seed=5, size=224)


@pytest.fixture
def network():
    def build(trainable="top", **settings):
        return models.report_network(
            source="efficientnet_lite0", trainable=trainable, seed=1, **settings
        )

    return build


def moving(model):
    """Copies of every running mean and variance of the source."""
    names = [layer.name for layer in model.layers]
    source = model.layers[: names.index("features")]
    return [w.numpy() for layer in source for w in layer.non_trainable_weights]


def test_frozen_training_learns_and_leaves_the_source_alone(data, network):
    model = network()
    source = keras.Model(model.input, model.get_layer("features").output)
    before = [w.numpy() for w in source.weights]
    history = training.fit(
        model, data.images[:18], data.labels[:18],
        validation=(data.images[18:], data.labels[18:]),
        epochs=8, draws=3, learning_rate=1e-3, progress=False,
    )  # fmt: skip
    assert set(history) == {"loss", "accuracy", "mae", "val_loss", "val_accuracy", "val_mae"}
    assert all(len(values) == 8 for values in history.values())
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    for old, new in zip(before, source.weights, strict=True):
        np.testing.assert_array_equal(old, new.numpy())
    scores = training.predict(model, data.images[18:])
    assert scores.shape == (6,) and scores.dtype == "float64"
    # The model that was handed in is the one that learned: same loss as the history's last.
    labels = data.labels[18:]
    loss = -np.mean(np.log(np.where(labels == 1, scores, 1 - scores)))
    assert loss == pytest.approx(history["val_loss"][-1], rel=0.05)


def test_training_all_changes_the_source(data, network):
    model = network(trainable="all", weights=None)
    before = model.get_layer("stem_conv").get_weights()[0]
    statistics = moving(model)
    training.fit(model, data.images[:10], data.labels[:10], epochs=1, progress=False)
    assert not np.array_equal(before, model.get_layer("stem_conv").get_weights()[0])
    assert not np.array_equal(statistics[0], moving(model)[0])


def test_same_seed_same_scores(data, network):
    scores = []
    for seed in (3, 3, 4):
        model = network(weights=None)
        training.fit(
            model, data.images[:8], data.labels[:8],
            epochs=2, draws=2, learning_rate=1e-2, seed=seed, progress=False,
        )  # fmt: skip
        scores.append(training.predict(model, data.images[:8]))
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-4)
    assert np.abs(scores[0] - scores[2]).max() > 1e-4


def test_epochs_have_different_batches():
    """Where Keras repeats the first epoch's order on arrays (seeded), these pipelines do not."""
    labels = np.arange(20, dtype="float32")[:, None]

    def draw(chosen, epoch, rng):
        return rng.random((len(chosen), 1)).astype("float32")

    keras.utils.set_random_seed(0)
    pipeline = training._batches(draw, labels, 6, seed=0)
    orders, draws = [], []
    for _ in range(3):
        batches = [(x.numpy(), y.numpy()) for x, y in pipeline]
        assert [len(y) for _, y in batches] == [6, 6, 6, 2]
        orders.append(np.concatenate([y for _, y in batches]).ravel())
        draws.append(np.concatenate([x for x, _ in batches]).ravel())
    for order in orders:
        assert sorted(order) == list(range(20))
    assert not np.array_equal(orders[0], orders[1]) and not np.array_equal(orders[1], orders[2])
    assert not np.array_equal(draws[0], draws[1])


def test_cached_draws_are_augmented_versions(data, network):
    model = network(weights=None)
    plain = training.features(model, data.images[:4], progress=False)
    again = training.features(model, data.images[:4], draws=2, seed=1, progress=False)
    assert plain.shape == (4, 7, 7, 1280) and again.shape == (2, *plain.shape)
    assert plain.dtype == "float16"
    assert not np.array_equal(again[0], again[1]) and not np.array_equal(again[0], plain)
    same = training.features(model, data.images[:4], draws=2, seed=1, progress=False)
    np.testing.assert_array_equal(again, same)


def test_bad_input_is_refused_before_any_work(data, network):
    model = network(weights=None)
    images, labels = data.images[:4], data.labels[:4]
    with pytest.raises(ValueError, match="scaled"):
        training.fit(model, images / 255, labels)
    with pytest.raises(ValueError, match="label of 0 or 1"):
        training.fit(model, images, labels + 1)
    with pytest.raises(ValueError, match="4 images"):
        training.fit(model, images, labels[:3])
    with pytest.raises(ValueError, match="epochs=0"):
        training.fit(model, images, labels, epochs=0)
    with pytest.raises(ValueError, match="scaled"):
        training.fit(model, images, labels, validation=(images / 255, labels))


def test_trains_in_bfloat16(data):
    """On any machine, fast or slow: the scores are full precision and in range."""
    assert training.best_precision("inception_v3") in ("float32", "mixed_bfloat16")
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = models.report_network(source="efficientnet_lite0", seed=0, trainable="top")
        training.fit(model, data.images[:8], data.labels[:8], epochs=2, draws=1, progress=False)
        scores = training.predict(model, data.images[:8])
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(scores).all() and scores.min() >= 0 and scores.max() <= 1


def test_saved_model_comes_back_with_labels_and_scaling(data, network, tmp_path):
    model = network()
    path = tmp_path / "model.keras"
    training.save(model, path, class_names=("chest", "abdomen"), trained_on="24 phantoms")
    again, card = training.load(path)
    assert card == {"class_names": ["chest", "abdomen"], "trained_on": "24 phantoms"}
    assert [p.name for p in tmp_path.iterdir()] == ["model.keras"]
    # Images of other sizes, pixel values as read: the file knows what to do with them.
    mixed = [image for image in datasets.load("phantom", n=3, seed=8).images]
    np.testing.assert_array_equal(training.predict(model, mixed), training.predict(again, mixed))


def test_a_list_is_scored_as_loading_at_the_sources_size(data, network):
    model = network(weights=None)
    whole = datasets.load("phantom", n=24, seed=5)
    np.testing.assert_array_equal(
        training.predict(model, whole.images[:4]), training.predict(model, data.images[:4])
    )
    with pytest.raises(ValueError, match="scaled"):
        training.predict(model, data.images[:4] / 255)


def test_saving_in_the_wrong_place_leaves_nothing(network, tmp_path):
    model = network(weights=None)
    with pytest.raises(ValueError, match=r"\.keras"):
        training.save(model, tmp_path / "m.h5", class_names=("a", "b"), trained_on="")
    with pytest.raises(ValueError, match="two class names"):
        training.save(model, tmp_path / "m.keras", class_names=("a",), trained_on="")
    with pytest.raises(OSError):
        training.save(model, tmp_path / "no" / "m.keras", class_names=("a", "b"), trained_on="")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_model_is_named(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        training.load(tmp_path / "absent.keras")
    text = tmp_path / "text.keras"
    text.write_text("hello")
    with pytest.raises(ValueError, match="no such archive"):
        training.load(text)
    bare = tmp_path / "bare.keras"
    with zipfile.ZipFile(bare, "w") as archive:
        archive.writestr("other", "x")
    with pytest.raises(ValueError, match="without labels"):
        training.load(bare)
    broken = tmp_path / "broken.keras"
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("xraylib.json", json.dumps({"class_names": ["a", "b"], "trained_on": ""}))
    with pytest.raises(ValueError, match="cannot read this model"):
        training.load(broken)


def test_a_top_on_features_that_were_computed_before_learns_the_same(data, network):
    """Cross-validation runs the source once; the top must be the one that fit would train."""
    model = network()
    plain = training.features(model, data.images, progress=False)
    kept = dict(epochs=4, seed=3)
    training.fit(model, data.images, data.labels, augment=False, progress=False, **kept)
    top = models.report_top(plain.shape[1:], seed=1)
    history = training.fit_top(top, plain[None], data.labels, **kept)
    scores = top.predict(plain.astype("float32"), verbose=0)[:, 0]
    np.testing.assert_allclose(scores, training.predict(model, data.images), atol=1e-3)
    assert len(history["loss"]) == 4
    with pytest.raises(ValueError, match="draws, n, h, w, channels"):
        training.fit_top(top, plain, data.labels)
    with pytest.raises(ValueError, match="one label of 0 or 1 for each of the 24"):
        training.fit_top(top, plain[None], data.labels[:-1])


@pytest.mark.parametrize("n, steps", [(10, 2), (11, 2), (12, 3), (1, 1), (5, 1)])
def test_no_batch_of_a_single_image_but_the_only_one(n, steps):
    """Batch normalisation would turn it into zeros."""
    images = np.arange(n, dtype="float32")[:, None]
    batches = training._batches(lambda chosen, *_: images[chosen], images, 5, seed=0)
    sizes = [len(batch) for batch, _ in batches]
    assert sum(sizes) == n and len(sizes) == len(batches) == steps
    assert min(sizes) > 1 or n == 1
