"""The report's way from images to scores in one object, as cross-validation calls it.

Chapters 05 (evaluation) and 06 (COVID-19) train the same network many times, on other images, in
other folds, with other seeds.
"""

from dataclasses import dataclass

import keras
import numpy as np

from xraylib import models, training


@dataclass(frozen=True)
class Recipe:
    """The report's network (section 4) with all its settings.

    A recipe is a function ``(train, labels, test, seed) -> scores`` for
    :func:`xraylib.validation.cross_validate`, on images that went through :meth:`prepare`.

    Attributes:
        source, weights, scaling, trainable: see :func:`xraylib.models.report_network`.
        epochs: passes over the training images.
        draws: augmented versions of an image where the source is frozen.
    """

    source: str = "efficientnet_lite0"
    weights: object = "imagenet"
    scaling: str = "source"
    trainable: str = "top"
    epochs: int = 20
    draws: int = 10

    def prepare(self, images, seed=0):
        """What the network is trained on, made once for all folds.

        An image's features, plain and augmented, depend on that image alone: nothing of a fold's
        test images reaches its training images.

        Args:
            images: (n, height, width, 3), 0..255.
            seed: of the augmentation.

        Returns:
            With a frozen source its features, float16 (n, 1 + draws, h, w, channels), the plain
            image's first; otherwise the images as they are.
        """
        if self.trainable == "all":
            return np.asarray(images)
        network = self._network(seed)
        plain = training.features(network, images, progress=False)
        drawn = training.features(network, images, draws=self.draws, seed=seed)
        return np.concatenate([plain[:, None], drawn.swapaxes(0, 1)], axis=1)

    def train(self, prepared, labels, seed, validation=None):
        """Train one network.

        Args:
            prepared: of the training images.
            labels: (n,) of 0 and 1.
            seed: of weights, order and dropout.
            validation: (prepared, labels) to measure after each epoch, or None.

        Returns:
            (history, predict): see :func:`xraylib.training.fit`, and a function from prepared
            images to scores (m,) in 0..1.
        """
        if self.trainable == "all":
            keras.config.set_dtype_policy(training.best_precision(self.source))
            network = self._network(seed)
            settings = {"epochs": self.epochs, "seed": seed, "progress": False}
            history = training.fit(network, prepared, labels, validation=validation, **settings)
            return history, lambda images: training.predict(network, images)
        top = models.report_top(prepared.shape[2:], seed)
        if validation is not None:
            validation = validation[0][:, 0], validation[1]
        drawn = prepared[:, 1:].swapaxes(0, 1)
        history = training.fit_top(
            top, drawn, labels, validation=validation, epochs=self.epochs, seed=seed
        )

        def predict(images):
            # Called, not predict(): one pass over a few films is not worth compiling for.
            scores = top(images[:, 0].astype("float32"), training=False)
            return keras.ops.convert_to_numpy(scores)[:, 0].astype("float64")

        return history, predict

    def __call__(self, train, labels, test, seed):
        """Scores of the test images by a network trained on the others."""
        scores = self.train(train, labels, seed)[1](test)
        keras.backend.clear_session()  # else a process grows with every fold
        return scores

    def _network(self, seed):
        return models.report_network(
            self.source, self.weights, self.trainable, seed=seed, scaling=self.scaling
        )
