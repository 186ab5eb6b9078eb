"""The models: right architecture, right pixels, frozen when frozen, saved and loaded whole."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_sample_image

from xraylib import models, training

CHINA, FLOWER = (load_sample_image(f"{name}.jpg") for name in ("china", "flower"))
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 90, 110, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 0, 1.0])[:, None]


@pytest.fixture(scope="module")
def classifier():
    return models.efficientnet_lite0(include_top=True)


@pytest.fixture(scope="module")
def lite0():
    return models.report_network("efficientnet_lite0", seed=1)


@pytest.fixture(scope="module")
def inception():
    return models.report_network("inception_v3", weights=None, seed=1)


def until(model, layer):
    return keras.Model(model.input, model.get_layer(layer).output)


def trained(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


# Architecture


def test_parameter_counts_of_the_report(inception):
    assert (inception.count_params(), trained(inception)) == (22_176_577, 372_769)
    top = models.report_top((8, 8, 2048))
    assert (top.count_params(), trained(top)) == (373_793, 372_769)
    for layer in inception.layers:
        layer.trainable = True
    assert trained(inception) == 22_141_121
    for layer in inception.layers[: inception.layers.index(inception.get_layer("features")) + 1]:
        layer.trainable = False
    # What is printed as the report's 94 convolutions, and its top's two.
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in inception.layers) == 96


def test_the_network_on_principal_components_learns_any_labels_by_heart():
    """The report's count, and why its training score means nothing (section 4.3)."""
    model = models.pca_network(seed=0)
    assert model.count_params() == 1_738_753
    rng = np.random.default_rng(0)
    noise, labels = rng.standard_normal((75, 23)), rng.integers(0, 2, 75)
    training.fit(model, noise, labels, progress=False)
    right = ((training.predict(model, noise) >= 0.5) == labels).sum()
    assert right >= 68
    twins = [models.pca_network(seed=3).get_weights() for _ in range(2)]
    assert all(np.array_equal(a, b) for a, b in zip(*twins, strict=True))


def test_dropout_takes_a_quarter(inception):
    rates = [la.rate for la in inception.layers if isinstance(la, keras.layers.Dropout)]
    assert rates == [0.25, 0.25]


def test_logits_are_those_of_the_pytorch_reference(classifier):
    """Recorded from efficientnet_lite_pytorch 0.1.0 and PyTorch 2.13 on the same 224 × 224."""
    crops = np.stack([image[101:325, 208:432] for image in (CHINA, FLOWER)])
    logits = until(classifier, "logits").predict(crops, verbose=0)[:, [0, 442, 698, 985, 999]]
    expected = [
        [1.3441488, 7.057665, 8.903957, -0.19078414, -0.8601741],
        [-1.4560201, -0.4124517, -0.640852, 6.387076, -0.88241965],
    ]
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_whole_photographs_of_any_size(classifier):
    names = {442: "bell cote", 449: "boathouse", 698: "palace", 985: "daisy"}
    china = classifier.predict(CHINA[None], verbose=0)[0]
    assert {"bell cote", "palace"} <= {names.get(i) for i in np.argsort(china)[-5:]}
    flower = classifier.predict(FLOWER[None, :, :500], verbose=0)[0]
    assert names[int(flower.argmax())] == "daisy"
    np.testing.assert_allclose([china.sum(), flower.sum()], 1, atol=1e-5)


def test_any_layer_can_be_looked_at(lite0, inception):
    """Grad-CAM: a flat graph, and a gradient of the score at every map of features."""
    for model, layer, shape in ((lite0, "block10_add", (14, 14, 112)),
                                (inception, "mixed7", (17, 17, 768))):  # fmt: skip
        assert not any(isinstance(part, keras.Model) for part in model.layers)
        both = keras.Model(model.input, [model.get_layer(layer).output, model.output])
        with tf.GradientTape() as tape:
            maps, score = both(IMAGES[:1])
            tape.watch(maps)
        assert maps.shape[1:] == shape
        parts = until(model, layer), keras.Model(model.get_layer(layer).output, model.output)
        with tf.GradientTape() as tape:
            maps = parts[0](IMAGES[:1])
            tape.watch(maps)
            again = parts[1](maps)
        assert np.abs(tape.gradient(again, maps)).max() > 0
        np.testing.assert_allclose(again, score, atol=1e-6)


def test_split_at_features(lite0):
    features = until(lite0, "features")(IMAGES)
    assert features.shape == (4, 7, 7, 1280)
    top = keras.Model(lite0.get_layer("features").output, lite0.output)
    np.testing.assert_allclose(top(features), lite0(IMAGES), atol=1e-6)
    apart = models.report_top((7, 7, 1280), seed=1)
    np.testing.assert_allclose(apart(features), lite0(IMAGES), atol=1e-6)


# Pixels


def test_scaling(inception, lite0):
    report = models.efficientnet_lite0(weights=None, scaling="report")
    for model, expected in ((inception, (-1, 1)), (lite0, (-127 / 128, 1)), (report, (0, 1))):
        size = models.native_size(model)
        image = np.resize(np.arange(256, dtype=np.uint8), (1, size, size, 3))
        low, high = expected
        found = until(model, "preprocess")(image)
        np.testing.assert_allclose(found, low + image / 255 * (high - low), atol=1e-6)


# Training


def fit_once(model):
    model.compile("sgd", "binary_crossentropy")
    model.train_on_batch(IMAGES, LABELS)


def test_frozen_means_frozen():
    model = models.report_network("efficientnet_lite0", seed=2)
    assert trained(model) == trained(models.report_top((7, 7, 1280)))
    before = {weight.path: weight.numpy() for weight in model.weights}
    features = until(model, "features")
    plain = features(IMAGES, training=False).numpy()
    np.testing.assert_array_equal(features(IMAGES, training=True), plain)
    fit_once(model)
    changed = {w.path for w in model.weights if not np.array_equal(w.numpy(), before[w.path])}
    top = {w.path for w in model.weights if w.path.startswith(("top_", "probability"))}
    assert changed == top
    np.testing.assert_array_equal(features(IMAGES, training=True), plain)


def test_the_tops_convolution_has_keras_values_and_gradients():
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(3, 9, 8, 12)), tf.float32)
    ours = models.TopConv2D(4, (3, 5), activation="relu")
    theirs = keras.layers.Conv2D(4, (3, 5), activation="relu")
    found = []
    for layer in (theirs, ours):
        layer.build(x.shape)
        layer.set_weights(theirs.get_weights())
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            loss = tf.reduce_sum(y**2)
        found.append([y, *tape.gradient(loss, [x, *(w.value for w in layer.weights)])])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def test_all_means_all():
    model = models.report_network("efficientnet_lite0", trainable="all", seed=2)
    before = {weight.path: weight.numpy() for weight in model.weights}
    fit_once(model)
    same = {w.path for w in model.weights if np.array_equal(w.numpy(), before[w.path])}
    # A shift that the next batch normalisation takes away again has no gradient.
    assert not {path for path in same if not path.endswith("beta")}


def test_seeds():
    def build(seed):
        return models.report_network("efficientnet_lite0", weights=None, seed=seed)

    def after_training(model):
        fit_once(model)
        return np.concatenate([w.ravel() for w in model.get_weights()])

    one, same, other = build(3), build(3), build(4)
    for a, b in zip(one.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for name in ("stem_conv", "top_conv1", "top_dense2"):
        drawn = (model.get_layer(name).get_weights()[0] for model in (one, other))
        assert not np.array_equal(*drawn)
    # The same dropout too: one step of training ends in the same place.
    np.testing.assert_allclose(after_training(one), after_training(same), atol=1e-5)


@pytest.mark.parametrize(
    "build",
    [
        models.pca_network,
        models.small_network,
        lambda seed: models.report_top((7, 7, 64), seed),
        lambda seed: models.efficientnet_lite0(weights=None, seed=seed),
        lambda seed: models.report_network("efficientnet_lite0", seed=seed),
    ],
    ids=["components", "small", "top", "lite0", "pre-trained"],
)
def test_a_network_initialised_is_a_network_built(build):
    old, new = build(seed=1), build(seed=2)
    pretrained = old.name.startswith("report_eff")
    models.initialise(old, 2, source=not pretrained)
    for a, b in zip(old.variables, new.variables, strict=True):  # dropout's state among them
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)


def test_weights_of_another_kind_are_not_guessed():
    numbers = keras.Input((3,))
    model = keras.Model(numbers, keras.layers.PReLU()(numbers))
    with pytest.raises(ValueError, match="got 'alpha'"):
        models.initialise(model, 0)


def test_random_features_neither_fade_nor_explode(inception):
    for model in (inception, models.efficientnet_lite0(weights=None, seed=0)):
        assert 1e-3 < float(np.std(until(model, "features")(IMAGES))) < 1e3


def test_mixed_precision(lite0):
    model = models.report_network("efficientnet_lite0", seed=1, dtype="mixed_bfloat16")
    assert keras.config.dtype_policy().name == "float32"
    assert model.get_layer("features").compute_dtype == "bfloat16"
    pixels = until(model, "preprocess")(CHINA[None])
    np.testing.assert_array_equal(pixels, until(lite0, "preprocess")(CHINA[None]))
    scores = model.predict(np.stack([CHINA, FLOWER]), verbose=0)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, lite0(np.stack([CHINA, FLOWER])), atol=0.1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="already scaled"):
        model.predict(CHINA[None] / 255, verbose=0)


# Files


def test_saved_and_loaded(lite0, tmp_path):
    lite0.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.predict(IMAGES, verbose=0), lite0.predict(IMAGES, verbose=0)
    )
    assert trained(loaded) == trained(lite0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="already scaled"):
        loaded.predict(IMAGES / 255, verbose=0)


def test_inception_weights_from_a_file(tmp_path):
    """Random weights: with the classifier or without, in Keras' old layout and its new one."""
    whole = keras.applications.InceptionV3(weights=None)
    pixels = np.repeat(IMAGES[:1], 4, axis=1)[:, :299, :].repeat(3, axis=2)[:, :, :299]
    features = keras.Model(whole.input, whole.get_layer("mixed10").output)
    scaled = keras.applications.inception_v3.preprocess_input(pixels.astype("float32"))
    expected = features(scaled)
    whole.save(tmp_path / "whole.h5")
    whole.save_weights(tmp_path / "whole.weights.h5")
    features.save_weights(tmp_path / "notop.weights.h5")
    for file in ("whole.h5", "whole.weights.h5", "notop.weights.h5"):
        ours = models.inception_v3(weights=tmp_path / file)
        np.testing.assert_allclose(ours(pixels), expected, atol=1e-5)
    ours = models.inception_v3(weights=str(tmp_path / "whole.h5"), include_top=True)
    np.testing.assert_allclose(ours(pixels), whole(scaled), atol=1e-6)
    with pytest.raises(ValueError, match="holds no classifier"):
        models.inception_v3(weights=tmp_path / "notop.weights.h5", include_top=True)


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_wrong_files_of_weights(lite0, tmp_path):
    with pytest.raises(FileNotFoundError, match="no file.*Keras' own is https://"):
        models.inception_v3(weights=tmp_path / "missing.h5")
    (tmp_path / "page.h5").write_text("<html>")
    with pytest.raises(ValueError, match="not a whole HDF5 file"):
        models.inception_v3(weights=tmp_path / "page.h5")
    lite0.save_weights(tmp_path / "lite0.weights.h5")
    with pytest.raises(ValueError, match="does not hold the weights of Inception V3"):
        models.inception_v3(weights=tmp_path / "lite0.weights.h5")


def test_no_network_says_what_to_do(tmp_path):
    """A damaged copy in Keras' cache is not used, and the way by hand is told."""
    cached = tmp_path / "models" / "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
    cached.parent.mkdir()
    cached.write_bytes(b"damaged")
    nowhere = {name: "http://127.0.0.1:9" for name in ("https_proxy", "HTTPS_PROXY")}
    environment = os.environ | nowhere | {"KERAS_HOME": str(tmp_path), "no_proxy": ""}
    code = "from xraylib import models\ntry: models.inception_v3()\nexcept OSError as e: print(e)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True,
                          text=True, timeout=120)  # fmt: skip
    assert "could not be downloaded" in done.stdout, done.stderr
    assert (
        f"https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/{cached.name}"
        in (done.stdout)
    )
    assert "weights=" in done.stdout


# Arguments


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: models.report_network("resnet"), "source must be 'inception_v3'.*'resnet'"),
        (lambda: models.report_network(trainable="none"), "trainable must be 'top', 'all'"),
        (lambda: models.inception_v3(weights=3), "weights must be 'imagenet', None or a path"),
        (lambda: models.efficientnet_lite0(None, scaling="zscore"), "scaling must be 'source'"),
        (lambda: models.efficientnet_lite0(None, (64, 64, 1)), r"\(height, width, 3\)"),
        (lambda: models.report_top((5, 5, 64)), "at least 7 × 7.*5, 5, 64"),
    ],
)
def test_unknown_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
