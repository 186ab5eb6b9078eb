"""The models: right architecture, right pixels, frozen when frozen, saved and loaded whole."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_sample_image

from xraylib.models import backbones, builders, weights
from xraylib.models.random_weights import initialise
from xraylib.training import fitting

CHINA, FLOWER = (load_sample_image(f"{name}.jpg") for name in ("china", "flower"))
IMAGES, LARGER = (
    np.random.default_rng(0).integers(0, 256, (4, size, size, 3), dtype=np.uint8)
    for size in (224, 299)
)
CROPS = np.stack([image[101:325, 208:432] for image in (CHINA, FLOWER)])
LABELS = np.array([0, 1, 0, 1.0])[:, None]


def fitting_images(model):
    return IMAGES if model.input_shape[1] == 224 else LARGER


@pytest.fixture(scope="module")
def lite0():
    return builders.report_network("efficientnet_lite0", seed=1)


@pytest.fixture(scope="module")
def inception():
    return builders.report_network("inception_v3", weights=None, seed=1)


def until(model, layer):
    return keras.Model(model.input, model.get_layer(layer).output)


def trained(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


# Architecture


def test_parameter_counts_of_the_report(inception):
    assert (inception.count_params(), trained(inception)) == (22_176_577, 372_769)
    top = builders.report_top((8, 8, 2048))
    assert (top.count_params(), trained(top)) == (373_793, 372_769)
    for layer in inception.layers:
        layer.trainable = True
    assert trained(inception) == 22_141_121
    for layer in inception.layers[: inception.layers.index(inception.get_layer("features")) + 1]:
        layer.trainable = False
    # What is printed as the report's 94 convolutions, and its top's two.
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in inception.layers) == 96
    rates = [la.rate for la in inception.layers if isinstance(la, keras.layers.Dropout)]
    assert rates == [0.25, 0.25]


def test_the_network_on_principal_components_learns_any_labels_by_heart():
    """The report's count, and why its training score means nothing (section 4.3)."""
    model = builders.pca_network(seed=0)
    assert model.count_params() == 1_738_753
    rng = np.random.default_rng(0)
    noise, labels = rng.standard_normal((75, 23)), rng.integers(0, 2, 75)
    fitting.fit(model, noise, labels, progress=False)
    right = ((fitting.predict(model, noise) >= 0.5) == labels).sum()
    assert right >= 68


def test_logits_are_those_of_the_pytorch_reference(lite0, exact):
    """Recorded from efficientnet_lite_pytorch 0.1.0 and PyTorch 2.13 on the same 224 × 224.

    The classifier is no part of our backbone; here its weights are put behind it.
    """
    pooled = until(lite0, "features")(CROPS).numpy().mean(axis=(1, 2))
    tensors = weights.read_lite0()
    logits = pooled @ tensors["_fc.weight"].T + tensors["_fc.bias"]
    expected = [
        [1.3441488, 7.057665, 8.903957, -0.19078414, -0.8601741],
        [-1.4560201, -0.4124517, -0.640852, 6.387076, -0.88241965],
    ]
    np.testing.assert_allclose(logits[:, [0, 442, 698, 985, 999]], expected, atol=1e-4)


def test_any_layer_can_be_looked_at(lite0, inception):
    """Grad-CAM: a flat graph, and a gradient of the score at every map of features."""
    for model, layer, shape in ((lite0, "block10_add", (14, 14, 112)),
                                (inception, "mixed7", (17, 17, 768))):  # fmt: skip
        assert not any(isinstance(part, keras.Model) for part in model.layers)
        image = fitting_images(model)[:1]
        maps, score = keras.Model(model.input, [model.get_layer(layer).output, model.output])(image)
        assert maps.shape[1:] == shape
        parts = until(model, layer), keras.Model(model.get_layer(layer).output, model.output)
        with tf.GradientTape() as tape:
            maps = parts[0](image)
            tape.watch(maps)
            again = parts[1](maps)
        assert np.abs(tape.gradient(again, maps)).max() > 0
        np.testing.assert_allclose(again, score, atol=1e-6)


def test_the_top_alone_is_that_of_the_network(lite0):
    features = until(lite0, "features")(IMAGES)
    assert features.shape == (4, 7, 7, 1280)
    apart = builders.report_top((7, 7, 1280), seed=1)
    np.testing.assert_allclose(apart(features), lite0(IMAGES), atol=1e-6)


# Pixels


def test_scaling(inception, lite0):
    report = backbones.efficientnet_lite0(weights=None, scaling="report")
    for model, expected in ((inception, (-1, 1)), (lite0, (-127 / 128, 1)), (report, (0, 1))):
        image = np.resize(np.arange(256, dtype=np.uint8), (1, *model.input_shape[1:]))
        low, high = expected
        found = until(model, "preprocess")(image)
        np.testing.assert_allclose(found, low + image / 255 * (high - low), atol=1e-6)


# Training


def fit_once(model):
    model.compile("sgd", "binary_crossentropy", run_eagerly=True)  # one step: not worth a graph
    model.train_on_batch(IMAGES, LABELS)


def test_frozen_means_frozen():
    model = builders.report_network("efficientnet_lite0", seed=2)
    assert trained(model) == trained(builders.report_top((7, 7, 1280)))
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
    ours = builders.TopConv2D(4, (3, 5), activation="relu")
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
    model = builders.report_network("efficientnet_lite0", trainable="all", seed=2)
    before = {weight.path: weight.numpy() for weight in model.weights}
    fit_once(model)
    same = {w.path for w in model.weights if np.array_equal(w.numpy(), before[w.path])}
    # A shift that the next batch normalisation takes away again has no gradient.
    assert not {path for path in same if not path.endswith("beta")}


def test_seeds():
    def build(seed):
        return builders.report_network("efficientnet_lite0", weights=None, seed=seed)

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
        builders.pca_network,
        builders.small_network,
        lambda seed: builders.report_top((7, 7, 64), seed),
        lambda seed: backbones.efficientnet_lite0(weights=None, seed=seed),
        lambda seed: builders.report_network("efficientnet_lite0", seed=seed),
    ],
    ids=["components", "small", "top", "lite0", "pre-trained"],
)
def test_a_network_initialised_is_a_network_built(build):
    old, new = build(seed=1), build(seed=2)
    pretrained = old.name.startswith("report_eff")
    initialise(old, 2, backbone=not pretrained)
    for a, b in zip(old.variables, new.variables, strict=True):  # dropout's state among them
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)


def test_weights_of_another_kind_are_not_guessed():
    numbers = keras.Input((3,))
    model = keras.Model(numbers, keras.layers.PReLU()(numbers))
    with pytest.raises(ValueError, match="got 'alpha'"):
        initialise(model, 0)


def test_random_features_neither_fade_nor_explode(inception):
    for model in (inception, backbones.efficientnet_lite0(weights=None, seed=0)):
        assert 1e-3 < float(np.std(until(model, "features")(fitting_images(model)[:1]))) < 1e3


def test_mixed_precision(lite0):
    model = builders.report_network("efficientnet_lite0", seed=1, dtype="mixed_bfloat16")
    assert model.get_layer("features").compute_dtype == "bfloat16"
    pixels = until(model, "preprocess")(CROPS)
    np.testing.assert_array_equal(pixels, until(lite0, "preprocess")(CROPS))
    scores = model(CROPS)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, lite0(CROPS), atol=0.1)


def test_other_heads_are_told_apart():
    for head in (keras.layers.Dense(2, "softmax"), keras.layers.Dense(1), keras.layers.Flatten()):
        numbers = keras.Input((3,))
        with pytest.raises(ValueError, match="one sigmoid unit"):
            builders.sigmoid_unit(keras.Model(numbers, head(numbers)))
    unit, pixels = keras.layers.Dense(1, "sigmoid"), keras.Input((4, 4, 3))
    for outputs in (unit(pixels), [keras.layers.Flatten()(pixels), unit(pixels)]):
        with pytest.raises(ValueError, match="one sigmoid unit"):  # one a pixel, two outputs
            builders.sigmoid_unit(keras.Model(pixels, outputs))
    assert builders.sigmoid_unit(builders.small_network(seed=0)).name == "probability"


# Files


def test_inception_weights_from_a_file(tmp_path):
    """Random weights, in Keras' old layout and its new one."""
    theirs = keras.applications.InceptionV3(include_top=False, weights=None)
    scaled = keras.applications.inception_v3.preprocess_input(LARGER[:1].astype("float32"))
    for file in ("notop.h5", "notop.weights.h5"):
        theirs.save_weights(tmp_path / file) if "weights" in file else theirs.save(tmp_path / file)
        ours = backbones.inception_v3(weights=tmp_path / file)
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(ours(LARGER[:1]), theirs(scaled), atol=1e-5)


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_wrong_files_of_weights(lite0, tmp_path):
    with pytest.raises(FileNotFoundError, match="no file.*fetch https://"):
        backbones.inception_v3(weights=tmp_path / "missing.h5")
    (tmp_path / "page.h5").write_text("<html>")
    lite0.save_weights(tmp_path / "lite0.weights.h5")
    for file in ("page.h5", "lite0.weights.h5"):
        with pytest.raises(ValueError, match="does not hold the weights of Inception V3"):
            backbones.inception_v3(weights=tmp_path / file)


def test_no_network_says_what_to_do(tmp_path, monkeypatch):
    """A damaged copy in Keras' cache is not used, and the way by hand is told."""
    cached = tmp_path / "models" / "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
    cached.parent.mkdir()
    cached.write_bytes(b"damaged")
    monkeypatch.setattr("keras.src.backend.config.keras_home", lambda: str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(OSError, match="could not be downloaded") as caught:
        backbones.inception_v3()
    place = "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/"
    assert place + cached.name in str(caught.value) and "weights=" in str(caught.value)


# Arguments


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: builders.report_network("resnet"), "backbone must be 'inception_v3'.*'resnet'"),
        (lambda: builders.report_network(trainable="none"), "trainable must be 'top', 'all'"),
        (lambda: backbones.inception_v3(weights=3), "weights must be 'imagenet', None or a path"),
        (
            lambda: backbones.efficientnet_lite0(None, scaling="zscore"),
            "scaling must be 'backbone'",
        ),
        (lambda: builders.report_top((5, 5, 64)), "at least 7 × 7.*5, 5, 64"),
    ],
)
def test_unknown_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
