"""A reduction that keeps every distance.

Seventy-five images of 268,203 numbers span at most 74 directions, which the 75 × 75 matrix of their
scalar products (the Gram matrix) gives away.
"""

import numpy as np
from scipy import linalg


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
    X = X.reshape(len(X), -1)
    n, d = X.shape
    if n < 2 or d == 0:
        raise ValueError(f"expected 2 images or more, got an array of shape {np.shape(images)}")
    if n > d:
        X = _centred(X)
        return X @ linalg.eigh(X.T @ X)[1][:, ::-1]
    gram = np.zeros((n, n))
    for start in range(0, d, 2**14):  # as numbers of 64 bits all pixels would fill the memory
        some = _centred(X[:, start : start + 2**14])
        gram += some @ some.T
    values, vectors = linalg.eigh(gram)
    # What is left of directions that the images do not span would move equal images apart.
    values[values < n * np.finfo(float).eps * values[-1]] = 0
    return (vectors * np.sqrt(values))[:, ::-1][:, : min(n - 1, d)]


def _centred(X):
    X = X.astype(np.float64)
    if not np.isfinite(X).all():
        raise ValueError("expected finite numbers, but some are NaN or infinite")
    return X - X.mean(axis=0)
