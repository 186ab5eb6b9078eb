"""The Gram matrix gives what the singular value decomposition gives."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist, squareform
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.utils.estimator_checks import parametrize_with_checks

from xraylib.reduction import GramPCA, isometry


@parametrize_with_checks([GramPCA(), GramPCA(2, whiten=True)])
def test_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


def spectrum(n, d, seed=0):
    """Data whose singular values fall by a seventh again and again, far from zero mean."""
    rng = np.random.default_rng(seed)
    k = min(n, d)
    scale = 0.85 ** np.arange(k)
    return (rng.normal(size=(n, k)) * scale) @ rng.normal(size=(k, d)) + rng.normal(size=d) * 5


def aligned(ours, theirs):
    """Flip ours where they point the other way."""
    return ours * np.sign((ours * theirs).sum(axis=1))[:, None]


@pytest.mark.parametrize("shape", [(30, 2000), (200, 12), (20, 20), (12, 13)])
@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("n_components", [None, 5, 0.9, 0.999])
def test_equals_scikit_learn(shape, whiten, n_components):
    X = spectrum(*shape)
    ours = GramPCA(n_components, whiten=whiten).fit(X)
    theirs = PCA(n_components, whiten=whiten, svd_solver="full").fit(X)
    assert ours.n_components_ == theirs.n_components_
    np.testing.assert_allclose(ours.mean_, theirs.mean_)
    # Centring takes one direction away: the last of n is rounding and means nothing.
    k = min(ours.n_components_, shape[0] - 1)
    for name in ("explained_variance_", "explained_variance_ratio_", "singular_values_"):
        np.testing.assert_allclose(getattr(ours, name)[:k], getattr(theirs, name)[:k], rtol=1e-9)
    np.testing.assert_allclose(
        aligned(ours.components_[:k], theirs.components_[:k]), theirs.components_[:k], atol=1e-9
    )
    np.testing.assert_allclose(
        ours.components_ @ ours.components_.T, np.eye(ours.n_components_), atol=1e-9
    )
    new = spectrum(7, shape[1], seed=1)
    for data in (X, new):
        scores, expected = ours.transform(data)[:, :k], theirs.transform(data)[:, :k]
        np.testing.assert_allclose(aligned(scores.T, expected.T).T, expected, atol=1e-8)
    back = ours.inverse_transform(ours.transform(X))
    np.testing.assert_allclose(back, theirs.inverse_transform(theirs.transform(X)), atol=1e-8)
    assert list(ours.get_feature_names_out())[:1] == ["grampca0"]


def test_single_precision_stays_single():
    X = spectrum(20, 500).astype("float32")
    ours, theirs = GramPCA(4).fit(X), PCA(4, svd_solver="full").fit(X)
    assert ours.transform(X).dtype == np.float32
    np.testing.assert_allclose(ours.explained_variance_, theirs.explained_variance_, rtol=1e-4)


def test_constant_features_and_equal_samples():
    """Directions without variance: unit rows all the same, and nothing is lost or NaN."""
    X = spectrum(6, 40)
    X[:, :10] = 3.0
    X[4] = X[5]
    pca = GramPCA().fit(X)
    np.testing.assert_allclose(pca.components_ @ pca.components_.T, np.eye(6), atol=1e-7)
    np.testing.assert_allclose(pca.inverse_transform(pca.transform(X)), X, atol=1e-9)
    nothing = GramPCA().fit(np.ones((4, 9)))
    assert np.all(nothing.explained_variance_ratio_ == 0)
    assert np.isfinite(nothing.transform(np.ones((2, 9)))).all()


def test_bad_input_is_named():
    X = spectrum(6, 40)
    with pytest.raises(ValueError, match="NaN"):
        GramPCA().fit(np.where(X > 0, np.nan, X))
    with pytest.raises(ValueError, match="minimum of 2"):
        GramPCA().fit(X[:1])
    for wrong in (0, 7, 1.5, -1, "all", True):
        with pytest.raises(ValueError, match="whole number from 1 to 6"):
            GramPCA(wrong).fit(X)
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
