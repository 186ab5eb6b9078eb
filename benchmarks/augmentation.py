"""The report's augmentation: one resampling against ImageDataGenerator and Keras' layers."""

import warnings

import keras
import numpy as np
from keras.src.legacy.preprocessing.image import ImageDataGenerator

from benchmarks.timing import images_per_second
from xraylib.data import datasets
from xraylib.training import augmentation

REPORT = {
    "rotation_range": 20, "width_shift_range": 0.2, "height_shift_range": 0.2,
    "shear_range": 0.2, "zoom_range": 0.2, "horizontal_flip": True,
}  # fmt: skip


def run(n=40):
    """Augment n colour images of 299 × 299 pixels in batches of five, as the report does."""
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="keras")
    images = datasets.load("phantom", n=n, size=299).images.astype("float32")
    batches = images.reshape(-1, 5, *images.shape[1:])
    rng = np.random.default_rng(0)
    generator = ImageDataGenerator(**REPORT).flow(images, batch_size=5, seed=0)
    layers = keras.Sequential(
        [
            keras.layers.RandomRotation(20 / 360, fill_mode="nearest"),
            keras.layers.RandomTranslation(0.2, 0.2, fill_mode="nearest"),
            keras.layers.RandomShear(0.0035, 0.0035, fill_mode="nearest"),
            keras.layers.RandomZoom(0.2, 0.2, fill_mode="nearest"),
            keras.layers.RandomFlip("horizontal"),
        ]
    )
    ways = {
        "ImageDataGenerator (the report's way)": lambda: [next(generator) for _ in batches],
        "five Keras layers": lambda: [layers(batch, training=True).numpy() for batch in batches],
        "xraylib.augmentation": lambda: [augmentation.augment(batch, rng) for batch in batches],
    }
    rates = images_per_second(ways, n)
    own = rates["ImageDataGenerator (the report's way)"]
    print("\nAugmentation, 299 × 299 × 3 float32, batches of 5")
    for name, rate in rates.items():
        print(f"  {name:<40}{rate:8.0f} images/s   {rate / own:5.1f} ×")
