"""Cross-validation with real processes that are interrupted and killed; comparisons by hand."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from xraylib.data import arrays
from xraylib.evaluation.validation import (
    CrossValidation,
    compare,
    compare_once,
    cross_validate,
    hold_out,
    in_fresh_processes,
    join,
    watch,
)


class Means(ClassifierMixin, BaseEstimator):
    """A light classifier: the difference of the class means, tilted by the seed.

    It writes a line into a log when it begins and one when it ends; wait is how long it takes.
    """

    def __init__(self, log=None, wait=0.0, breaks_at=None, random_state=0):
        self.log, self.wait, self.breaks_at, self.random_state = log, wait, breaks_at, random_state

    def note(self, what):
        if self.log is not None:
            with open(self.log, "a") as file:
                file.write(f"{os.getpid()} {what}\n")

    def fit(self, X, y):
        self.note("begins")
        time.sleep(self.wait)
        if self.breaks_at == self.random_state:
            raise ArithmeticError("the loss is not finite")
        X = X.reshape(len(X), -1).astype(float)
        self.centre_ = X.mean(0)
        self.axis_ = X[y == 1].mean(0) - X[y == 0].mean(0) + 1e-3 * self.random_state
        self.classes_ = np.array([0, 1])
        self.note("ends")
        return self

    def predict_proba(self, X):
        X = X.reshape(len(X), -1) - self.centre_
        scores = 1 / (1 + np.exp(-X @ self.axis_ / self.axis_.size / 99))
        return np.stack([1 - scores, scores], 1)


class Gated(Means):
    """Begins hardly more than five trainings until there is a file "open" beside the log."""

    def fit(self, X, y):
        log = Path(self.log)
        gate = log.with_name("open")
        while log.exists() and log.read_text().count("ends") >= 5 and not gate.exists():
            time.sleep(0.02)
        return super().fit(X, y)


class Spy(Means):
    """Leaves in a folder what it was trained on, and scores an image by its first number."""

    def fit(self, X, y):
        name = f"{self.random_state}-{time.monotonic_ns()}.npz"
        np.savez(Path(self.log) / name, X=X[:, 0], y=y, seed=self.random_state)
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, X):
        return np.stack([1 - X[:, 0], X[:, 0]], 1)


class Wrong(Means):
    """Returns what are no scores: of a shape, or a value."""

    def fit(self, X, y):
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), self.wait) if self.wait else np.zeros((len(X) - 1, 2))


class Watched(Means):
    """Keeps what it was trained on and shown, as a network keeps its curves."""

    def fit(self, X, y, validation=None):
        shown = {"trained": X[:, 0].tolist(), "looked at": validation[0][:, 0].tolist()}
        self.history_ = shown | {"labels": validation[1].tolist(), "seed": self.random_state}
        return super().fit(X, y)


@pytest.fixture
def data():
    """48 images of 16 patients, three each; images, labels, groups."""
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(16), 3))
    labels = groups % 2
    images = rng.normal(120 + 8 * labels[:, None, None], 30, (48, 6, 6)).clip(0, 255)
    return images.astype("uint8").reshape(48, 36), labels, groups


def quiet(model, data, n_jobs=1, **settings):
    """Without a bar, and in this process where a test is not about several."""
    with joblib.parallel_config(n_jobs=n_jobs):
        return cross_validate(model, *data, progress=False, **settings)


def lines(log, what="ends"):
    """How many trainings began, or ended."""
    return log.read_text().count(what) if log.exists() else 0


def files(folder):
    """The finished folds that a folder keeps."""
    return sorted(folder.glob("**/output.pkl"))


def test_every_image_is_scored_once_a_seed_by_a_model_that_has_not_seen_its_patient(data, tmp_path):
    _, labels, groups = data
    numbers = np.arange(48)[:, None] / 48
    result = quiet(Spy(tmp_path), (numbers, labels, groups), seeds=3, folds=4)
    seen = [np.load(path) for path in tmp_path.iterdir()]
    assert sorted(int(each["seed"]) for each in seen) == [0] * 4 + [1] * 4 + [2] * 4
    for each in seen:
        inside = np.round(each["X"] * 48).astype(int)
        outside = np.setdiff1d(np.arange(48), inside)
        np.testing.assert_array_equal(each["y"], labels[inside])
        assert not set(groups[inside]) & set(groups[outside])
        assert 0.3 < labels[outside].mean() < 0.7  # classes as even as the patients permit
    np.testing.assert_array_equal(result.scores, np.tile(np.arange(48) / 48, (3, 1)))
    assert result.fold.shape == (3, 48) and set(result.fold.ravel()) == {0, 1, 2, 3}
    assert all((result.fold[a] != result.fold[b]).any() for a, b in ((0, 1), (1, 2), (0, 2)))


def test_right_answers_are_counted_a_seed_and_a_fold():
    """0.5 is class 1; folds of two and three images."""
    labels = np.array([0, 0, 1, 1, 1])
    scores = np.array([[0.1, 0.5, 0.5, 0.9, 0.2], [0.1, 0.2, 0.9, 0.9, 0.9]])
    fold = np.array([[0, 1, 0, 1, 1], [1, 1, 1, 0, 0]])
    result = CrossValidation(labels, scores, fold)
    assert result.correct.tolist() == [3, 5]
    np.testing.assert_allclose(result.accuracies, [[1, 1 / 3], [1, 1]])
    assert result.spread.values == (3, 5) and result.spread.n == 5
    np.testing.assert_allclose(result.together, [0.1, 0.35, 0.7, 0.9, 0.55])


def test_same_seeds_same_numbers_and_more_seeds_only_add(data):
    tree = make_pipeline(StandardScaler(), DecisionTreeClassifier(max_features=2))
    first, second, third = (quiet(tree, data, seeds=s, folds=4) for s in (2, 3, range(1, 3)))
    np.testing.assert_array_equal(first.scores, second.scores[:2])
    np.testing.assert_array_equal(third.scores, second.scores[1:])
    assert (first.scores[0] != first.scores[1]).any()


def test_without_groups_each_image_stands_for_itself(data):
    images, labels, _ = data
    given = quiet(GaussianNB(), (images, labels, np.arange(48)), seeds=1)
    none = quiet(GaussianNB(), (images, labels, None), seeds=1)
    np.testing.assert_array_equal(given.scores, none.scores)


def test_a_classifier_without_probabilities_decides_the_same(data):
    images, labels, _ = data
    result = quiet(RidgeClassifier(), data, seeds=1, folds=4)
    for k in range(4):
        test = result.fold[0] == k
        called = RidgeClassifier().fit(images[~test], labels[~test]).predict(images[test])
        np.testing.assert_array_equal(result.scores[0, test] >= 0.5, called)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"labels": np.zeros(47)}, "expected a label an image"),
        ({"labels": np.arange(48)}, "expected 0 or 1"),
        ({"groups": np.arange(47)}, "a group for each of the 48"),
        ({"seeds": 0}, "1 seed or more"),
        ({"folds": 1}, "folds=1"),
        ({"folds": 99}, "number of"),
        ({"model": GaussianNB}, "expected a scikit-learn classifier"),
        ({"model": StandardScaler()}, "expected a scikit-learn classifier"),
        ({"labels": np.ones(48)}, "only class 1 to train on"),
        ({"memory": __file__}, "expected a folder"),
    ],
)
def test_bad_input_is_named_before_any_work(data, change, message):
    arguments = {"model": Means(), "progress": False}
    arguments |= dict(zip(("X", "labels", "groups"), data, strict=True)) | change
    if "labels" in change and len(change["labels"]) != 48:
        arguments["groups"] = None
    with pytest.raises(ValueError, match=message):
        cross_validate(**arguments)


def test_one_class_to_test_on_is_right_and_one_class_to_train_on_is_not():
    images, labels = np.arange(12.0).reshape(12, 1), np.array([0, 1] * 6)
    apart = np.array([0, 1] * 6) + 2 * (np.arange(12) // 6)  # four patients of one class each
    result = quiet(GaussianNB(), (images, labels, apart), seeds=1, folds=4)
    assert any(len(set(labels[result.fold[0] == k])) == 1 for k in range(4))
    assert np.isfinite(result.scores).all()
    one = np.where(labels == 1, 1, np.arange(12) + 2)  # a single patient has all of class 1
    message = "only class 0 to train on; 6 groups have images of class 0 and 1 of class 1.*fewer"
    with pytest.raises(ValueError, match=message):
        quiet(GaussianNB(), (images, labels, one), folds=3)


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_a_fold_without_images_is_refused():
    """scikit-learn may leave one empty where there are as many folds as patients."""
    groups = np.repeat(np.arange(7), [1, 4, 2, 5, 3, 1, 1])
    labels = np.array([0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0])
    with pytest.raises(ValueError, match="nothing to test on; 4 groups .* take fewer folds"):
        quiet(GaussianNB(), (np.arange(17.0)[:, None], labels, groups), folds=7, seeds=200)


def test_a_source_held_out_is_scored_by_models_of_the_others(data, tmp_path):
    images, labels, _ = data
    here = np.arange(48) < 9
    scores = hold_out(Means(), images, labels, here, seeds=range(1, 3), progress=False)
    for row, seed in zip(scores, (1, 2), strict=True):
        alone = Means(random_state=seed).fit(images[~here], labels[~here])
        np.testing.assert_allclose(row, alone.predict_proba(images[here])[:, 1])
    log = tmp_path / "log"
    for _ in range(2):
        hold_out(Means(log), images, labels, here, memory=tmp_path / "kept", progress=False)
    assert lines(log) == 5
    with pytest.raises(ValueError, match="both classes among the images to train on"):
        hold_out(Means(), images, labels, labels == 1)
    with pytest.raises(ValueError, match=r"a bool for each of 48 .* got int64 \(3,\)"):
        hold_out(Means(), images, labels, np.arange(3))


def test_the_same_models_score_the_images_as_they_are_shown(data, tmp_path):
    images, labels, groups = data
    masked, log = np.where(np.arange(36) < 18, 0, images), tmp_path / "log"
    settings = {"seeds": 2, "folds": 3, "memory": tmp_path / "kept"}
    plain = quiet(Means(), data, seeds=2, folds=3)
    for _ in range(2):
        whole, hidden = quiet(Means(log), data, shown=[images, masked], **settings)
    assert lines(log) == 2 * 3  # one training for both
    np.testing.assert_array_equal(whole.scores, plain.scores)
    np.testing.assert_array_equal(hidden.fold, plain.fold)
    test = plain.fold[1] == 2
    model = Means(random_state=1).fit(images[~test], labels[~test])
    np.testing.assert_allclose(hidden.scores[1, test], model.predict_proba(masked[test])[:, 1])
    with pytest.raises(ValueError, match="one array or more of 48 images each"):
        quiet(Means(), data, shown=[images[:40]])
    table = pd.DataFrame(images[:, :2], columns=["a", "b"])  # is shown as a table, too
    by_name = make_pipeline(make_column_transformer(("passthrough", ["a"])), GaussianNB())
    first = quiet(by_name, (table, labels, groups), seeds=1)
    [again] = quiet(by_name, (table, labels, groups), seeds=1, shown=[table])
    np.testing.assert_array_equal(again.scores, first.scores)


@pytest.mark.parametrize("value, found", [(0.0, r"shape \(11,\)"), (np.nan, "nan"), (1.5, "1.5")])
def test_what_are_no_scores_is_refused(data, value, found):
    with pytest.raises(RuntimeError, match=f"seed 0, fold 0: .*a number of 0..1.*{found}"):
        quiet(Wrong(wait=value), data, folds=4)


@pytest.mark.parametrize("seeds", [[5], range(3)])
def test_curves_are_of_the_images_looked_at_and_are_kept(data, tmp_path, seeds):
    images, labels, _ = data
    here, log = np.arange(48) % 4 == 0, tmp_path / "log"
    settings = dict(seeds=seeds, memory=tmp_path / "kept", progress=False)
    curves = watch(Watched(log), images, labels, here, **settings)
    assert [curve["seed"] for curve in curves] == list(seeds)
    for curve in curves:
        assert curve["trained"] == images[~here, 0].tolist()
        assert curve["looked at"] == images[here, 0].tolist()
        assert curve["labels"] == labels[here].tolist()
    assert lines(log) == len(seeds)
    assert watch(Watched(log), images, labels, here, **settings) == curves
    assert lines(log) == len(seeds)
    with pytest.raises(ValueError, match="both classes among the images to train on"):
        watch(Watched(), images, labels, labels == 1)


def test_runs_on_all_cores_or_as_the_surroundings_say(data, tmp_path):
    one = quiet(Means(tmp_path / "one"), data, seeds=1, folds=4)
    assert set((tmp_path / "one").read_text().split()) == {str(os.getpid()), "begins", "ends"}
    several = cross_validate(Means(tmp_path / "all", 0.1), *data, seeds=1, folds=4, progress=False)
    np.testing.assert_array_equal(one.scores, several.scores)
    if joblib.cpu_count() > 1:
        assert len({line.split()[0] for line in open(tmp_path / "all")}) > 1


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_failure_names_its_fold_and_leaves_the_finished_ones(data, tmp_path, n_jobs):
    late = Means(wait=0.1, breaks_at=1)
    with pytest.raises(RuntimeError, match=r"seed 1, fold \d: .*ArithmeticError: the loss"):
        quiet(late, data, n_jobs, seeds=3, folds=4, memory=tmp_path)
    assert 3 <= len(files(tmp_path)) <= 4


def on_disk(array, folder):
    def part(rows):
        return array[rows.start : rows.stop]

    return arrays.filled(folder, "it", array.shape, array.dtype, part, progress=False)


def test_halves_are_no_precision_to_compute_in():
    """As features are kept; of random weights they can be small."""
    rng, labels = np.random.default_rng(0), np.arange(40) % 2
    X = rng.normal(labels[:, None], 0.5, (40, 3)) * [1, 1e-7, 1e-7]
    model, how = make_pipeline(StandardScaler(), LogisticRegression()), {"progress": False}
    half = cross_validate(model, X.astype("float16"), labels, None, seeds=2, **how)
    single = cross_validate(model, X.astype("float16").astype("f4"), labels, None, seeds=2, **how)
    np.testing.assert_allclose(half.scores, single.scores, rtol=1e-6)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_of_an_array_on_disk_folds_take_rows(data, tmp_path, n_jobs):
    images, labels, groups = data
    kept = on_disk(images, tmp_path / "arrays")
    expected = quiet(Means(), data, seeds=2, folds=4)
    log = tmp_path / "log"
    for _ in range(2):  # the second time from the folder
        found = quiet(Means(log), (kept, labels, groups), n_jobs, seeds=2, folds=4,
                      memory=tmp_path / "folds", shown=[kept, kept])  # fmt: skip
        np.testing.assert_array_equal(found[1].scores, expected.scores)
        assert lines(log) == 8


@pytest.mark.filterwarnings("ignore")  # what Dask and its web server deprecate
def test_a_killed_dask_worker_loses_nothing(data, tmp_path):
    from dask.distributed import Client, LocalCluster

    expected = quiet(Means(), data, seeds=2, folds=4)
    log, kept = tmp_path / "log", tmp_path / "kept"
    killed = []

    def kill_a_busy_one():
        while not killed:
            time.sleep(0.02)
            if files(kept):  # a fold has been finished
                last = dict(line.split() for line in log.read_text().splitlines())
                busy = [int(worker) for worker, what in last.items() if what == "begins"]
                for worker in busy[:1]:
                    os.kill(worker, signal.SIGKILL)
                    killed.append(worker)

    settings = {"n_workers": 2, "processes": True, "threads_per_worker": 1}
    with LocalCluster(**settings, dashboard_address=None) as cluster, Client(cluster) as client:
        workers = set(client.run(os.getpid).values())
        killer = threading.Thread(target=kill_a_busy_one, daemon=True)
        killer.start()
        slow = Means(log, wait=0.4)
        with joblib.parallel_config("dask"):
            result = cross_validate(slow, *data, seeds=2, folds=4, memory=kept, progress=False)
        killer.join(timeout=10)
    assert len(workers) == 2 and len(killed) == 1 and set(killed) < workers
    np.testing.assert_allclose(result.scores, expected.scores, rtol=0, atol=1e-12)
    assert lines(log, "begins") > lines(log) >= 8  # the fold that was cut off, again
    assert len(files(kept)) == 8


RUN = """
import sys
import joblib, numpy as np
from tests.evaluation.test_validation import Gated
from xraylib.evaluation.validation import cross_validate

folder = sys.argv[1]

if __name__ == "__main__":
    images = np.random.default_rng(0).normal(np.arange(48)[:, None] % 2, 2, (48, 5))
    with joblib.parallel_config(n_jobs=int(sys.argv[2])):
        found = cross_validate(Gated(folder + "/log", 0.1), images, np.arange(48) % 2, None,
                               seeds=2, folds=6, memory=folder + "/kept", progress=False)
    np.save(folder + "/scores.npy", found.scores)
"""


def start(folder, n_jobs, seed):
    """Run the script in a session of its own, as a terminal does."""
    script = folder / "run.py"
    script.write_text(RUN)
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen(
        [sys.executable, script, folder, str(n_jobs)],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
        # Where the tests run in the background a child would be deaf to it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


@pytest.mark.parametrize("how, n_jobs", [(signal.SIGINT, 2), (signal.SIGKILL, 1)])
def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path, how, n_jobs):
    kept, log = tmp_path / "kept", tmp_path / "log"
    process = start(tmp_path, n_jobs, seed="0")
    while len(files(kept)) < 4:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    os.killpg(process.pid, how)
    (tmp_path / "open").touch()  # workers end what they have begun
    process.communicate(timeout=60)
    assert process.returncode == -how
    before = {path: path.read_bytes() for path in files(kept)}
    assert 4 <= len(before) < 12
    log.unlink()
    # A fresh process, in which sets have another order: the keys are the same.
    again = start(tmp_path, n_jobs=1, seed="77")
    _, errors = again.communicate(timeout=60)
    assert again.returncode == 0, errors
    # A file that was being written when the run was cut off does not count as finished.
    assert 12 - len(before) <= lines(log) <= 12 - len(before) + 1
    images = np.random.default_rng(0).normal(np.arange(48)[:, None] % 2, 2, (48, 5))
    whole = quiet(Means(), (images, np.arange(48) % 2, None), seeds=2, folds=6)
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), whole.scores, rtol=0, atol=1e-12)


def test_finished_folds_are_not_trained_again(data, tmp_path):
    log, kept = tmp_path / "log", tmp_path / "a" / "b"

    def trained(model, data, **settings):
        log.unlink(missing_ok=True)
        return quiet(model, data, **settings), lines(log)

    plain, count = trained(Means(log), data, seeds=3, folds=4)
    assert count == 12
    first, count = trained(Means(log), data, seeds=2, folds=4, memory=kept)
    assert count == 8
    second, count = trained(Means(log), data, seeds=3, folds=4, memory=str(kept))
    assert count == 4
    np.testing.assert_array_equal(first.scores, plain.scores[:2])
    np.testing.assert_array_equal(second.scores, plain.scores)
    images, labels, groups = data
    fitted = Means(log).fit(images, labels)
    assert trained(fitted, data, seeds=3, folds=4, memory=kept)[1] == 0
    for other in (
        (images[::-1], labels, groups),
        (np.where(images == images[0, 0], 0, images), labels, groups),
        (images, np.where(groups == 0, 1, labels), groups),
    ):  # fmt: skip
        _, count = trained(Means(log), other, seeds=1, folds=4, memory=kept)
        assert count >= 3  # a fold may have the same images and labels in it as before
    assert trained(Means(log), data, seeds=1, folds=3, memory=kept)[1] == 3
    assert trained(Means(log, wait=1e-6), data, seeds=1, folds=4, memory=kept)[1] == 4


def test_a_fold_is_known_by_the_code_and_the_libraries(data, tmp_path, monkeypatch):
    from xraylib.evaluation import validation

    log = tmp_path / "log"
    quiet(Means(log), data, seeds=1, folds=4, memory=tmp_path / "kept")
    monkeypatch.setattr(validation.metadata, "version", lambda name: "0.0.1")
    quiet(Means(log), data, seeds=1, folds=4, memory=tmp_path / "kept")
    assert lines(log) == 8


@pytest.mark.parametrize(
    "damage",
    [lambda whole: whole[:100], lambda whole: b"", lambda whole: b"hello",
     lambda whole: whole[:60] + bytes([whole[60] ^ 1]) + whole[61:]],
    ids=["cut", "empty", "text", "bit"],
)  # fmt: skip
def test_a_damaged_file_is_not_believed(data, tmp_path, damage):
    log = tmp_path / "log"
    expected = quiet(Means(log), data, seeds=1, folds=4, memory=tmp_path / "kept")
    path = files(tmp_path / "kept")[1]
    path.write_bytes(damage(path.read_bytes()))
    log.unlink()
    result = quiet(Means(log), data, seeds=1, folds=4, memory=tmp_path / "kept")
    assert lines(log) == 1
    np.testing.assert_array_equal(result.scores, expected.scores)
    quiet(Means(log), data, seeds=1, folds=4, memory=tmp_path / "kept")
    assert lines(log) == 1


def crossed(scores, labels=None, fold=None):
    labels = np.tile([0, 1], scores.shape[1] // 2) if labels is None else labels
    fold = np.tile(np.arange(scores.shape[1]) // 4, (len(scores), 1)) if fold is None else fold
    return CrossValidation(labels, scores, fold)


@pytest.fixture
def pair():
    """Two repetitions of three folds of four images, 12 images; b is worse than a."""
    labels = np.tile([0, 1], 6)
    right_a = np.array([[1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 1], [1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1]])
    right_b = np.array([[1, 1, 0, 1, 1, 1, 0, 0, 1, 0, 0, 1], [1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 1, 0]])
    return tuple(crossed(np.where(right, labels, 1 - labels) * 1.0) for right in (right_a, right_b))


def test_corrected_resampled_t_by_hand(pair):
    """Differences .25 .25 .25 0 .5 .25: mean .25, s² = .025; variance (1/6 + 1/2) s²."""
    result = compare(*pair)
    error = np.sqrt((1 / 6 + 1 / 2) * 0.025)
    assert result.difference.value == pytest.approx(0.25)
    assert result.p == pytest.approx(2 * stats.t.sf(0.25 / error, 5))
    reach = stats.t.ppf(0.975, 5) * error
    assert result.difference[1:] == pytest.approx((0.25 - reach, 0.25 + reach))
    differences = (pair[0].accuracies - pair[1].accuracies).ravel()
    assert result.p > stats.ttest_1samp(differences, 0).pvalue  # which takes folds for independent
    back = compare(*pair[::-1])
    assert back.p == pytest.approx(result.p) and back.difference.value == pytest.approx(-0.25)
    assert "0.25 (-0.08 to 0.58)" in str(result) and "6 folds" in str(result)


def test_of_seeds_those_count_that_both_models_have(pair):
    a, b = pair
    once = compare(a, crossed(b.scores[:1], b.labels))
    assert "3 folds" in str(once)
    other = compare(crossed(a.scores[:1], a.labels), crossed(b.scores[:1], b.labels))
    assert str(once) == str(other)  # p is not defined here, and equals nothing


def test_runs_are_joined(pair):
    a, b = pair
    both = join(pair)
    assert both.correct.tolist() == [*a.correct, *b.correct] and both.fold.shape == (4, 12)
    assert compare(both, a) == compare(a, a)
    more = CrossValidation(b.labels, b.scores, b.fold + 1)
    for wrong in ([], [a, crossed(b.scores, 1 - b.labels)], [a, more]):
        with pytest.raises(ValueError, match="of the same images"):
            join(wrong)


def test_connor_by_hand(pair):
    """Of 24 calls a alone is right in 6, b alone in none: discordant 1/4, difference 1/4."""
    z, power = 1.959964, 0.841621
    n = ((z * np.sqrt(0.25) + power * np.sqrt(0.25 - 0.25**2)) / 0.25) ** 2
    assert compare(*pair).needed(0.25) == int(np.ceil(n)) == 29
    assert "exactly one is right on 25.0 % of the images" in str(compare(*pair))


def test_smaller_differences_need_more_images_and_disagreement_costs_more_of_them(pair):
    result = compare(*pair)
    assert result.needed(0.02) > 20 * result.needed(0.1) and result.needed(1) == 6
    # Models that agreed on every image: a difference of 0.02 is one of 2 % of the images at least.
    z, power = 1.959964, 0.841621
    least = ((z * np.sqrt(0.02) + power * np.sqrt(0.02 - 0.02**2)) / 0.02) ** 2
    assert compare(pair[0], pair[0]).needed(0.02) == int(np.ceil(least)) == 391
    for wrong in (0, -0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="above 0 and up to 1"):
            result.needed(wrong)


def test_equal_models_differ_by_nothing(pair):
    result = compare(pair[0], pair[0])
    assert result.p == 1 and result.difference.value == 0 and result.discordant == 0
    assert "no interval" in str(result)
    assert "nan" not in str(result)


def test_the_same_difference_in_every_fold_has_no_p(pair):
    labels, scores = pair[0].labels, np.tile([0.0, 1.0], (1, 6))
    worse = scores.copy()
    worse[0, ::4] = 1
    result = compare(crossed(scores, labels), crossed(worse, labels))
    assert result.difference.value == 0.25 and np.isnan(result.p) and result.discordant == 0.25
    assert "every fold shows the same difference" in str(result) and "nan" not in str(result)


def test_other_folds_or_labels_are_refused(pair):
    a, b = pair
    for other in (
        crossed(b.scores[:, :8]),
        crossed(b.scores, labels=1 - b.labels),
        crossed(b.scores, fold=b.fold[:, ::-1]),
    ):
        with pytest.raises(ValueError, match="same folds"):
            compare(a, other)


def table(both, only_a, only_b, neither):
    """Labels and two models' scores, for how many images each is right."""
    counts = both, only_a, only_b, neither
    right_a, right_b = np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts)
    labels = np.arange(sum(counts)) % 2
    return labels, *(
        np.where(right, labels, 1 - labels) * 0.8 + 0.1 for right in (right_a, right_b)
    )


def test_mcnemar_against_a_known_table():
    """2 against 9: twice the share of (1 + 11 + 55) in 2048."""
    result = compare_once(*table(21, 2, 9, 12))
    assert result.p == pytest.approx(134 / 2048)
    assert result.difference.value == pytest.approx(-7 / 44)
    assert "p = 0.065" in str(result) and "McNemar" in str(result)


def test_newcombes_interval_against_another_implementation():
    """Data of Cavo et al. 2012, as the tests of the R package contingencytables have them."""
    difference = compare_once(*table(59, 6, 16, 80)).difference
    assert difference == pytest.approx((-0.0621, -0.1186, -0.0046), abs=5e-5)


def test_no_discordant_image():
    for counts in ((20, 0, 0, 5), (20, 0, 0, 0), (0, 0, 0, 1)):
        result = compare_once(*table(*counts))
        assert result.p == 1 and result.discordant == 0 and "nan" not in str(result)
        assert result.difference.value == 0
        assert result.difference.low == pytest.approx(-result.difference.high)
        assert result.difference.high > 0.05  # nothing seen is not nothing there


def test_connor_against_a_published_example():
    """Shares 0.45 and 0.05, 80 % power: 23 pairs."""
    assert compare_once(*table(50, 45, 5, 0)).needed(0.4) == 23
    assert compare_once(*table(0, 9, 0, 0)).needed(1) == 6  # fewer can never reach 5 %


def test_as_many_images_as_advised_settle_it_four_times_in_five():
    needed = compare_once(*table(70, 20, 8, 2)).needed(0.12)
    rng = np.random.default_rng(0)
    draws = rng.multinomial(needed, [0.7, 0.2, 0.08, 0.02], 1500)
    settled = np.mean([
        stats.binomtest(int(a), int(a + b)).pvalue < 0.05 for _, a, b, _ in draws if a + b
    ])  # fmt: skip
    assert 0.72 < settled < 0.85


def test_bad_scores_are_refused():
    with pytest.raises(ValueError, match="each of the 2 images"):
        compare_once([0, 1], [0.1, 0.2], [0.1])
    with pytest.raises(ValueError, match="threshold"):
        compare_once([0, 1], [0.1, 0.2], [0.1, 0.3], threshold=np.nan)


def test_a_training_in_processes_of_their_own(data, tmp_path):
    images, labels, _ = data
    X, test = images.reshape(len(labels), -1), np.arange(len(labels)) < 10
    log, ways = tmp_path / "log", [(1, True), (2, False)]
    expected = hold_out(Means(), X, labels, test, seeds=1, progress=False)
    for _ in range(2):  # the second time from the folder
        found = in_fresh_processes(Means(log), X, labels, test, ways, memory=tmp_path / "kept")
        np.testing.assert_array_equal(found, np.repeat(expected, 2, axis=0))
        assert lines(log) == 2
    with pytest.raises(RuntimeError, match="(?s)2 threads, oneDNN False, failed.*contains NaN"):
        in_fresh_processes(GaussianNB(), X * np.nan, labels, test, [(2, False)])
