"""Section 4.3 of the report on 75 images of 268,203 numbers: on the pixels, and on an isometry."""

import os

import numpy as np
from scipy.cluster.hierarchy import linkage
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from benchmarks.timing import images_per_second
from xraylib.data import datasets
from xraylib.reduction import isometry


def _explore(points):
    """t-SNE, k-means and Ward's linkage with the report's settings."""
    TSNE(perplexity=15, learning_rate=1, init="random", random_state=0).fit_transform(points)
    KMeans(2, n_init=10, random_state=0).fit(points)
    linkage(points, "ward")


def run():
    """The report's own images where XRAYLIB_DATA has them, otherwise phantoms."""
    name = "xray75" if os.environ.get("XRAYLIB_DATA") else "phantom"
    images = datasets.load(name, size=299).images.reshape(75, -1) / 255.0

    def reports_way():
        PCA(0.9, whiten=True).fit_transform(images)
        _explore(images)

    def ours():
        points = isometry(images)
        # 75 points are too few to share: threads would wait for each other.
        with threadpool_limits(1):
            PCA(0.9, whiten=True).fit_transform(points)
            _explore(points)

    print(f"\nReduction, {name}, {len(images)} × {images.shape[1]:,}")
    ways = {"on the pixels": reports_way, "on the isometry": ours}
    rates = images_per_second(ways, len(images), rounds=2)
    seconds = {way: len(images) / rate for way, rate in rates.items()}
    for way, needed in seconds.items():
        what = f"PCA, t-SNE, k-means, Ward: {way}"
        print(f"  {what:<48}{needed:8.2f} s   {seconds['on the pixels'] / needed:5.1f} ×")
    shares = (PCA(0.9).fit(X).explained_variance_ratio_ for X in (images, isometry(images)))
    difference = np.abs(np.subtract(*shares)).max()
    print(f"  largest difference of the explained-variance ratios: {difference:.1e}")
