"""A trained network in one file, with what a prediction needs to know."""

import json
import os
import zipfile
from pathlib import Path

import keras

from xraylib.models import builders

_CARD = "xraylib.json"  # the member of a .keras archive that holds the card


def save(model, path, *, class_names, trained_on, interpolation="nearest", keep_aspect=False):
    """Write a model with its labels to one file, whole or not at all.

    Args:
        model: a trained report network; its size and its scaling are part of its graph.
        path: ends in ".keras".
        class_names: names of class 0 and class 1.
        trained_on: one line for a reader: which images, how many, how trained.
        interpolation: how the images were resized, see :func:`xraylib.data.datasets.resize`; a
            prediction does it likewise.
        keep_aspect: whether their shape was kept.

    Raises:
        ValueError: the name does not end in .keras, there are not two class names, or the model
            does not end in one sigmoid unit.
        OSError: the folder cannot be written to.
    """
    builders.sigmoid_unit(model)
    path = Path(path)
    if path.suffix != ".keras" or len(class_names) != 2:
        raise ValueError(
            "expected a path that ends in .keras and two class names, "
            f"got {str(path)!r} and {tuple(class_names)!r}"
        )
    card = {"class_names": list(class_names), "trained_on": str(trained_on),
            "interpolation": interpolation, "keep_aspect": keep_aspect}  # fmt: skip
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial.keras")
    try:
        model.save(partial)
        with zipfile.ZipFile(partial, "a") as archive:
            archive.writestr(_CARD, json.dumps(card, indent=1))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load(path):
    """Read what :func:`save` wrote: (model, card), the card a dict of its last four arguments.

    Raises:
        ValueError: no such file, not a saved model, one without labels, or one that does not end in
            one sigmoid unit.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file; train a model and save it with saving.save")
    try:
        with zipfile.ZipFile(path) as archive:
            # Before files said how images are resized, there was one way.
            before = {"interpolation": "nearest", "keep_aspect": False}
            card = before | json.loads(archive.read(_CARD))
    except zipfile.BadZipFile:
        raise ValueError(f"{path}: expected a .keras model, but this is no such archive") from None
    except KeyError:
        how = "save it with xraylib.training.saving.save"
        raise ValueError(f"{path}: a model without labels; {how}") from None
    try:
        model = keras.models.load_model(path)
    except Exception as error:  # Keras raises whatever its parts raise
        raise ValueError(f"{path}: Keras cannot read this model: {error}") from error
    builders.sigmoid_unit(model)
    return model, card
