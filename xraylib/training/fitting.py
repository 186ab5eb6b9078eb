"""Train a network, and score with it; chapter 04 explains the two ways of training."""

import keras
import numpy as np
import tensorflow as tf

from xraylib.data.arrays import as_float32, light
from xraylib.data.images import check_images
from xraylib.models import builders
from xraylib.training import augmentation, engine, frozen

_AT_ONCE = 2**25  # bytes of images, as float32, that go to the device in one piece


def fit(
    model, images, labels, *, validation=None, epochs=20, batch_size=5, learning_rate=1e-4,
    draws=10, seed=0, progress=True,
):  # fmt: skip
    """Train a network with Adam on binary cross-entropy, as section 4.2 of the report.

    Images are augmented as in the report; what is no image is not. Where the backbone is frozen it
    runs once over ``draws`` augmented versions of each image, and the top alone is trained. A
    backbone that is trained too sees a new version of each image in each epoch. A training starts
    from the model's weights; to train once more from the start, see
    :func:`xraylib.models.random_weights.initialise`.

    Args:
        model: ends in one sigmoid unit; trained in place, not compiled.
        images: what the model takes. A report network: (n, size, size, 3), 0..255, uint8 or
            float32. A top: features (n, 1 + draws, h, w, channels) as
            :func:`xraylib.training.frozen.features` gives them, of which each epoch takes an
            augmented one of each image; or (n, h, w, channels). Others: (n, ...) numbers.
        labels: (n,) of 0 and 1.
        validation: (images, labels) to measure after each epoch, never augmented, or None.
        epochs: passes over the images.
        batch_size: images a step; the report takes 5.
        learning_rate: of Adam; the report takes 1e-4.
        draws: augmented versions of an image where the backbone is frozen.
        seed: of the order and of the augmentation.
        progress: show bars on stderr.

    Returns:
        dict of lists, one value an epoch: loss, accuracy, mae and, with validation images, the
        same with the prefix val_. As in Keras the training values are means over the epoch, with
        dropout on and images augmented; the validation values are not.

    Raises:
        ValueError: another model, images out of range or shape, labels other than 0 and 1, or
            lengths differ.
    """
    if epochs < 1 or batch_size < 1 or draws < 1:
        raise ValueError(
            "epochs, batch_size and draws must be 1 or more, got "
            f"epochs={epochs}, batch_size={batch_size}, draws={draws}"
        )
    images, labels = _labelled(model, images, labels)
    if validation is not None:
        validation = _labelled(model, *validation)
    augment = takes_pixels(model)
    if augment and not builders.part(model, None, "features").trainable_weights:
        images = frozen.features(model, images, draws=draws, seed=seed, progress=progress)
        if validation is not None:
            validation = frozen.features(model, validation[0], progress=progress), validation[1]
        model, augment = builders.part(model, "features", None), False
    versions = images.ndim > len(model.input_shape)
    batches = _batches(images, labels, epochs, batch_size, seed, augment=augment, versions=versions)
    return engine.train(
        model, batches, epochs=epochs, learning_rate=learning_rate, validation=validation,
        progress=progress,
    )  # fmt: skip


def settle(model, images, *, seed=0):
    """Give batch normalisation the means and variances of these images, under the final weights.

    What Keras keeps are running averages, of which one hundredth is new in each step: after a short
    training they belong partly to what the network began with, and scores say how far they have
    come. Averaged are twelve random batches of 20 images each; of fewer images one batch of all.

    Args:
        model: see :func:`fit`; only its running averages are changed.
        images: what it was trained on.
        seed: of the choice.

    Raises:
        ValueError: images out of range or shape.

    Source: Wu and Johnson, Rethinking "Batch" in BatchNorm (2021), section 3.
    """
    images = _checked(model, images)
    rng = np.random.default_rng(seed)
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    before = [norm.momentum for norm in norms]
    try:
        for done in range(12 if len(images) > 20 else 1):
            for norm in norms:
                norm.momentum = done / (done + 1)  # the mean of all batches so far
            chosen = rng.permutation(len(images))[:20]
            model(engine.plain(model, images[chosen]).astype("float32"), training=True)
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum


def predict(model, images):
    """Score of class 1 for each image, float64 (n,), 0..1.

    Args:
        model: ends in one sigmoid unit, see :func:`fit`.
        images: as they would be given to :func:`fit`; of features with augmented versions the plain
            ones count.

    Raises:
        ValueError: another model, images out of range or shape, or scores that are no numbers.
    """
    images = _checked(model, images)
    scores = engine.score(model, images)
    if wrong := int(np.isnan(scores).sum()):
        raise ValueError(
            f"expected scores of 0..1, got NaN for {wrong} of {len(scores)} images: the training "
            f"of {model.name} failed; train it anew, with a lower learning rate"
        )
    return scores


def takes_pixels(model):
    """Whether a model takes images of 0..255, and scales them itself."""
    return any(layer.name == "preprocess" for layer in model.layers)


def _batches(x, labels, epochs, batch_size, seed, *, augment=False, versions=False):
    """A function from an epoch to its batches, for ``engine.train``; order and draws are its own.

    With versions, (n, 1 + draws, ...), an epoch takes another augmented one of each image, while
    there are any left.
    """
    if versions:
        numbers = np.tile(np.arange(1, x.shape[1]), (len(x), 1))
        drawn = np.random.default_rng([seed, 1]).permuted(numbers, axis=1)
        drawn = np.tile(drawn, -(-epochs // drawn.shape[1]))
    image = 4 * int(np.prod(x.shape[1 + versions :]))
    many = 1 if augment else max(1, _AT_ONCE // (batch_size * image))  # batches at a time

    def batches(epoch):
        dealt = _deal(len(labels), batch_size, np.random.default_rng([seed, 0, epoch]))

        def some(first):
            sizes = [len(batch) for batch in dealt[first : first + many]]
            chosen = np.concatenate(dealt[first : first + many])
            part = x[chosen, drawn[chosen, epoch]] if versions else x[chosen]
            if augment:
                rng = np.random.default_rng([seed, 2, epoch, first])
                part = as_float32(augmentation.augment(part, rng))
            return part, labels[chosen], np.cumsum(sizes, dtype=np.int32)

        if not augment:
            return map(some, range(0, len(dealt), many))
        # Augmented on all cores, ahead of the training.
        kinds = [tf.float32, tf.float32, tf.int32]
        steps = tf.data.Dataset.range(len(dealt)).map(
            lambda step: tf.numpy_function(some, [step], kinds), tf.data.AUTOTUNE
        )
        return steps.prefetch(tf.data.AUTOTUNE)

    return batches


def _deal(n, batch_size, rng):
    """Shuffled batches of indices."""
    order = rng.permutation(n)
    ends = list(range(batch_size, n, batch_size))
    if n % batch_size == 1 and ends and batch_size > 1:
        ends.pop()  # batch normalisation makes a batch of one image all zero: it joins the last
    return np.split(order, ends)


def _checked(model, images):
    builders.sigmoid_unit(model)
    shape = model.input_shape[1:]
    if takes_pixels(model):
        images = check_images(images, shape[0])
    images = light(images)
    if shape not in (images.shape[1:], images.shape[2:]):
        raise ValueError(
            f"expected numbers of shape (n, {', '.join(map(str, shape))}) for {model.name}, or "
            f"(n, 1 + draws, ...) as frozen.features gives them, got {images.shape}"
        )
    return images


def _labelled(model, images, labels):
    images = _checked(model, images)
    labels = np.asarray(labels)
    if labels.shape != (len(images),) or not np.isin(labels, (0, 1)).all():
        raise ValueError(
            f"expected one label of 0 or 1 for each of the {len(images)} images, "
            f"got shape {labels.shape} with values {np.unique(labels)[:5].tolist()}"
        )
    return images, labels.astype("float32")[:, None]
