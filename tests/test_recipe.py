"""The report's recipe, as cross-validation calls it."""

import numpy as np
import pytest

from xraylib import datasets
from xraylib.recipe import Recipe


@pytest.fixture(scope="module")
def data():
    return datasets.load("phantom", n=24, seed=5, size=224)


@pytest.mark.parametrize(
    "recipe, prepared_as",
    [
        (Recipe(epochs=6, draws=2), (24, 3, 7, 7, 1280)),
        (Recipe(epochs=1, trainable="all", weights=None), (24, 224, 224, 3)),
    ],
    ids=["frozen", "all"],
)
def test_trains_and_scores_images_that_it_has_not_seen(data, recipe, prepared_as):
    prepared = recipe.prepare(data.images)
    assert prepared.shape == prepared_as
    train, test = prepared[:18], prepared[18:]
    held_out = test, data.labels[18:]
    history, predict = recipe.train(train, data.labels[:18], 1, validation=held_out)
    assert len(history["val_loss"]) == recipe.epochs
    scores = predict(test)
    assert scores.shape == (6,) and np.all((scores >= 0) & (scores <= 1))
    again = recipe(train, data.labels[:18], test, 1)
    np.testing.assert_allclose(again, scores, atol=2e-3)  # the same seed, the same network


def test_an_images_features_do_not_depend_on_its_company(data):
    """Else something of the test images would reach the training images."""
    recipe = Recipe(draws=1)
    alone, together = recipe.prepare(data.images[:1]), recipe.prepare(data.images[:3])
    np.testing.assert_allclose(alone[0, 0], together[0, 0], rtol=0.01, atol=0.01)


def test_prepare_keeps_plain_first(data):
    recipe = Recipe(draws=2)
    prepared = recipe.prepare(data.images[:2]).astype("float32")
    black = recipe.prepare(np.zeros_like(data.images[:1])).astype("float32")[0]
    # A black image stays black however it is turned.
    np.testing.assert_allclose(black[1], black[0], rtol=0.01, atol=0.01)
    assert np.abs(prepared[:, 1] - prepared[:, 0]).max() > 0.1
