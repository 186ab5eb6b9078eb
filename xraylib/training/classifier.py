"""Networks as scikit-learn classifiers, for cross-validation.

What is built and compiled for one training serves all that follow in the process: on other images,
in other folds, with other seeds.
"""

import contextlib
import dataclasses
import functools
from pathlib import Path

import keras
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from xraylib.data.arrays import light
from xraylib.models import builders
from xraylib.models.random_weights import initialise
from xraylib.training import fitting, frozen


@functools.lru_cache(maxsize=4)
def _built(build, **settings):
    """One network a process for these settings, and the weights that it started with."""
    model = build(**settings, seed=0)
    return model, model.get_weights()


def _backbone(recipe, seed):
    """The network of a recipe with the backbone that it starts from."""
    network, start = recipe.network()
    network.set_weights(start)
    if recipe.weights is None:
        initialise(network, seed)
    return network


class NetworkClassifier(ClassifierMixin, BaseEstimator):
    """A network of :mod:`xraylib.models.builders` as a scikit-learn classifier of two classes.

    It is trained on a core of the processor, also where there is a graphics card: of small networks
    as many are trained there as there are cores, and each repeats exactly. For a network that fills
    a card, set ``device`` to None in a class of your own.

    Args:
        build: function of a seed that returns a Keras model; one that can be imported, such as
            ``builders.pca_network``, so that other processes find it.
        epochs, batch_size, learning_rate: see :func:`xraylib.training.fitting.fit`.
        random_state: integer; of weights, order, dropout and augmentation.

    Attributes:
        classes_: array([0, 1]).
        history_: what :func:`xraylib.training.fitting.fit` returns.
        weights_: list of arrays, of the trained network.
    """

    takes_on_disk = True  # rows of an arrays.OnDisk, batch by batch
    device = "cpu:0"  # as keras.device takes it; None: where Keras would compute
    weights, settle = None, False  # a Recipe has these as settings

    def __init__(self, build, *, epochs=20, batch_size=5, learning_rate=1e-4, random_state=0):
        self.build = build
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def _placed(self):
        return keras.device(self.device) if self.device else contextlib.nullcontext()

    def _network(self, shape):
        """The network that takes X of this shape, and what it starts with."""
        return _built(self.build)

    def fit(self, X, y, validation=None):
        """Train from the start, and return the classifier.

        X, y and validation, (X, y) or None, are the images, labels and validation of
        :func:`xraylib.training.fitting.fit`, which says what it refuses.
        """
        with self._placed():
            model, start = self._network(np.shape(X))
            model.set_weights(start)
            initialise(model, self.random_state, backbone=self.weights is None)
            self.history_ = fitting.fit(
                model, X, y, validation=validation, epochs=self.epochs, batch_size=self.batch_size,
                learning_rate=self.learning_rate, seed=self.random_state, progress=False,
            )  # fmt: skip
            if self.settle:
                fitting.settle(model, X, seed=self.random_state)
        self.weights_, self.classes_ = model.get_weights(), np.array([0, 1])
        return self

    def predict_proba(self, X):
        """Scores of both classes, float64 (n, 2) in 0..1; of versions the plain one's."""
        with self._placed():
            model, _ = self._network(np.shape(X))
            model.set_weights(self.weights_)
            scores = fitting.predict(model, X)
        return np.stack([1 - scores, scores], axis=1)

    def predict(self, X):
        """Classes, int64 (n,); a score of 0.5 is class 1."""
        return (self.predict_proba(X)[:, 1] >= 0.5).astype(np.int64)


@dataclasses.dataclass(eq=False, repr=False)
class Recipe(NetworkClassifier):
    """The report's network (section 4) with all its settings, on what :meth:`prepare` makes.

    Where every layer is trained, a graphics card does it if there is one.

    Args:
        backbone, weights, scaling, trainable, dtype: see
            :func:`xraylib.models.builders.report_network`.
        epochs, batch_size, learning_rate, random_state: see :class:`NetworkClassifier`.
        settle: after the training, :func:`xraylib.training.fitting.settle` on its images.
    """

    backbone: str = "efficientnet_lite0"
    weights: str | Path | None = "imagenet"
    scaling: str = "backbone"
    trainable: str = "top"
    dtype: str = "float32"
    _: dataclasses.KW_ONLY
    epochs: int = 20
    batch_size: int = 5
    learning_rate: float = 1e-4
    settle: bool = False
    random_state: int = 0

    @property
    def device(self):
        return None if self.trainable == "all" else super().device

    def network(self):
        """(model, start): the whole network, one a process for these settings, and its weights as
        they were when it was built."""
        return _built(
            builders.report_network, backbone=self.backbone, weights=self.weights,
            trainable=self.trainable, scaling=self.scaling, dtype=self.dtype,
        )  # fmt: skip

    def prepare(self, images, *, draws=10, seed=0, batch_size=None, store=None):
        """What the network is trained on, made once for all folds and seeds.

        Args:
            images: (n, size, size, 3), 0..255.
            draws: augmented versions of an image where the backbone is frozen.
            seed: of the augmentation, and of random weights.
            batch_size: see :func:`xraylib.training.frozen.features`.
            store: likewise.

        Returns:
            With a frozen backbone its features; otherwise the images as they are.
        """
        if self.trainable == "all":
            return light(images)
        # To other machines the recipe travels, to build the network there.
        build = functools.partial(_backbone, self, seed)
        return frozen.features(
            build, images, draws=draws, seed=seed, batch_size=batch_size, store=store
        )

    def _network(self, shape):
        if self.trainable == "all":
            return self.network()
        return _built(builders.report_top, shape=shape[-3:])
