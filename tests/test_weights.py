"""Weights files are read right, and a bad one is refused without being obeyed."""

import pickle

import numpy as np
import pytest

from xraylib import models, weights

HEAD = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
HEAD += pickle.dumps({"little_endian": True}, 2)
STORAGE = b"((S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI6\nNtQ"


def tensor(storage=STORAGE, offset=0, shape=b"I2\nI3\n", strides=b"I3\nI1\n"):
    """Pickle opcodes that build one tensor, as PyTorch writes them."""
    window = b"I%d\n(%st(%st" % (offset, shape, strides)
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + storage + window + b"I00\nNtR"


def pth(path, value=None, body=None, values=6):
    """A .pth file of one tensor of six values called "w", or with another pickle as its table."""
    table = body or b"(dS'w'\n" + (value or tensor()) + b"s."
    raw = np.arange(values, dtype="<f4").tobytes()
    path.write_bytes(HEAD + table + pickle.dumps(["0"], 2) + (6).to_bytes(8, "little") + raw)
    return path


def test_a_table_of_tensors(tmp_path):
    assert weights.read_pth(pth(tmp_path / "a.pth"))["w"].tolist() == [[0, 1, 2], [3, 4, 5]]
    transposed = tensor(offset=1, shape=b"I3\nI2\n", strides=b"I1\nI2\n")
    found = weights.read_pth(pth(tmp_path / "b.pth", transposed))["w"]
    assert found.tolist() == [[1, 3], [2, 4], [3, 5]]


def test_the_installed_file():
    tensors = weights.read_pth(weights.lite0_path(), weights.LITE0_SHA256)
    counters = [t for name, t in tensors.items() if name.endswith("num_batches_tracked")]
    assert {t.dtype for t in counters} == {np.dtype("int64")}
    # 4,652,008 parameters, as PyTorch counts them, and 42,016 moving statistics.
    assert sum(t.size for t in tensors.values()) - len(counters) == 4_652_008 + 42_016
    assert tensors["_blocks.1._depthwise_conv.weight"].shape == (96, 1, 3, 3)
    assert all(np.isfinite(t).all() for t in tensors.values())


def test_poison_is_not_swallowed(tmp_path):
    """The same bytes do run code in Python's own unpickler."""
    trace = tmp_path / "trace"
    poison = b"cbuiltins\nopen\n(S'%s'\nS'w'\ntR." % str(trace).encode()
    path = pth(tmp_path / "poison.pth", body=poison)
    with pytest.raises(ValueError, match="nothing in it was run: it asks for builtins.open"):
        weights.read_pth(path)
    assert not trace.exists()
    pickle.loads(poison).close()
    assert trace.exists()


@pytest.mark.parametrize(
    "name",
    ["os.system", "builtins.eval", "torch._utils.os", "torch.load", "collections.abc.sys"],
)
def test_other_names_are_refused(tmp_path, name):
    body = b"c%s\n%s\n." % tuple(part.encode() for part in name.rsplit(".", 1))
    with pytest.raises(ValueError, match=f"asks for {name}"):
        weights.read_pth(pth(tmp_path / "a.pth", body=body))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(tensor(offset=1), id="past the end"),
        pytest.param(tensor(offset=-1), id="before the start"),
        pytest.param(tensor(strides=b"I-3\nI1\n"), id="backwards"),
        pytest.param(tensor(shape=b"I2\n"), id="one side without stride"),
        # A window without steps on six values is as long as one likes; no second one may use it.
        pytest.param(
            tensor(tensor(STORAGE, 0, b"I1000000\n", b"I0\n").replace(b"ctorch._", b"(ctorch._", 1),
                   0, b"I1000000\n", b"I1\n"), id="window on a window"),
        pytest.param(tensor(STORAGE.replace(b"I6", b"I600000000")), id="huge storage"),
        pytest.param(b"I1\n", id="no tensor"),
    ],
)  # fmt: skip
def test_tensors_stay_inside_their_storage(tmp_path, value):
    with pytest.raises(ValueError, match=r"a\.pth (cannot be read|was refused)"):
        weights.read_pth(pth(tmp_path / "a.pth", value))


@pytest.mark.parametrize("keep", [0, 5, 30, 1_000, 42_000, 47_000, 9_000_000, 18_826_031])
def test_a_file_cut_short(tmp_path, keep):
    path = tmp_path / "short.pth"
    path.write_bytes(weights.lite0_path().read_bytes()[:keep])
    with pytest.raises(ValueError, match="damaged or cut short"):
        weights.read_pth(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>not found</html>", "cannot be read"),
        (b"PK\x03\x04", "newer zip format"),
        (pickle.dumps({"w": 1}), "expected the magic number"),
        (HEAD[:15] + pickle.dumps(1002, 2), "expected version 1001"),
    ],
)
def test_other_files(tmp_path, content, message):
    path = tmp_path / "other.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        weights.read_pth(path)


def test_another_file_of_the_same_name(tmp_path):
    with pytest.raises(ValueError, match="SHA-256"):
        weights.read_pth(pth(tmp_path / "a.pth"), weights.LITE0_SHA256)


def test_weights_that_do_not_fit(tmp_path):
    model = models.efficientnet_lite0(weights=None, seed=0)
    before = model.get_layer("stem_conv").get_weights()[0]
    with pytest.raises(ValueError, match="does not hold EfficientNet-Lite0: .*_conv_stem"):
        weights.load_lite0(model, pth(tmp_path / "a.pth"))
    assert np.array_equal(model.get_layer("stem_conv").get_weights()[0], before)
    with pytest.raises(FileNotFoundError, match="no file"):
        weights.load_lite0(model, tmp_path / "missing.pth")
