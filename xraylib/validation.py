"""Repeated, grouped cross-validation that goes on where it stopped; two models compared by it.

Nothing here imports TensorFlow: a worker loads what its model needs.
"""

import contextlib
import hashlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import joblib
import numpy as np
from scipy import special, stats
from sklearn.base import clone, is_classifier
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from xraylib import evaluation

# What the scores of a model can depend on and a version stands for; those that are installed.
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "keras", "tensorflow", "tensorflow-cpu")


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """The out-of-fold scores of a model: each image judged by models that had not seen its group.

    Attributes:
        labels: int (n,), 0 or 1.
        scores: float64 (seeds, n), 0..1, of class 1.
        fold: int (seeds, n), the fold that held the image out.
    """

    labels: np.ndarray
    scores: np.ndarray
    fold: np.ndarray

    @property
    def right(self):
        """bool (seeds, n), whether the image, called class 1 from 0.5, was called what it is."""
        return (self.scores >= 0.5) == self.labels

    @property
    def correct(self):
        """int (seeds,), how many of the n images were right."""
        return self.right.sum(axis=1)

    @property
    def spread(self):
        """evaluation.Spread of the images right, over the seeds."""
        return evaluation.Spread(tuple(self.correct.tolist()), len(self.labels))

    @property
    def together(self):
        """float64 (n,), the mean of an image's scores over the seeds: all trainings as one model.

        Each training judged only images whose group it had not seen, and so does their mean.
        """
        return self.scores.mean(axis=0)

    @property
    def accuracies(self):
        """float64 (seeds, folds), share of a fold's images that were right."""
        folds = range(self.fold.max() + 1)
        return np.stack([np.mean(self.right, 1, where=self.fold == k) for k in folds], axis=1)


def cross_validate(
    model, X, labels, groups, *, shown=None, seeds=5, folds=5, memory=None, progress=True
):
    """Score each image by a model that was trained without its group, once a seed.

    The seeds × folds trainings run through joblib, one a core: on all cores, or as a surrounding
    ``joblib.parallel_config`` says, such as ``n_jobs=1`` for one after the other or ``"dask"`` for
    the workers of a Dask cluster. The images travel with each fold (Dask warns if they are many),
    so that a worker that dies takes nothing with it but the fold it was at, which is run again.

    Args:
        model: a scikit-learn classifier; where it or a part of it has a ``random_state``, that is
            set to the seed.
        X: (n, ...) array of what the classifier takes.
        labels: (n,) of 0 and 1.
        groups: (n,), images of one patient share a value and are never divided between training
            and test; None: each image is a group of its own.
        shown: list of (n, ...), the same images as the trained models are to score them, such as
            ``[X, X_masked]``: the very models that were trained on X score each of these; None: X.
        seeds: how often, each time with the folds dealt anew; or the seeds themselves, integers. A
            number stands for 0, 1, 2, ...
        folds: parts that the groups are divided into, classes as even as the groups permit.
        memory: folder to keep finished folds in, by joblib.Memory. What it holds is not computed
            again as long as data, folds, model, what xraylib trains with and the libraries are the
            same. A classifier of your own is known by its name and settings, not by its code.
        progress: show a bar on stderr.

    Returns:
        CrossValidation; of what is shown a list of them.

    Raises:
        ValueError: bad input, or a fold that leaves one class only to train on or nothing to test
            on. Test images of one class are no error.
        RuntimeError: the model failed; says at which seed and fold. What was finished before is in
            the folder.
    """
    X, labels, groups, seeds = _checked(model, X, labels, groups, seeds)
    if folds < 2:
        raise ValueError(f"expected 2 folds or more, got folds={folds}")
    fold = np.stack([_folds(labels, groups, folds, seed) for seed in seeds])
    jobs = list(np.ndindex(fold.shape[0], folds))
    tests = [(fold[s] == number, seeds[s], number) for s, number in jobs]
    given, work = X, None
    if shown is not None:
        given, work = (X, *map(np.asarray, shown)), _fold_as_shown
        if len(given) < 2 or any(len(each) != len(X) for each in given):
            raise ValueError(f"shown: expected one array or more of {len(X)} images each")
    scores = np.empty((1 if shown is None else len(shown), *fold.shape))
    for k, found in _finished(model, given, labels, tests, memory, progress, work):
        scores[:, jobs[k][0], tests[k][0]] = found
    results = [CrossValidation(labels, each, fold) for each in scores]
    return results[0] if shown is None else results


def hold_out(model, X, labels, test, *, seeds=5, memory=None, progress=True):
    """Score some images by models that were trained on all others, once a seed.

    Such as a hospital's, by models that have seen films of other hospitals only.

    Args:
        model: see :func:`cross_validate`, as are the others but test.
        X: (n, ...).
        labels: (n,) of 0 and 1.
        test: bool (n,), the images to score.
        seeds: how often, or the seeds themselves.
        memory: folder to keep what is finished in.
        progress: show a bar on stderr.

    Returns:
        float64 (seeds, m), 0..1, of class 1, of the m images of the test.

    Raises:
        ValueError: bad input, or one class only to train on.
        RuntimeError: the model failed; says at which seed.
    """
    X, labels, _, seeds = _checked(model, X, labels, None, seeds)
    jobs = _one_part(test, labels, seeds)
    scores = np.empty((len(seeds), np.sum(test)))
    for k, found in _finished(model, X, labels, jobs, memory, progress):
        scores[k] = found
    return scores


def watch(network, X, labels, test, *, seeds=5, memory=None, progress=True):
    """Train on all other images than these, once a seed, and look at these after each epoch.

    Args:
        network: a classifier of :mod:`xraylib.classifier`.
        X: (n, ...), see :func:`cross_validate`.
        labels: (n,) of 0 and 1.
        test: bool (n,), the images to look at.
        seeds: how often, or the seeds themselves.
        memory: folder to keep what is finished in.
        progress: show a bar on stderr.

    Returns:
        list of dict, for each seed the curves that :func:`xraylib.training.fit` returns; val_loss
        and so on are of the images looked at.

    Raises:
        ValueError: bad input, or one class only to train on.
        RuntimeError: a training failed; says with which seed.
    """
    X, labels, _, seeds = _checked(network, X, labels, None, seeds)
    jobs = _one_part(test, labels, seeds)
    curves = dict(_finished(network, X, labels, jobs, memory, progress, _watched))
    return [curves[k] for k in range(len(seeds))]


# One training in a process of its own: TensorFlow chooses how it adds when it is loaded.
_PROGRAM = """
import sys
import joblib
from xraylib import validation

print(*map(repr, validation._fold(*joblib.load(sys.argv[1])).tolist()))
"""


def in_fresh_processes(model, X, labels, test, ways, *, seed=0):
    """Score some images by the same training, once for each way of rounding its sums.

    A training on a processor repeats exactly only where sums are added in the same order, which
    depends on the number of threads and on the library. Each training runs in a process of its own,
    as many side by side as there are cores.

    Args:
        model: see :func:`cross_validate`, as are the others but test and ways.
        X: (n, ...).
        labels: (n,) of 0 and 1.
        test: bool (n,), the images to score; all others are trained on.
        ways: (threads, onednn) of each process: how many threads TensorFlow has for one operation,
            and whether it may use the library oneDNN.
        seed: of each training.

    Returns:
        float64 (ways, m), 0..1, of class 1, of the m images of the test.

    Raises:
        ValueError: bad input, or one class only to train on.
        RuntimeError: a training failed; says how.
    """
    X, labels, _, [seed] = _checked(model, X, labels, None, [seed])
    [(test, seed, number)] = _one_part(test, labels, [seed])

    def scores(threads, onednn):
        settings = {"TF_NUM_INTRAOP_THREADS": threads, "TF_ENABLE_ONEDNN_OPTS": int(onednn)}
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, given],
            env=os.environ | {name: str(value) for name, value in settings.items()},
            capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(
                f"a training with {threads} threads, oneDNN {onednn}, failed in a process of its "
                f"own: {done.stderr.strip()[-1000:]}"
            )
        return np.array(done.stdout.split(), float)

    with tempfile.TemporaryDirectory() as folder:
        given = f"{folder}/training"
        joblib.dump((model, X, labels, test, seed, number, ""), given)
        one = joblib.delayed(scores)
        found = joblib.Parallel(-1, "threading")(one(*way) for way in ways)
    return np.stack(found)


def _one_part(test, labels, seeds):
    test = np.asarray(test)
    if test.dtype != bool or test.shape != labels.shape or not test.any():
        raise ValueError(
            f"test: expected a bool for each of {len(labels)} images and one True or more, got "
            f"{test.dtype} {test.shape}"
        )
    if len(np.unique(labels[~test])) < 2:
        raise ValueError("expected both classes among the images to train on, got one or none")
    return [(test, seed, 0) for seed in seeds]


def _checked(model, X, labels, groups, seeds):
    labels, groups = evaluation.labels_and_groups(labels, groups)
    X = np.asarray(X)
    if len(X) != len(labels):
        raise ValueError(f"expected a label an image, got {len(labels)} for {len(X)} images")
    seeds = list(range(seeds)) if isinstance(seeds, (int, np.integer)) else list(seeds)
    if not seeds:
        raise ValueError("expected 1 seed or more, got none")
    if isinstance(model, type) or not is_classifier(model):
        raise ValueError(f"model: expected a scikit-learn classifier, got {model!r}")
    return X, labels, groups, seeds


def _finished(model, X, labels, jobs, memory, progress, work=None):
    """Yield (number of the job, what it gives) as the trainings end, in any order."""
    if memory is not None and Path(memory).exists() and not Path(memory).is_dir():
        raise ValueError(f"memory: expected a folder, but {memory} is a file")
    model = clone(model)  # what it was fitted to before is no part of what a fold is known by
    # Hashed once, not with every fold.
    known_by = joblib.hash([X, labels]) + _house() if memory is not None else ""
    # Compressed, so that a damaged file is noticed: joblib logs it, and the fold is computed again.
    place = None if memory is None else str(memory)  # of a Path it makes another folder
    keep = joblib.Memory(place, verbose=0, compress=True).cache(
        work or _fold, ignore=["X", "labels"]
    )
    with joblib.parallel_config() as around:
        n_jobs = around["n_jobs"] if isinstance(around["n_jobs"], int) else -1
    # A job is one tuple: arrays on their own joblib would scatter to one Dask worker, and with it
    # they would be lost for good. One alone needs no worker.
    n_jobs = n_jobs if len(jobs) > 1 else 1
    finished = joblib.Parallel(n_jobs, batch_size=1, return_as="generator_unordered")(
        joblib.delayed(_numbered)((k, keep, model, X, labels, *job, known_by))
        for k, job in enumerate(jobs)
    )
    yield from tqdm(finished, total=len(jobs), unit="fold", disable=not progress)


def _folds(labels, groups, folds, seed):
    """Which fold holds each image out, int (n,)."""
    fold = np.empty(len(labels), np.int64)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for number, (train, test) in enumerate(splitter.split(labels, labels, groups)):
        fold[test] = number
        classes = np.unique(labels[train])
        if len(classes) < 2 or not len(test):
            lack = f"only class {classes[0]} to train on" if len(test) else "nothing to test on"
            patients = [len(np.unique(groups[labels == label])) for label in (0, 1)]
            raise ValueError(
                f"seed {seed}, fold {number} of {folds}: {lack}; {patients[0]} groups have images "
                f"of class 0 and {patients[1]} of class 1: take fewer folds, or more groups"
            )
    return fold


def _numbered(job):
    """Train, and say which job it was: (its number, scores or curves)."""
    k, keep, *fold = job
    if multiprocessing.parent_process() is not None:
        # A training fills one core; with one thread its result does not depend on their number.
        # TensorFlow reads this when it starts, and knows nothing of joblib's own limit.
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
        os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    try:
        return k, keep(*fold)
    except Exception as error:  # a model raises whatever its parts raise
        raise RuntimeError(
            f"seed {fold[-3]}, fold {fold[-2]}: the model failed: {type(error).__name__}: {error}"
        ) from error


def _fold(model, X, labels, test, seed, number, known_by):
    """Train without a fold and score it, float64 (m,)."""
    return _scores(_seeded(model, seed).fit(X[~test], labels[~test]), X[test], labels[test])


def _fold_as_shown(model, X, labels, test, seed, number, known_by):
    """Train without a fold of the first of X and score that fold of the others, float64 (k, m)."""
    X, *shown = X
    model = _seeded(model, seed).fit(X[~test], labels[~test])
    return np.stack([_scores(model, each[test], labels[test]) for each in shown])


def _scores(model, X, labels):
    if hasattr(model, "predict_proba"):
        return evaluation.checked_scores(model.predict_proba(X)[:, 1], labels)
    return special.expit(model.decision_function(X))  # 0.5 where the decision changes


def _watched(network, X, labels, test, seed, number, known_by):
    """Train without some images and give the curves, with values of those images."""
    network = _seeded(network, seed)
    return network.fit(X[~test], labels[~test], validation=(X[test], labels[test])).history_


def _seeded(model, seed):
    model = clone(model)
    random = [name for name in model.get_params() if name.split("__")[-1] == "random_state"]
    return model.set_params(**dict.fromkeys(random, seed))


def _house():
    """What a training runs through: the code of xraylib, the versions of the libraries."""
    folder = Path(__file__).parent
    names = ("augmentation", "classifier", "engine", "models", "preprocessing", "reduction",
             "training", "validation", "weights")  # fmt: skip
    code = b"".join((folder / f"{name}.py").read_bytes() for name in names)
    versions = [os.environ.get("TF_ENABLE_ONEDNN_OPTS")]  # it rounds in another way
    for name in _LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions.append((name, metadata.version(name)))
    return hashlib.sha256(code + repr(versions).encode()).hexdigest()


@dataclass(frozen=True)
class Comparison:
    """Two models on the same images; prints as a sentence.

    Attributes:
        difference: accuracy of the first minus accuracy of the second, Estimate.
        p: two-sided, of the hypothesis that they are equally good; NaN where it has no answer.
        method: name of the test.
        discordant: share of the images, 0..1, on which exactly one of the two was right.
    """

    difference: evaluation.Estimate
    p: float
    method: str
    discordant: float

    def __str__(self):
        p = "p < 0.001" if self.p < 0.001 else f"p = {self.p:.3f}"
        if np.isnan(self.p):
            p = "p not defined: every fold shows the same difference"
        alone = f"exactly one is right on {100 * self.discordant:.1f} % of the images"
        return f"difference {self.difference}, {p} ({self.method}); {alone}"

    def needed(self, difference):
        """How many images would tell the models apart if their accuracies differed by so much.

        Choose the difference that matters before you look: the one that was seen is mostly chance,
        and the number for it is another form of p.

        Args:
            difference: in accuracy, above 0 and up to 1.

        Returns:
            int, for 80 % power at a level of 5 % in McNemar's test. The models are taken to
            disagree as often as here, or as often as such a difference demands; images for
            independent.

        Raises:
            ValueError: no such difference.

        Source: Connor, Sample size for testing differences in proportions for the paired-sample
        design, Biometrics 43 (1987).
        """
        if not 0 < difference <= 1:
            raise ValueError(f"expected a difference above 0 and up to 1, got {difference}")
        discordant = max(self.discordant, difference)
        level, power = stats.norm.ppf(0.975), stats.norm.ppf(0.8)
        root = level * np.sqrt(discordant) + power * np.sqrt(discordant - difference**2)
        return max(6, int(np.ceil((root / difference) ** 2)))  # with 5 the exact test's p is 0.06


def compare(a, b):
    """Compare two models that were cross-validated on the same folds.

    Args:
        a: CrossValidation of the one model.
        b: of the other, with the same labels, groups, seeds and folds.

    Returns:
        Comparison of the accuracies, fold by fold.

    Raises:
        ValueError: labels or folds differ.

    Source: Nadeau and Bengio, Inference for the generalization error, Machine Learning 52 (2003):
    folds share training images, so the variance of J differences is not s²/J but
    (1/J + n_test/n_train) s², with J - 1 degrees of freedom; for repeated folds Bouckaert and
    Frank, PAKDD 2004.
    """
    if a.fold.shape != b.fold.shape or (a.fold != b.fold).any() or (a.labels != b.labels).any():
        raise ValueError(
            "expected two cross-validations of the same images in the same folds, but labels or "
            "folds differ; run both with the same labels, groups, seeds and folds"
        )
    differences = (a.accuracies - b.accuracies).ravel()
    folds = a.accuracies.shape[1]
    mean, count = differences.mean(), differences.size
    spread = np.sqrt((1 / count + 1 / (folds - 1)) * differences.var(ddof=1))
    if np.ptp(differences) < 1e-12:  # rounding alone
        low = high = np.nan
        p = 1.0 if abs(mean) < 1e-12 else np.nan
    else:
        low, high = stats.t.interval(0.95, count - 1, mean, spread)
        p = 2 * stats.t.sf(abs(mean) / spread, count - 1)
    difference = evaluation.Estimate(float(mean), float(low), float(high))
    method = f"corrected resampled t test, {count} folds"
    return Comparison(difference, float(p), method, float(np.mean(a.right != b.right)))


def compare_once(labels, scores_a, scores_b, *, threshold=0.5):
    """Compare two models on one set of images that neither was trained on.

    Args:
        labels: (n,) of 0 and 1.
        scores_a: (n,), of class 1 by the one model, 0..1.
        scores_b: by the other.
        threshold: an image with this score or more is called class 1.

    Returns:
        Comparison of the accuracies, of which the interval is no test: near p = 0.05 the two can
        disagree.

    Raises:
        ValueError: bad input.

    Source: McNemar, Psychometrika 12 (1947), with the exact binomial distribution; the interval is
    method 10 of Newcombe, Statistics in Medicine 17 (1998), 2635. Both take images for independent.
    """
    labels, _ = evaluation.labels_and_groups(labels)
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold: expected a number of 0..1, got {threshold}")
    a, b = (
        (evaluation.checked_scores(scores, labels) >= threshold) == labels
        for scores in (scores_a, scores_b)
    )
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(b & ~a))
    p = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    difference = evaluation.Estimate(*map(float, (a.mean() - b.mean(), *_paired_interval(a, b))))
    return Comparison(difference, float(p), "exact McNemar test", float(np.mean(a != b)))


def _paired_interval(a, b):
    """Newcombe's interval of the difference in accuracy, from where each of two models is right."""
    n = len(a)
    low, high = zip(
        *(stats.binomtest(int(x.sum()), n).proportion_ci(method="wilson") for x in (a, b)),
        strict=True,
    )
    product = np.sum(a & b) * np.sum(~a & ~b) - np.sum(a & ~b) * np.sum(b & ~a)
    margins = np.prod([part.sum() for x in (a, b) for part in (x, ~x)], dtype=float)
    product = max(product - n / 2, 0) if product > 0 else product
    phi = product / np.sqrt(margins) if margins else 0.0

    def width(down, up):
        return np.sqrt(down**2 - 2 * phi * down * up + up**2)

    a, b = a.mean(), b.mean()
    return a - b - width(a - low[0], high[1] - b), a - b + width(b - low[1], high[0] - a)
