"""Compile, fit, keep the history; save a trained model with its labels.

Chapter 04 (transfer learning) explains the two ways of training that :func:`fit` knows.
"""

import itertools
import json
import os
import zipfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm
from tqdm.keras import TqdmCallback

from xraylib import augmentation, datasets, models, preprocessing

_CARD = "xraylib.json"  # the member of a saved .keras archive that holds labels and origin


def best_precision(source):
    """Name of the fastest dtype policy in which this machine computes a source model.

    Args:
        source: a key of ``models.SOURCES``.

    Returns:
        "mixed_bfloat16" on a GPU of compute capability 8.0 and up, and for Inception V3 on a
        processor with bfloat16 instructions (AVX-512 BF16, AMX); otherwise "float32". The
        depthwise convolutions of EfficientNet-Lite0 run slower in bfloat16 on a processor. Set
        it with ``keras.config.set_dtype_policy`` before a model is built.
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


def _batches(draw, labels, batch_size, seed):
    """A tf.data pipeline that shuffles and draws anew in every epoch.

    Keras 3 repeats the same batches in each epoch when ``fit`` is given arrays after
    ``keras.utils.set_random_seed``; here every pass has a generator of its own, seeded by the
    seed and the number of the pass, so passes differ and runs agree.
    """
    n = len(labels)
    steps = -(-n // batch_size)
    if n % batch_size == 1 and steps > 1:
        steps -= 1  # batch normalisation makes a batch of one image all zero: it joins the last
    passes = itertools.count()

    def one_pass():
        epoch = next(passes)
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(n)
        for step in range(steps):
            end = n if step == steps - 1 else (step + 1) * batch_size
            chosen = order[step * batch_size : end]
            yield draw(chosen, epoch, rng), labels[chosen]

    sample = draw(np.arange(1), 0, np.random.default_rng(0))
    signature = (
        tf.TensorSpec((None, *sample.shape[1:]), sample.dtype),
        tf.TensorSpec((None, 1), tf.float32),
    )
    pipeline = tf.data.Dataset.from_generator(one_pass, output_signature=signature)
    return pipeline.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2)


def is_frozen(model):
    """Whether no weight up to the layer "features" of a report network is trained."""
    names = [layer.name for layer in model.layers]
    source = model.layers[: names.index("features") + 1]
    return not any(layer.trainable_weights for layer in source)


def features(model, images, *, draws=0, batch_size=16, seed=0, progress=True):
    """What the source of a report network computes, once plain or for several augmented draws.

    Args:
        model: from :func:`xraylib.models.report_network`.
        images: (n, height, width, 3), 0..255, uint8 or float32.
        draws: 0 for the images as they are, otherwise the number of augmented versions of each.
        batch_size: images a call.
        seed: of the augmentation.
        progress: show a bar on stderr.

    Returns:
        float16 (n, h, w, channels) for ``draws=0``, otherwise (draws, n, h, w, channels). At 7 × 7
        × 1280 (EfficientNet-Lite0) that is 125 kB an image and draw.
    """
    preprocessing.check_images(images)
    images = np.asarray(images)
    source = keras.Model(model.input, model.get_layer("features").output)
    call = tf.function(lambda batch: source(batch, training=False)).get_concrete_function(
        tf.TensorSpec((None, *images.shape[1:]), tf.float32)
    )
    rng = np.random.default_rng(seed)
    shape = (max(draws, 1), len(images), *source.output.shape[1:])
    out = None
    total = shape[0] * shape[1]
    with tqdm(total=total, unit="image", desc="source", disable=not progress) as bar:
        for draw in range(shape[0]):
            for start in range(0, len(images), batch_size):
                batch = images[start : start + batch_size]
                if draws:
                    batch = augmentation.augment(batch, rng)
                values = tf.cast(call(tf.cast(batch, tf.float32)), tf.float16).numpy()
                if out is None:
                    out = np.empty((*shape[:2], *values.shape[1:]), "float16")
                out[draw, start : start + len(batch)] = values
                bar.update(len(batch))
    return out if draws else out[0]


def fit(
    model,
    images,
    labels,
    *,
    validation=None,
    epochs=20,
    batch_size=5,
    learning_rate=1e-4,
    augment=True,
    draws=10,
    seed=0,
    progress=True,
):
    """Train a report network with Adam on binary cross-entropy, as section 4.2 of the report.

    A frozen source is run once over ``draws`` augmented versions of each image and only the top is
    trained, on one of the versions an epoch, each version as often as any other. A source that is
    trained too sees a new augmentation of each image in each epoch. Validation images are never
    augmented. For several GPUs build the model and call this inside the scope of a
    ``tf.distribute.MirroredStrategy``.

    Args:
        model: from :func:`xraylib.models.report_network`; trained in place.
        images: (n, height, width, 3), 0..255, uint8 or float32.
        labels: (n,) of 0 and 1.
        validation: (images, labels) to measure after each epoch, or None.
        epochs: passes over the images.
        batch_size: images a step; the report takes 5.
        learning_rate: of Adam; the report takes 1e-4.
        augment: apply the report's random affine.
        draws: cached versions of an image where the source is frozen.
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
    images, labels = _checked(images, labels)
    if validation is not None:
        validation = _checked(*validation)
    settings = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    settings |= {"seed": seed, "progress": progress}
    if is_frozen(model):
        count = min(draws, epochs) if augment else 0
        cache = features(model, images, draws=count, seed=seed, progress=progress)
        if validation is not None:
            plain = features(model, validation[0], progress=progress)
            validation = (plain.astype("float32"), validation[1])
        top = keras.Model(model.get_layer("features").output, model.output)
        cache = cache if count else cache[None]
        return _fit_top(top, cache, labels, validation, **settings)

    def draw(chosen, epoch, rng):
        batch = images[chosen]
        return (augmentation.augment(batch, rng) if augment else batch).astype("float32")

    return _fit(model, draw, labels, validation, **settings)


def fit_top(top, cache, labels, *, validation=None, epochs=20, seed=0):
    """Train a top on features that were computed before, as :func:`fit` does with a frozen source.

    Where many tops are trained on the same images, as in cross-validation, the source has to run
    only once.

    Args:
        top: from :func:`xraylib.models.report_top` on a shape; trained in place.
        cache: (draws, n, h, w, channels), from :func:`features`; each epoch takes one draw an
            image, each draw as often as any other.
        labels: (n,) of 0 and 1.
        validation: (features, labels) to measure after each epoch, (m, h, w, channels) and (m,).
        epochs: passes over the images.
        seed: of the order.

    Returns:
        dict of lists, see :func:`fit`.

    Raises:
        ValueError: labels other than 0 and 1, or not one for each image.
    """
    cache = np.asarray(cache)
    if cache.ndim != 5:
        raise ValueError(
            f"expected features of shape (draws, n, h, w, channels), got {cache.shape}; for plain "
            "features put an axis in front: cache[None]"
        )
    labels = _checked_labels(labels, cache.shape[1])
    if validation is not None:
        plain = np.asarray(validation[0], "float32")
        validation = plain, _checked_labels(validation[1], len(plain))
    return _fit_top(top, cache, labels, validation, epochs=epochs, seed=seed)


def _fit_top(top, cache, labels, validation=None, *, seed, **settings):
    # Image i starts with its own draw, so that an epoch mixes them.
    held, count = [cache], len(cache)
    first = np.random.default_rng([seed, 1]).integers(count, size=len(labels))

    def draw(chosen, epoch, rng):
        return held[0][(first[chosen] + epoch) % count, chosen].astype("float32")

    try:
        return _fit(top, draw, labels, validation, seed=seed, **settings)
    finally:
        held.clear()  # TensorFlow keeps the pipeline's function, and would keep the features too


def _fit(
    trained,
    draw,
    labels,
    validation,
    *,
    epochs,
    seed,
    batch_size=5,
    learning_rate=1e-4,
    progress=False,
):
    trained.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="binary_crossentropy",
        metrics=["accuracy", "mae"],
        jit_compile=False,
    )
    bar = TqdmCallback(verbose=0, tqdm_class=tqdm, desc="training", disable=not progress)
    history = trained.fit(
        _batches(draw, labels, batch_size, seed),
        validation_data=validation,
        epochs=epochs,
        verbose=0,
        shuffle=False,  # the pipeline shuffles
        callbacks=[bar],
    )
    return {name: [float(v) for v in values] for name, values in history.history.items()}


def _checked(images, labels):
    preprocessing.check_images(images)
    return np.asarray(images), _checked_labels(labels, len(images))


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
        model: from :func:`xraylib.models.report_network` or :func:`load`.
        images: (n, height, width, 3) array, 0..255, as it would be given to :func:`fit`; or a list
            of uint8 (height, width, 3) arrays of any sizes, each of which is brought to the
            source's size as :func:`xraylib.datasets.load` does it.
        batch_size: images a call.

    Returns:
        float64 (n,), 0..1.
    """
    if not isinstance(images, np.ndarray):
        images = datasets.resize(images, models.native_size(model))
    preprocessing.check_images(images)
    return model.predict(images, batch_size=batch_size, verbose=0)[:, 0].astype("float64")


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
