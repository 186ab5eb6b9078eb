"""The engine gives what Keras gives, again and again from one compiled program."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from xraylib.models import builders
from xraylib.models.random_weights import initialise
from xraylib.training import engine, fitting

NETWORKS = {
    "top": (lambda seed: builders.report_top((7, 7, 64), seed), (7, 7, 64)),
    "components": (builders.pca_network, (23,)),
    "small": (builders.small_network, (32, 32, 1)),
}


def without_dropout(model):
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0
    return model


def keras_fit(model, x, y):
    adam = keras.optimizers.Adam(1e-3)
    model.compile(adam, "binary_crossentropy", metrics=["accuracy", "mae"], jit_compile=False)
    return model.fit(x, y, batch_size=10, shuffle=False, verbose=0).history


def batches(x, y):
    return lambda epoch: [(x, y, np.arange(10, len(x) + 1, 10, np.int32))]


@pytest.fixture(params=NETWORKS)
def case(request):
    build, shape = NETWORKS[request.param]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, *shape)).astype("float32")
    return build, x, rng.integers(0, 2, (40, 1)).astype("float32")


def test_an_epoch_is_that_of_keras(case, exact):
    """From the same start on the same batches, without dropout.

    Adam turns a gradient that is nothing but rounding, as of a unit that one image of a batch
    alone excites before batch normalisation, into a step of full length: of such weights, a few in
    a thousand, no two ways of computing agree.
    """
    build, x, y = case
    ours, theirs = (without_dropout(build(seed=3)) for _ in range(2))
    start = ours.get_weights()
    found = engine.train(ours, batches(x, y), epochs=1, learning_rate=1e-3)
    expected = keras_fit(theirs, x, y)
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-4, atol=1e-4)
    pairs = zip(ours.get_weights(), theirs.get_weights(), strict=True)
    apart = np.concatenate([np.abs(a - b).ravel() for a, b in pairs])
    moved = zip(ours.get_weights(), start, strict=True)
    assert max(np.abs(a - b).max() for a, b in moved) > 1e-3
    assert np.mean(apart > 1e-5) < 0.005
    np.testing.assert_allclose(engine.score(ours, x), engine.score(theirs, x), atol=2e-3)


def test_with_dropout_the_losses_are_those_of_keras():
    """Over twelve seeds, as dropout draws other units."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 7, 7, 64)).astype("float32")
    y = (x.mean((1, 2, 3)) > 0).astype("float32")[:, None]
    model, ours, theirs = builders.report_top((7, 7, 64), 0), [], []
    for seed in range(12):
        initialise(model, seed)
        ours.append(engine.train(model, batches(x, y), epochs=3, learning_rate=1e-3)["loss"][-1])
    model = builders.report_top((7, 7, 64), 0)
    model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy", jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    fresh = [variable.numpy() for variable in model.optimizer.variables]
    for seed in range(12):
        initialise(model, seed)
        for variable, value in zip(model.optimizer.variables, fresh, strict=True):
            variable.assign(value)
        kept = {"batch_size": 10, "epochs": 3, "shuffle": False, "verbose": 0}
        theirs.append(model.fit(x, y, **kept).history["loss"][-1])
    error = np.sqrt((np.var(ours) + np.var(theirs)) / 12)
    assert np.std(ours) > 0 and abs(np.mean(ours) - np.mean(theirs)) < 4 * error


def test_a_network_starts_anew_without_being_compiled_anew():
    """Weights, dropout and Adam's averages: the second training of a seed is its first."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 23)).astype("float32"), rng.integers(0, 2, (20, 1)) * 1.0
    model, ends = builders.pca_network(seed=0), []
    for seed in (1, 2, 1):
        initialise(model, seed)
        engine.train(model, batches(x, y.astype("float32")), epochs=2, learning_rate=1e-3)
        ends.append(model.get_weights())
    for a, _, c in zip(*ends, strict=True):
        np.testing.assert_allclose(a, c, atol=1e-6)
    assert any(np.abs(a - b).max() > 0.01 for a, b, _ in zip(*ends, strict=True))
    assert vars(model)["_program"].steps.experimental_get_tracing_count() == 1


def test_a_layer_frozen_after_a_training_stays_as_it_is():
    model = builders.small_network(seed=0)
    rng = np.random.default_rng(0)
    x, y = rng.random((10, 32, 32, 1), "float32"), np.tile([[0.0], [1.0]], (5, 1)).astype("float32")
    engine.train(model, batches(x, y), epochs=1, learning_rate=1e-2)
    model.get_layer("conv1").trainable = False
    before = {w.path: w.numpy() for w in model.weights}
    engine.train(model, batches(x, y), epochs=1, learning_rate=1e-2)
    same = {w.path for w in model.weights if np.array_equal(before[w.path], w.numpy())}
    assert same == {"conv1/kernel", "conv1/bias"}


def test_a_distribution_strategy_is_refused_not_ignored():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope(), pytest.raises(ValueError, match="leave the scope"):
        model = builders.pca_network(seed=0)
        fitting.fit(model, np.zeros((10, 23)), np.arange(10) % 2, epochs=1, progress=False)
