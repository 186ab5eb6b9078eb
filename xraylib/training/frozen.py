"""What a frozen backbone computes of images: once, for all trainings and folds.

An image's features depend on that image alone, so nothing of a fold's test images reaches its
training images. Runs on Keras' TensorFlow and JAX backends.
"""

import keras
import numpy as np
from tqdm import tqdm

from xraylib.data.images import check_images
from xraylib.models.builders import part
from xraylib.training import augmentation


def features(model, images, *, draws=0, batch_size=16, seed=0, progress=True):
    """The last map of a backbone, of images and of augmented versions of them.

    Args:
        model: a backbone, or a network with a layer "features".
        images: (n, size, size, 3), 0..255, of the model's own size.
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
    images = check_images(images, model.input_shape[1])
    backbone = part(model, None, "features")
    # XLA doubles the time of convolutions on a processor; JAX has nothing else.
    backbone.jit_compile = keras.backend.backend() != "tensorflow"
    rng, batch_size = np.random.default_rng(seed), min(batch_size, len(images))
    out = np.empty((len(images), 1 + draws, *backbone.output_shape[1:]), "float16")
    with tqdm(total=out.shape[0] * out.shape[1], unit="image", desc="backbone",
              disable=not progress) as bar:  # fmt: skip
        for draw in range(1 + draws):
            for start in range(0, len(images), batch_size):
                batch = images[start : start + batch_size]
                n = len(batch)
                if draw:
                    batch = augmentation.augment(batch, rng)
                full = np.resize(batch, (batch_size, *batch.shape[1:]))  # one shape, compiled once
                out[start : start + n, draw] = backbone.predict_on_batch(full)[:n]
                bar.update(n)
    return out if draws else out[:, 0]


def averaged(model, images):
    """A backbone's last map of each image, averaged over the map: where it was found is lost.

    Args:
        model: see :func:`features`.
        images: likewise.

    Returns:
        float16 (n, channels); of EfficientNet-Lite0 (n, 1280), 0..6.
    """
    maps = features(model, images, progress=False)
    return maps.mean(axis=(1, 2), dtype="float32").astype("float16")
