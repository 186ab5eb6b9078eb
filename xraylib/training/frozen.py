"""What a frozen backbone computes of images: once, for all trainings and folds.

An image's features depend on that image alone: nothing of a fold's test images reaches its training
images. Runs on Keras' TensorFlow and JAX backends.
"""

import functools
from pathlib import Path

import keras
import numpy as np

from xraylib.data import arrays
from xraylib.data.images import check_images
from xraylib.models.builders import on_card, part
from xraylib.training import augmentation


def features(model, images, *, draws=0, batch_size=None, seed=0, store=None, progress=True):
    """The last map of a backbone, of images and of augmented versions of them.

    Args:
        model: a backbone, or a network with a layer "features"; or a function without arguments
            that returns one: where batches run on other machines, one that can be imported.
        images: (n, size, size, 3), 0..255, of the model's own size; an array, or
            :class:`xraylib.data.arrays.OnDisk`.
        draws: augmented versions of each image besides the plain one.
        batch_size: images a call; None: 64 on a graphics card, otherwise 16.
        seed: of the augmentation; each image has draws of its own, whatever the batches.
        store: folder to keep the features in, see :func:`xraylib.data.arrays.filled`, for sets that
            do not fit into memory. They are known by images, weights, precision, draws and seed.
        progress: show a bar on stderr.

    Returns:
        float16 (n, h, w, channels) for ``draws=0``, otherwise (n, 1 + draws, h, w, channels), the
        plain image's first; with a store as OnDisk. At 7 × 7 × 1280 (EfficientNet-Lite0) that is
        125 kB an image and draw.

    Raises:
        ValueError: images of another shape or range.
        OSError: the store's disk has not enough room.
    """
    return _computed(_backbone, model, images, draws, seed, batch_size, store, progress)


def averaged(model, images, *, batch_size=None, store=None, progress=False):
    """A backbone's last map of each image, averaged over the map: where it was found is lost.

    Takes the same as :func:`features`, and raises the same.

    Returns:
        float16 (n, channels), with a store as OnDisk; of EfficientNet-Lite0 (n, 1280), 0..6.
    """
    return _computed(_averaging, model, images, 0, 0, batch_size, store, progress)


def _computed(network_of, model, images, draws, seed, batch_size, store, progress):
    """float16, what a network gives of each image and its augmented versions."""
    network, backbone, known_by = network_of(model), _backbone(model), None
    on_disk = isinstance(images, arrays.OnDisk)
    if not on_disk:  # there rows are checked as they are read
        check_images(images, network.input_shape[1])
    batch_size = min(batch_size or (64 if on_card() else 16), len(images))
    shape = (len(images), *(1 + draws,) * bool(draws), *network.output_shape[1:])
    if store is not None:
        of = images.known_by if on_disk else images
        code = [Path(each).read_bytes() for each in (__file__, augmentation.__file__)]
        # Draws and averages show in the shape, by which the array is known as well.
        known_by = of, backbone.to_json(), backbone.get_weights(), seed, code
    return arrays.filled(
        store, known_by, shape, "float16",
        functools.partial(_rows, network_of, model, images, draws, seed, batch_size),
        batch_size=batch_size, what="backbone", progress=progress,
    )  # fmt: skip


@functools.lru_cache(maxsize=2)
def _built(build):
    return build()


def _backbone(model):
    network = model if isinstance(model, keras.Model) else _built(model)
    backbone = part(network, None, "features")
    # XLA doubles the time of convolutions on a processor; JAX has nothing else.
    backbone.jit_compile = keras.backend.backend() != "tensorflow"
    return backbone


def _averaging(model):
    """A backbone with the mean of its last map behind it, rounded as whole maps are kept."""
    backbone = _backbone(model)
    kept = vars(backbone)  # not setattr: Keras would track and save it
    if "_averaging" not in kept:
        rounded = keras.ops.cast(keras.ops.cast(backbone.output, "float16"), "float32")
        kept["_averaging"] = keras.Model(backbone.input, keras.ops.mean(rounded, axis=(1, 2)))
        kept["_averaging"].jit_compile = backbone.jit_compile
    return kept["_averaging"]


def _rows(network_of, model, images, draws, seed, size, rows):
    """What a network gives of some rows, float32; it sees batches of one size alone."""
    network = network_of(model)
    batch = check_images(images[rows.start : rows.stop], network.input_shape[1])
    versions = [batch]
    if draws:
        shape = batch.shape[1:3]
        rngs = (np.random.default_rng([seed, i]) for i in rows)
        matrices = [augmentation.random_matrices(draws, shape, rng) for rng in rngs]
        versions += [augmentation.apply(batch, each) for each in np.stack(matrices, axis=1)]
    full = [np.resize(version, (size, *version.shape[1:])) for version in versions]
    maps = np.stack([network.predict_on_batch(each)[: len(batch)] for each in full], axis=1)
    return maps if draws else maps[:, 0]
