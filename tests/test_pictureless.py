"""The real films without their pictures: what is kept is right, and no picture."""

import os

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA

from xraylib import ledger, pictureless
from xraylib.data import datasets
from xraylib.data.manifest import DatasetError
from xraylib.models.backbones import efficientnet_lite0
from xraylib.training.frozen import averaged

FILMS = {"xray75": 75, "covid": 118}
real = pytest.mark.skipif(
    "XRAYLIB_DATA" not in os.environ, reason="XRAYLIB_DATA does not name the films' folder"
)


@pytest.mark.parametrize("name", FILMS)
def test_kept_numbers_belong_to_the_films_of_the_manifest(name):
    data, found = pictureless.read(name)
    n = FILMS[name]
    assert data.images is None and len(data) == n == len(data.table)
    assert data.subset(data.labels == 1).labels.tolist() == [1] * int(data.labels.sum())
    assert found["pixels"].shape == (n, n - 1)
    assert found["grey"].shape == (n, 1) and 0 < found["grey"].min() < found["grey"].max() < 1
    for key in ("whole", "rim", "without middle", "middle", "scaling", "random 0", "random 4"):
        assert found[key].shape == (n, 1280), key
        assert 0 <= found[key].min() < found[key].max() <= 6, key


def test_the_reports_components_come_from_the_kept_distances():
    _, found = pictureless.read("xray75")
    shares = PCA(0.9).fit(found["pixels"]).explained_variance_ratio_
    said = ledger.report()["pca"]["explained_variance_ratio"]
    np.testing.assert_allclose(shares, said, atol=1e-5)


def test_nothing_is_kept_that_has_a_place_on_a_film():
    """No film has more numbers than features, and moved pixels leave the distances alone."""
    _, found = pictureless.read("xray75")
    assert max(values[0].size for values in found.values()) == 1280
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    moved = images.reshape(6, -1)[:, rng.permutation(32 * 32 * 3)].reshape(images.shape)
    here, there = (pictureless.distances(each)["pixels"] for each in (images, moved))
    np.testing.assert_allclose(pdist(here), pdist(there))


@real
@pytest.mark.parametrize("name", FILMS)
def test_kept_numbers_are_those_of_the_real_films(name):
    _, found = pictureless.read(name)
    measured = pictureless.distances(datasets.load(name, size=299).images)
    for key, values in measured.items():
        np.testing.assert_allclose(pdist(values), pdist(found[key]), rtol=1e-6, atol=1e-6)
    few = datasets.load(name, size=224).images[:4]
    np.testing.assert_allclose(averaged(efficientnet_lite0(), few), found["whole"][:4], atol=0.02)


def test_what_cannot_be_read_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(pictureless, "ROOT", tmp_path)
    (tmp_path / "results").mkdir()
    with pytest.raises(DatasetError, match="make results"):
        pictureless.read("xray75")
    np.savez(tmp_path / "results" / "xray75.npz", whole=np.zeros((3, 1280)))
    with pytest.raises(DatasetError, match=r"75 films.*\{3\}"):
        pictureless.read("xray75")
    with pytest.raises(ValueError, match="nothing but pictures"):
        datasets.load("phantom", pictures=False)


def test_features_are_named_alike_whatever_the_seed():
    """A chapter with another seed finds its random weights, and they are of that seed."""
    image = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    found = pictureless.features(image, efficientnet_lite0, seeds=[1000])
    assert list(found) == ["whole", "rim", "without middle", "middle", "scaling", "random 0"]
    again = averaged(efficientnet_lite0(None, seed=1000), image)
    np.testing.assert_array_equal(found["random 0"], again)
