"""Exact principal components of few images with many pixels, and a reduction that keeps distances.

Seventy-five images of 268,203 numbers span at most 74 directions. Both functions here work on the
75 × 75 matrix of scalar products (the Gram matrix) and never on a matrix of pixels by pixels.
"""

import numpy as np
from scipy import linalg
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

# Gram's eigenvalues are squares: a singular value below this share of the largest drowns in
# their rounding, and its direction is found from the residuals instead.
_TRUSTED = 1e-6


class GramPCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Principal component analysis through the smaller of the two matrices of scalar products.

    The result is that of ``sklearn.decomposition.PCA(svd_solver="full")``, up to rounding, and up
    to the sign of a component where two of its entries are equally large. It takes n² d operations
    for n samples of d > n features, a multiple less than the singular value decomposition.

    Args:
        n_components: how many components; a whole number from 1 to min(n, d), a share of the
            variance between 0 and 1 that is at least to be kept, or None for min(n, d).
        whiten: divide each transformed column by its standard deviation.

    Attributes:
        mean_: (d,), of each feature.
        components_: (n_components_, d), orthonormal rows, by falling variance.
        explained_variance_: (n_components_,), with n - 1 in the denominator.
        explained_variance_ratio_: (n_components_,), shares of the whole variance.
        singular_values_: (n_components_,), of the centred data.
        n_components_: how many components were kept.

    Source: Jolliffe and Cadima 2016 for PCA; section 4.3 of the report uses scikit-learn's.
    """

    def __init__(self, n_components=None, *, whiten=False):
        self.n_components = n_components
        self.whiten = whiten

    def fit(self, X, y=None):
        """Find the components of X, (n, d) finite numbers with n of 2 or more.

        Raises:
            ValueError: X is no such matrix, or n_components is out of range.
        """
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2, copy=True)
        n, d = X.shape
        wanted = self._check_wanted(min(n, d))
        self.mean_ = X.mean(axis=0)
        X -= self.mean_
        values, vectors = linalg.eigh(X @ X.T if n <= d else X.T @ X)
        values, vectors = values[::-1].clip(0), vectors[:, ::-1]
        singular = np.sqrt(values)
        variance = values / (n - 1)
        total = variance.sum()
        ratio = variance / total if total > 0 else np.zeros_like(variance)
        if isinstance(wanted, float):
            # As scikit-learn counts: the first number of components that exceeds the share.
            wanted = int(np.searchsorted(np.cumsum(ratio), wanted, side="right")) + 1
            wanted = min(wanted, len(ratio))
        if n <= d:
            components = _rows(X, vectors[:, :wanted], singular[:wanted])
        else:
            components = vectors[:, :wanted].T
        largest = np.abs(components).argmax(axis=1)
        signs = np.sign(components[np.arange(wanted), largest])
        self.components_ = components * np.where(signs == 0, 1, signs)[:, None].astype(X.dtype)
        self.explained_variance_ = variance[:wanted]
        self.explained_variance_ratio_ = ratio[:wanted]
        self.singular_values_ = singular[:wanted]
        self.n_components_ = wanted
        return self

    def _check_wanted(self, most):
        wanted = self.n_components
        if wanted is None:
            return most
        if isinstance(wanted, (float, np.floating)) and 0 < wanted < 1:
            return float(wanted)
        whole = isinstance(wanted, (int, np.integer)) and not isinstance(wanted, bool)
        if not whole or not 1 <= wanted <= most:
            raise ValueError(
                f"n_components must be a whole number from 1 to {most}, the smaller side of X, "
                f"or a share between 0 and 1, or None; got {wanted!r}"
            )
        return int(wanted)

    def transform(self, X):
        """Coordinates of X, (m, d), along the components: (m, n_components_)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        # Not (X - mean) @ …: that would copy all the pixels.
        scores = X @ self.components_.T - self.mean_ @ self.components_.T
        return scores / self._scale() if self.whiten else scores

    def inverse_transform(self, X):
        """Back from coordinates, (m, n_components_), to features, (m, d)."""
        check_is_fitted(self)
        X = np.asarray(X)
        if self.whiten:
            X = X * self._scale()
        return X @ self.components_ + self.mean_

    def _scale(self):
        scale = np.sqrt(self.explained_variance_)
        return np.maximum(scale, np.finfo(scale.dtype).eps)

    @property
    def _n_features_out(self):
        return self.components_.shape[0]


def _rows(X, vectors, singular):
    """Unit rows along vectors.T @ X, also where there is next to nothing of them."""
    rows = vectors.T @ X
    trusted = singular > _TRUSTED * max(singular[0], np.finfo(X.dtype).tiny)
    rows[trusted] /= singular[trusted, None]
    if not trusted.all():
        # Orthogonal to the trusted rows and to each other; a fixed draw where nothing is left.
        rng = np.random.default_rng(0)
        rest = rows[~trusted]
        size = np.abs(rest).max(axis=1, keepdims=True)
        noise = rng.standard_normal(rest.shape).astype(X.dtype)
        rest = np.where(size > np.finfo(X.dtype).tiny, rest / np.maximum(size, 1e-300), noise)
        basis = rows[trusted]
        for _ in range(2):
            rest = rest - (rest @ basis.T) @ basis
        rows[~trusted] = linalg.qr(rest.T, mode="economic")[0].T
    return rows


def isometry(images):
    """Few coordinates for few images that keep every distance between them.

    t-SNE, k-means and Ward's linkage ask of images only how far they are from one another (and from
    their means). Given these coordinates instead of the pixels they find the same, and faster.

    Args:
        images: (n, ...) numbers; what comes after n is flattened.

    Returns:
        float64 (n, min(n - 1, d)) for d numbers an image, centred, whose Euclidean distances are
        those of the images, down to a ten-millionth of the largest; the columns are the principal
        components' scores.

    Raises:
        ValueError: fewer than 2 images, or values that are not finite.
    """
    X = np.asarray(images)
    X = X.reshape(len(X), -1).astype(np.float64)
    if len(X) < 2 or X.shape[1] == 0:
        raise ValueError(f"expected 2 images or more, got an array of shape {np.shape(images)}")
    if not np.isfinite(X).all():
        raise ValueError("expected finite numbers, but some are NaN or infinite")
    X -= X.mean(axis=0)
    n, d = X.shape
    if n > d:
        return X @ linalg.eigh(X.T @ X)[1][:, ::-1]
    values, vectors = linalg.eigh(X @ X.T)
    # What is left of directions that the images do not span would move equal images apart.
    values[values < n * np.finfo(float).eps * values[-1]] = 0
    return (vectors * np.sqrt(values))[:, ::-1][:, : min(n - 1, d)]
