"""Networks as scikit-learn classifiers, as cross-validation calls them."""

import pickle
import subprocess
import sys
import textwrap

import joblib
import numpy as np
import pytest
from sklearn.base import clone, is_classifier

from xraylib.data import datasets
from xraylib.evaluation.validation import cross_validate
from xraylib.models import builders
from xraylib.models.random_weights import initialise
from xraylib.training.classifier import NetworkClassifier, Recipe


@pytest.fixture(scope="module")
def data():
    return datasets.load("phantom", n=12, seed=5, size=224)


@pytest.mark.parametrize(
    "recipe, prepared_as",
    [
        (Recipe(epochs=6, random_state=1), (12, 3, 7, 7, 1280)),
        (Recipe(weights=None, trainable="all", epochs=1, random_state=1), (12, 224, 224, 3)),
    ],
    ids=["frozen", "all"],
)
def test_trains_and_scores_images_that_it_has_not_seen(data, recipe, prepared_as):
    X = recipe.prepare(data.images, draws=2)
    assert X.shape == prepared_as
    train, labels, test = X[:6], data.labels[:6], X[6:]
    recipe.fit(train, labels, validation=(test, data.labels[6:]))
    assert len(recipe.history_["val_loss"]) == recipe.epochs
    scores = recipe.predict_proba(test)
    assert scores.shape == (6, 2) and scores.min() >= 0
    np.testing.assert_allclose(scores.sum(1), 1)
    np.testing.assert_array_equal(recipe.predict(test), scores[:, 1] >= 0.5)
    # The same seed is the same network, and another training in between changes nothing.
    other = clone(recipe).set_params(random_state=2).fit(train, labels)
    again = clone(recipe).fit(train, labels)
    np.testing.assert_allclose(again.predict_proba(test), scores, atol=2e-3)
    np.testing.assert_allclose(recipe.predict_proba(test), scores, atol=1e-6)
    assert np.abs(other.predict_proba(test) - scores).max() > 1e-4
    if recipe.trainable == "all":  # the backbone and its running averages too
        model, _ = recipe.network()
        initialise(model, 1)
        pairs = zip(model.weights, recipe.weights_, strict=True)
        moved = {weight.path for weight, end in pairs if not np.array_equal(weight, end)}
        assert {"stem_conv/kernel", "stem_bn/moving_mean", "head_bn/moving_variance"} <= moved


def test_it_is_a_classifier_that_travels():
    recipe = Recipe(scaling="report", epochs=3)
    assert is_classifier(recipe) and clone(recipe).get_params() == recipe.get_params()
    assert recipe.get_params()["dtype"] == "float32"  # part of what a kept fold is known by
    x, y = np.random.default_rng(0).normal(size=(20, 23)), np.arange(20) % 2
    network = NetworkClassifier(builders.pca_network, epochs=2).fit(x, y)
    there = pickle.loads(pickle.dumps(network))
    np.testing.assert_array_equal(there.predict_proba(x), network.predict_proba(x))


def test_what_a_training_gives_does_not_depend_on_how_many_run_beside_it():
    """Each has one thread in a process of its own."""
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 2
    x = rng.normal(size=(30, 23)) + labels[:, None]
    network = NetworkClassifier(builders.pca_network, epochs=3)
    found = []
    for n_jobs in (3, 2):  # in this order two of the three processes serve both
        with joblib.parallel_config(n_jobs=n_jobs):
            crossed = cross_validate(network, x, labels, None, seeds=2, folds=3, progress=False)
        found.append(crossed.scores)
    np.testing.assert_array_equal(*found)


def test_small_networks_are_trained_on_a_core_also_where_there_is_a_card():
    # A second processor stands for the card: what says nothing of a device is computed there.
    script = """
        import numpy as np
        import tensorflow as tf
        from xraylib.models import builders
        from xraylib.training.classifier import NetworkClassifier, Recipe, _built

        class Whole(Recipe):
            def network(self):  # another small one: it is the place that counts
                return _built(builders.pca_network)

        processor = tf.config.list_physical_devices("CPU")[0]
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(processor, two)
        settings = {"epochs": 1, "batch_size": 2}
        small = NetworkClassifier(builders.small_network, **settings)
        whole = Whole(trainable="all", **settings)
        with tf.device("CPU:1"):
            for each, shape in (small, (4, 32, 32, 1)), (whole, (4, 23)):
                X = np.zeros(shape, "float32")
                model, _ = each.fit(X, np.arange(4) % 2)._network(X.shape)
                program = vars(model)["_program"]
                held = [v.value for v in model.variables] + program.averages[0]
                print(*sorted({v.device[-5:] for v in held}), each.predict(X).shape)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["CPU:0 (4,)", "CPU:1 (4,)"], done.stderr[-2000:]
