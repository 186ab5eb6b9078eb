"""Train a network and keep its history; score with it; save it with its labels.

Chapter 04 (transfer learning) explains the two ways of training that :func:`fit` knows.
"""

import json
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from xraylib import augmentation, datasets, engine, models, preprocessing

_CARD = "xraylib.json"  # the member of a saved .keras archive that holds labels and origin


def best_precision(source):
    """Name of the fastest dtype policy in which this machine computes a source model.

    Args:
        source: a key of ``models.SOURCES``.

    Returns:
        "mixed_bfloat16" on a GPU of compute capability 8.0 and up, and for Inception V3 on a
        processor with bfloat16 instructions (AVX-512 BF16, AMX); otherwise "float32". The
        depthwise convolutions of EfficientNet-Lite0 run slower in bfloat16 on a processor. Pass
        it to a builder of :mod:`xraylib.models` as ``dtype``.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        fast = details.get("compute_capability", (0, 0)) >= (8, 0)
    else:
        cpuinfo = Path("/proc/cpuinfo")
        flags = cpuinfo.read_text() if cpuinfo.exists() else ""
        fast = source == "inception_v3" and ("avx512_bf16" in flags or "amx_bf16" in flags)
    return "mixed_bfloat16" if fast else "float32"


def is_frozen(model):
    """Whether no weight up to the layer "features" of a report network is trained."""
    names = [layer.name for layer in model.layers]
    source = model.layers[: names.index("features") + 1]
    return not any(layer.trainable_weights for layer in source)


def features(model, images, *, draws=0, batch_size=16, seed=0, progress=True):
    """What the source of a report network computes of images, and of augmented versions of them.

    An image's features depend on that image alone: computed once for all folds, nothing of a fold's
    test images reaches its training images.

    Args:
        model: from :mod:`xraylib.models`, with a layer "features".
        images: (n, height, width, 3), 0..255, uint8 or float32.
        draws: the number of augmented versions of each image besides the plain one.
        batch_size: images a call.
        seed: of the augmentation.
        progress: show a bar on stderr.

    Returns:
        float16 (n, h, w, channels) for ``draws=0``, otherwise (n, 1 + draws, h, w, channels), the
        plain image's first. At 7 × 7 × 1280 (EfficientNet-Lite0) that is 125 kB an image and draw.

    Raises:
        ValueError: images of another shape or range.
    """
    preprocessing.check_images(images)
    images = np.asarray(images)
    source = engine.part(model, None, "features")
    rng = np.random.default_rng(seed)
    out = np.empty((len(images), 1 + draws, *source.output.shape[1:]), "float16")
    starts = range(0, len(images), batch_size)
    with tqdm(total=out.shape[0] * out.shape[1], unit="image", desc="source",
              disable=not progress) as bar:  # fmt: skip
        for draw in range(1 + draws):
            for start in starts:
                batch = images[start : start + batch_size]
                if draw:
                    batch = augmentation.augment(batch, rng)
                out[start : start + len(batch), draw] = engine.values(source, batch)
                bar.update(len(batch))
    return out if draws else out[:, 0]


def fit(
    model,
    images,
    labels,
    *,
    validation=None,
    epochs=20,
    batch_size=5,
    learning_rate=1e-4,
    draws=10,
    seed=0,
    progress=True,
):
    """Train a network with Adam on binary cross-entropy, as section 4.2 of the report.

    Images are augmented as in the report; what is no image is not. Where the source is frozen it
    runs once over ``draws`` augmented versions of each image, and the top alone is trained. A
    source that is trained too sees a new version of each image in each epoch. Validation images are
    never augmented. A training starts from the model's weights, with fresh averages of Adam's; to
    train a model once more from the start, see :func:`xraylib.models.initialise`.

    Args:
        model: from :mod:`xraylib.models`; trained in place, not compiled.
        images: what the model takes. A report network: (n, height, width, 3), 0..255, uint8 or
            float32. A top: features (n, 1 + draws, h, w, channels) as :func:`features` gives them,
            of which each epoch takes an augmented one of each image; or (n, h, w, channels).
            Others: (n, ...) numbers.
        labels: (n,) of 0 and 1.
        validation: (images, labels) to measure after each epoch, or None.
        epochs: passes over the images.
        batch_size: images a step; the report takes 5.
        learning_rate: of Adam; the report takes 1e-4.
        draws: augmented versions of an image where the source is frozen.
        seed: of the order and of the augmentation.
        progress: show bars on stderr.

    Returns:
        dict of lists, one value an epoch: loss, accuracy, mae and, with validation images, the
        same with the prefix val_. As in Keras the training values are means over the steps of
        the epoch, with dropout on and images augmented; the validation values are not.

    Raises:
        ValueError: images out of range or shape, labels other than 0 and 1, or lengths differ.
    """
    if epochs < 1 or batch_size < 1 or draws < 1:
        raise ValueError(
            "epochs, batch_size and draws must be 1 or more, got "
            f"epochs={epochs}, batch_size={batch_size}, draws={draws}"
        )
    images, labels = _checked(model, images, labels)
    if validation is not None:
        validation = _checked(model, *validation)
    of_pixels = takes_pixels(model)
    if of_pixels and is_frozen(model):
        images = features(model, images, draws=draws, seed=seed, progress=progress)
        if validation is not None:
            validation = features(model, validation[0], progress=progress), validation[1]
        model, of_pixels = engine.part(model, "features", None), False
    if validation is not None:
        validation = _plain(model, validation[0]), validation[1]
    batches = _batches(
        images, labels, epochs, batch_size, seed,
        augment=of_pixels, versions=images.ndim > len(model.input_shape),
    )  # fmt: skip
    return engine.train(
        model,
        (lambda epoch: _ahead(batches(epoch))) if of_pixels else batches,
        epochs=epochs,
        learning_rate=learning_rate,
        validation=validation,
        progress=progress,
    )


def settle(model, images, *, batches=12, batch_size=20, seed=0):
    """Give batch normalisation the means and variances of these images, under the final weights.

    What Keras keeps are running averages, of which one hundredth is new in each step: after a short
    training they belong partly to what the network began with. Scores say then how far they have
    come, and not what was learned.

    Args:
        model: from :mod:`xraylib.models`; only its running averages are changed.
        images: what it was trained on, see :func:`fit`.
        batches: random batches of different images whose statistics are averaged; one if it holds
            all images.
        batch_size: images in each.
        seed: of the choice.

    Raises:
        ValueError: images out of range or shape.

    Source: Wu and Johnson, Rethinking "Batch" in BatchNorm (2021), section 3.
    """
    images, _ = _checked(model, images, np.zeros(len(images)))
    rng, images = np.random.default_rng(seed), _plain(model, images)
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    before = [norm.momentum for norm in norms]
    try:
        for done in range(batches if len(images) > batch_size else 1):
            for norm in norms:
                norm.momentum = done / (done + 1)  # the mean of all batches so far
            chosen = rng.permutation(len(images))[:batch_size]
            model(images[chosen].astype("float32"), training=True)
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum


def _batches(x, labels, epochs, batch_size, seed, *, augment=False, versions=False):
    """A function from an epoch to its batches, in an order and with draws of its own.

    With versions, (n, 1 + draws, ...), an epoch takes another augmented one of each image, while
    there are any left.
    """
    if versions:
        numbers = np.tile(np.arange(1, x.shape[1]), (len(x), 1))
        drawn = np.random.default_rng([seed, 1]).permuted(numbers, axis=1)
        drawn = np.tile(drawn, -(-epochs // drawn.shape[1]))

    def batches(epoch):
        rng = np.random.default_rng([seed, 0, epoch])
        for chosen in _deal(len(labels), batch_size, rng):
            batch = x[chosen, drawn[chosen, epoch]] if versions else x[chosen]
            batch = augmentation.augment(batch, rng) if augment else batch
            yield batch.astype("float32"), labels[chosen]

    return batches


def _deal(n, batch_size, rng):
    """Shuffled batches of indices."""
    order = rng.permutation(n)
    ends = list(range(batch_size, n, batch_size))
    if n % batch_size == 1 and len(ends) > 0 and batch_size > 1:
        ends.pop()  # batch normalisation makes a batch of one image all zero: it joins the last
    return np.split(order, ends)


def _ahead(batches):
    """The same, each made while the one before is used."""
    with ThreadPoolExecutor(1) as maker:
        waiting = maker.submit(next, batches, None)
        while (batch := waiting.result()) is not None:
            waiting = maker.submit(next, batches, None)
            yield batch


def takes_pixels(model):
    """Whether a model takes images of 0..255, and scales them itself."""
    return any(isinstance(layer, preprocessing.Preprocess) for layer in model.layers)


def _plain(model, x):
    """Of features with augmented versions, those of the plain images."""
    return x[:, 0] if x.ndim > len(model.input_shape) else x


def _checked(model, images, labels):
    if takes_pixels(model):
        preprocessing.check_images(images)
    images = np.asarray(images)
    shape = model.input_shape[1:]
    if not takes_pixels(model) and shape not in (images.shape[1:], images.shape[2:]):
        raise ValueError(
            f"expected numbers of shape (n, {', '.join(map(str, shape))}) for {model.name}, or "
            f"(n, 1 + draws, ...) as training.features gives them, got {images.shape}"
        )
    return images, _checked_labels(labels, len(images))


def _checked_labels(labels, n):
    labels = np.asarray(labels)
    if labels.shape != (n,) or not np.isin(labels, (0, 1)).all():
        raise ValueError(
            f"expected one label of 0 or 1 for each of the {n} images, "
            f"got shape {labels.shape} with values {np.unique(labels)[:5].tolist()}"
        )
    return labels.astype("float32")[:, None]


def predict(model, images, *, batch_size=16):
    """Score of class 1 for each image.

    Args:
        model: from :mod:`xraylib.models`, or :func:`load`.
        images: as they would be given to :func:`fit`, of features with augmented versions the plain
            ones count; for a report network also a list of uint8 (height, width, 3) arrays of any
            sizes, each of which is brought to the source's size as
            :func:`xraylib.datasets.load` does it.
        batch_size: images a call.

    Returns:
        float64 (n,), 0..1.
    """
    if not takes_pixels(model):
        return engine.score(model, _plain(model, np.asarray(images)), batch_size=batch_size)
    if not isinstance(images, np.ndarray):
        images = datasets.resize(images, models.native_size(model))
    preprocessing.check_images(images)
    return engine.score(model, images, batch_size=batch_size)


def save(model, path, *, class_names, trained_on):
    """Write a model with its labels to one file, whole or not at all.

    Args:
        model: a trained report network; its scaling is part of its graph.
        path: ends in ".keras".
        class_names: names of class 0 and class 1.
        trained_on: one line for a reader: which images, how many, how trained.

    Raises:
        ValueError: the name does not end in .keras, or there are not two class names.
        OSError: the folder cannot be written to.
    """
    path = Path(path)
    if path.suffix != ".keras" or len(class_names) != 2:
        raise ValueError(
            "expected a path that ends in .keras and two class names, "
            f"got {str(path)!r} and {tuple(class_names)!r}"
        )
    card = {"class_names": list(class_names), "trained_on": str(trained_on)}
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial.keras")
    try:
        model.save(partial)
        with zipfile.ZipFile(partial, "a") as archive:
            archive.writestr(_CARD, json.dumps(card, indent=1))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load(path):
    """Read what :func:`save` wrote.

    Returns:
        (model, card): the Keras model and a dict with ``class_names`` and ``trained_on``.

    Raises:
        ValueError: no such file, not a saved model, or one without labels.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file; train a model and save it with training.save")
    try:
        with zipfile.ZipFile(path) as archive:
            card = json.loads(archive.read(_CARD))
    except zipfile.BadZipFile:
        raise ValueError(f"{path}: expected a .keras model, but this is no such archive") from None
    except KeyError:
        raise ValueError(
            f"{path}: a model without labels; save it with xraylib.training.save"
        ) from None
    try:
        return keras.models.load_model(path), card
    except Exception as error:  # Keras raises whatever its parts raise
        raise ValueError(f"{path}: Keras cannot read this model: {error}") from error
