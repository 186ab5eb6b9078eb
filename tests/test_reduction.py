"""The isometry against the distances that it keeps."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist, squareform
from sklearn.cluster import KMeans

from xraylib.reduction import isometry


def test_bad_input_is_named():
    X = np.random.default_rng(0).standard_normal((6, 40))
    with pytest.raises(ValueError, match="2 images"):
        isometry(X[:1])
    with pytest.raises(ValueError, match="finite"):
        isometry(np.where(X > 0, np.inf, X))


@pytest.mark.parametrize("shape", [(25, 8, 9, 3), (40, 5), (10, 9), (10, 10)])
def test_isometry_keeps_every_distance(shape):
    images = np.random.default_rng(0).integers(0, 256, shape).astype("uint8")
    points = isometry(images)
    flat = images.reshape(len(images), -1).astype(float)
    assert points.shape == (len(images), min(len(images) - 1, flat.shape[1]))
    np.testing.assert_allclose(pdist(points), pdist(flat), rtol=1e-9)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-9)


def test_isometry_keeps_equal_images_together():
    images = np.random.default_rng(0).integers(0, 256, (20, 50, 50)).astype("uint8")
    images[7] = images[3]
    images[9] = images[3]
    images[9, 0, 0] ^= 1  # one grey level in one pixel
    distances = squareform(pdist(isometry(images)))
    assert distances[3, 7] < 1e-8 * distances.max()
    assert distances[3, 9] == pytest.approx(1, rel=1e-6)


def test_clustering_finds_the_same_on_it():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(30, 4000)) + np.repeat([[0.0], [0.5], [2]], 10, axis=0)
    points = isometry(images)
    np.testing.assert_allclose(linkage(points, "ward"), linkage(images, "ward"), rtol=1e-9)
    labels = [KMeans(3, n_init=5, random_state=0).fit_predict(x) for x in (images, points)]
    pairs = [np.equal.outer(one, one) for one in labels]  # the same groups, whatever their names
    np.testing.assert_array_equal(*pairs)
