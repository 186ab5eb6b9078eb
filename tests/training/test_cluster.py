"""Features and folds on a Dask cluster: two processes that share a disk, one of which is killed."""

import os
import signal
import threading
import time

import joblib
import numpy as np
import pytest
from dask.distributed import Client, LocalCluster

from xraylib.data import arrays, datasets
from xraylib.evaluation.validation import cross_validate
from xraylib.training.classifier import Recipe


@pytest.mark.filterwarnings("ignore")  # what Dask and its web server deprecate
def test_a_worker_that_dies_takes_nothing_with_it(tmp_path):
    data = datasets.load("phantom", n=10, seed=5, size=224)
    images = arrays.filled(
        tmp_path, "films", data.images.shape, "uint8", lambda r: data.images[r.start : r.stop]
    )
    recipe = Recipe("efficientnet_lite0", None, epochs=2)
    folds = {"seeds": 1, "folds": 2, "progress": False}
    X = recipe.prepare(images, draws=1, batch_size=2, store=tmp_path / "here")
    with joblib.parallel_config(n_jobs=1):  # in this process
        expected = cross_validate(recipe, X, data.labels, data.groups, **folds)
    killed, there = [], tmp_path / "there"

    def kill_one():
        while not any(path.suffix == ".json" for path in there.glob("*")):  # a batch is done
            time.sleep(0.02)
        killed.append(min(workers))
        os.kill(killed[0], signal.SIGKILL)

    settings = {"n_workers": 2, "processes": True, "threads_per_worker": 1}
    with LocalCluster(**settings, dashboard_address=None) as cluster, Client(cluster) as client:
        workers = set(client.run(os.getpid).values())
        killer = threading.Thread(target=kill_one, daemon=True)
        killer.start()
        with joblib.parallel_config("dask"):
            X = recipe.prepare(images, draws=1, batch_size=2, store=there)
            killer.join(timeout=10)
            found = cross_validate(recipe, X, data.labels, data.groups, **folds)
    assert len(workers) == 2 and killed
    kept = next((tmp_path / "here").glob("*.npy")), next(there.glob("*.npy"))
    np.testing.assert_allclose(*(np.load(path).astype("f4") for path in kept), atol=0.02)
    np.testing.assert_allclose(found.scores, expected.scores, atol=0.02)
