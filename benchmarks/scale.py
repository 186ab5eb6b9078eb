"""``make bench-scale``: what sets of 75 to 75,000 films cost, stage by stage.

Each stage runs in a process of its own, so that its memory is its own: time, the largest memory of
the process and its workers together, and what it leaves on the disk. Films are phantoms that were
moved about, three of each person, JPEG of 512 × 512. ``results/scale.json`` keeps the rows; the
page "A hundred thousand X-rays" shows them, with the exponents that fit them.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import joblib
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".run/scale"
RESULTS = ROOT / "results/scale.json"
SIZES = (75, 750, 7500, 75000)
BASE, SIDE = 300, 512


def films(n, folder):
    """Write n films as files of two classes; those that are there stay."""
    from PIL import Image

    from xraylib.data import datasets, phantoms
    from xraylib.training import augmentation

    settings = [{"label": i % 2, "patient": i, "seed": 7} for i in range(BASE)]
    plates = [image for image, _ in phantoms.radiographs(settings)]
    plates = datasets.resize([np.repeat(p[..., None], 3, 2) for p in plates], SIDE, "bilinear")

    def write(i):
        label, person = i % 2, i // 6
        path = folder / "films" / ("chest", "abdomen")[label] / f"person{person}_{i}.jpg"
        if not path.exists():
            rng = np.random.default_rng([3, i])
            plate = plates[(2 * person + label) % BASE][None]
            moved = augmentation.augment(plate, rng, rotation=4, shift=0.04, shear=0, zoom=0.05)[0]
            noisy = moved[..., 0] + rng.normal(0, 4, moved.shape[:2])
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)

    joblib.Parallel(-1, "threading")(joblib.delayed(write)(i) for i in range(n))


def manifest(n, folder):
    """Read every file, and tell people, classes and splits."""
    from xraylib.data import own_images

    own_images.PROFILES = folder
    profile = ROOT / "notebooks/profiles/phantom.yml"
    (folder / "phantom.yml").write_text(profile.read_text())
    own_images.write(
        folder / "films", person=r"person\d+_", positive="abdomen", force=True
    )  # fmt: skip


def reading(n, folder):
    """Read, resize to 224 × 224 and keep."""
    _data(folder)


def features(n, folder):
    """Averaged features of EfficientNet-Lite0."""
    from xraylib.models.backbones import efficientnet_lite0
    from xraylib.training import frozen

    found = frozen.averaged(efficientnet_lite0(), _data(folder).images, store=folder / "kept")
    (folder / "features.txt").write_text(str(found.path))


def audit(n, folder):
    """The audit without features."""
    from xraylib.evaluation import audit

    audit.write(folder / "films/manifest.csv", backbone=False, store=folder, progress=False)


def validation(n, folder):
    """Logistic regression on the features, five folds of people, three seeds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.utils import gen_batches

    from xraylib.evaluation.validation import cross_validate

    class PartByPart(StandardScaler):
        """Of all rows at once scikit-learn makes a copy in double precision."""

        def fit(self, X, y=None):
            for rows in gen_batches(len(X), 1000):
                self.partial_fit(X[rows])
            return self

    data, X = _data(folder), _features(folder)
    model = make_pipeline(PartByPart(copy=False), LogisticRegression(C=0.1, max_iter=200))
    # A fold at a time, on all cores: each holds its rows in memory.
    with joblib.parallel_config(n_jobs=1):
        print(cross_validate(model, X, data.labels, data.groups, seeds=3, progress=False).spread)


def components(n, folder):
    """23 principal components of 224 × 224 grey pixels, randomised, 250 films at a time."""
    import dask.array

    images = dask.array.from_array(_data(folder).images, chunks=(250, 224, 224, 3))
    grey = images.mean(axis=-1, dtype="float32").reshape(n, -1)
    centred = grey - grey.mean(axis=0).compute()
    # compute=True reads the films again in each pass instead of keeping them.
    how = {"n_power_iter": 2, "seed": 0, "compute": True}
    dask.array.linalg.svd_compressed(centred, 23, **how)[1].compute()


def clusters(n, folder):
    """k-means in two on the features, in batches."""
    from sklearn.cluster import MiniBatchKMeans

    X = _features(folder)
    MiniBatchKMeans(2, random_state=0, n_init=3).fit(np.asarray(X, "float32"))


def neighbours(n, folder):
    """t-SNE of 50 components of the features, with openTSNE."""
    import openTSNE
    from sklearn.decomposition import PCA

    X = _features(folder)
    points = PCA(min(50, len(X) - 1), random_state=0).fit_transform(np.asarray(X, "float32"))
    openTSNE.TSNE(perplexity=20, n_jobs=-1, random_state=0).fit(points)


STAGES = {each.__name__: each for each in (films, manifest, reading, features, audit, validation,
                                           components, clusters, neighbours)}  # fmt: skip


def _data(folder):
    from xraylib.data import datasets

    return datasets.load(
        folder / "films/manifest.csv", size=224, interpolation="bilinear", store=folder / "kept"
    )


def _features(folder):
    from xraylib.data.arrays import OnDisk

    return OnDisk((folder / "features.txt").read_text())


def _peak(pid, done, found):
    """The largest memory of a process and those that it started, in MB."""
    import psutil

    while not done.is_set():
        total = 0
        try:
            process = psutil.Process(pid)
            for each in [process, *process.children(recursive=True)]:
                total += each.memory_info().rss
        except psutil.Error:
            pass
        found.append(total / 1e6)
        time.sleep(0.05)


def measure(n, stage):
    """A row: seconds, peak memory and disk of a stage, in a process of its own."""
    folder = FOLDER / str(n)
    folder.mkdir(parents=True, exist_ok=True)

    def size():
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6

    before, start = size(), time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.scale", "--stage", stage, str(n)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    done, found = threading.Event(), [0]
    watcher = threading.Thread(target=_peak, args=(process.pid, done, found))
    watcher.start()
    process.wait()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{stage} of {n} films failed")
    return {"n": n, "stage": stage, "seconds": round(seconds, 1), "memory_mb": round(max(found)),
            "disk_mb": round(size() - before, 1)}  # fmt: skip


def main():
    """Measure, and write the rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES, help="numbers of films")
    parser.add_argument("--stage", choices=STAGES, help="run one, and measure nothing")
    options = parser.parse_args()
    if options.stage:
        for n in options.sizes:
            STAGES[options.stage](n, FOLDER / str(n))
        return
    kept = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    for n in options.sizes:
        for stage in STAGES:
            row = measure(n, stage)
            print("{n:>7,} {stage:<12}{seconds:>9.1f} s{memory_mb:>8.0f} MB memory"
                  "{disk_mb:>10.1f} MB disk".format(**row), flush=True)  # fmt: skip
            kept = [r for r in kept if (r["n"], r["stage"]) != (n, stage)] + [row]
            about = {"cores": os.cpu_count(), "date": time.strftime("%Y-%m-%d")}
            RESULTS.write_text(json.dumps({"about": about, "rows": kept}, indent=1) + "\n")


if __name__ == "__main__":
    main()
