"""Films and a network whose evidence is known, for the tests of maps."""

import keras
import numpy as np
from keras import layers

SIZE = 48


def squares():
    """Grey films with one bright and one dark square: images, masks of the two."""
    rng = np.random.default_rng(0)
    images = rng.integers(90, 110, (24, SIZE, SIZE, 3)).astype(np.uint8)
    bright, dark = np.zeros((2, 24, SIZE, SIZE), bool)
    for i in range(24):
        one, other = rng.permutation(9)[:2]  # cells of a 3 x 3 grid
        for mask, cell, grey in ((bright, one, 250), (dark, other, 5)):
            row, column = 16 * np.array(divmod(cell, 3)) + rng.integers(1, 7, 2)
            mask[i, row : row + 10, column : column + 10] = True
            images[i][mask[i]] = grey
    return images, bright, dark


def network(head="mean", bias=0.0, size=SIZE):
    """Channel 0 of "features" sees what is bright, channel 1 what is dark; bright speaks for 1."""
    images = keras.Input((size, size, 3), name="images")
    x = layers.Conv2D(2, 4, strides=4, activation="relu", name="features")(images)
    if head == "mean":
        x, weights = layers.GlobalAveragePooling2D(name="pool")(x), np.array([[50.0], [-30.0]])
    else:  # only the left half counts
        weights = np.zeros((size // 4, size // 4, 2, 1))
        weights[:, : size // 8, 0] = 1
        x, weights = layers.Flatten(name="pool")(x), weights.reshape(-1, 1)
    model = keras.Model(images, layers.Dense(1, "sigmoid", name="probability")(x))
    mean = np.full((4, 4, 3), 1 / (48 * 255))
    model.get_layer("features").set_weights([np.stack([mean, -mean], -1), np.array([-0.5, 0.3])])
    model.get_layer("probability").set_weights([weights, np.array([bias])])
    return model


def edges(model, images):
    """An "explanation" that never asks the model."""
    return np.abs(np.gradient(np.asarray(images, float)[..., 0], axis=1))
