"""Repeated, grouped cross-validation that goes on where it stopped; two models compared by it.

Nothing here imports TensorFlow: a worker loads what its model needs.
"""

import contextlib
import multiprocessing
import os
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from joblib.externals import loky
from scipy import special, stats
from sklearn.base import clone, is_classifier
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from xraylib.data.arrays import OnDisk, as_float32, light, rows
from xraylib.evaluation import metrics


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
        """bool (seeds, n), whether the image was called what it is, class 1 from 0.5."""
        return (self.scores >= 0.5) == self.labels

    @property
    def correct(self):
        """int (seeds,), how many of the n images were right."""
        return self.right.sum(axis=1)

    @property
    def spread(self):
        """metrics.Spread of the images right, over the seeds."""
        return metrics.Spread(tuple(self.correct.tolist()), len(self.labels))

    @property
    def together(self):
        """float64 (n,), the mean score over the seeds: all trainings as one model, out of fold."""
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
    ``joblib.parallel_config`` says, such as ``n_jobs=1`` or, for a Dask cluster, ``"dask"``. The
    images travel with each fold (Dask warns if they are many): a worker that dies takes only its
    fold with it, which is run again.

    Args:
        model: a scikit-learn classifier; each ``random_state`` in it is set to the seed.
        X: (n, ...) array of what the classifier takes.
        labels: (n,) of 0 and 1.
        groups: (n,), images of one patient share a value and are never divided between training
            and test; None: each image is a group of its own.
        shown: list of (n, ...), the same images as the models trained on X are to score them, such
            as ``[X, X_masked]``; None: X.
        seeds: how often, each time with the folds dealt anew; or the seeds themselves, integers. A
            number stands for 0, 1, 2, ...
        folds: parts that the groups are divided into, classes as even as the groups permit.
        memory: folder of joblib.Memory to keep finished folds in. They are not computed again as
            long as data, folds, model, what xraylib trains with and the libraries are the same. A
            classifier of your own is known by its name and settings, not by its code.
        progress: show a bar on stderr.

    Returns a CrossValidation; of what is shown a list of them.

    Raises:
        ValueError: bad input, or a fold that leaves one class only to train on or nothing to test
            on. Test images of one class are no error.
        RuntimeError: the model failed; says at which seed and fold. The folder has what was
            finished before.
    """
    X, labels, groups, seeds = _checked(model, X, labels, groups, seeds)
    if folds < 2:
        raise ValueError(f"expected 2 folds or more, got folds={folds}")
    fold = np.stack([_folds(labels, groups, folds, seed) for seed in seeds])
    places = list(np.ndindex(len(seeds), folds))
    jobs = [(fold[s] == number, seeds[s], number) for s, number in places]
    views = [X] if shown is None else [_light(each) for each in shown]
    if not views or any(len(each) != len(X) for each in views):
        raise ValueError(f"shown: expected one array or more of {len(X)} images each")
    scores = np.empty((len(views), *fold.shape))
    found = _finished(_scored, model, (X, *views), labels, jobs, memory, progress)
    for (s, number), each in zip(places, found, strict=True):
        scores[:, s, fold[s] == number] = each
    results = [CrossValidation(labels, each, fold) for each in scores]
    return results[0] if shown is None else results


def hold_out(model, X, labels, test, *, seeds=5, memory=None, progress=True):
    """Score some images by models that were trained on all others, once a seed.

    Such as a hospital's, by models that have seen films of other hospitals only. The test is bool
    (n,), True for the m images to score; all else, and errors, are as in :func:`cross_validate`.

    Returns float64 (seeds, m), 0..1, of class 1.
    """
    X, labels, jobs = _one_part(model, X, labels, test, seeds)
    return np.concatenate(_finished(_scored, model, X, labels, jobs, memory, progress))


def watch(network, X, labels, test, *, seeds=5, memory=None, progress=True):
    """Train as :func:`hold_out` does, and look at the images held out after each epoch.

    The network is a classifier of :mod:`xraylib.training.classifier`; all else, and errors, are as
    there.

    Returns a list of dict, for each seed the curves that :func:`xraylib.training.fitting.fit`
    returns; val_loss and so on are of the images held out.
    """
    X, labels, jobs = _one_part(network, X, labels, test, seeds)
    return _finished(_watched, network, X, labels, jobs, memory, progress)


def in_fresh_processes(model, X, labels, test, ways, *, seed=0, memory=None):
    """Score some images by the same training, once for each way of rounding its sums.

    A training on a processor repeats exactly only where sums are added in the same order, which
    depends on the number of threads and on the library. Each training runs in a process of its own,
    as many side by side as there are cores.

    The ways are (threads, onednn) of each process: how many threads TensorFlow has for one
    operation, and whether it may use the library oneDNN. All trainings have the one seed; all else,
    and errors, are as in :func:`hold_out`.

    Returns float64 (ways, m), 0..1, of class 1, of the m images of the test.
    """
    X, labels, [(test, seed, _)] = _one_part(model, X, labels, test, [seed])
    model, keep = clone(model), _kept(_in_a_process, memory, X, labels)
    jobs = (joblib.delayed(keep)(model, X, labels, test, seed, *way) for way in ways)
    return np.concatenate(joblib.Parallel(-1, "threading")(jobs))


def _in_a_process(model, X, labels, test, seed, threads, onednn):
    # TensorFlow chooses how it adds when it is loaded.
    env = {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_ENABLE_ONEDNN_OPTS": str(int(onednn))}
    with loky.ProcessPoolExecutor(1, env=env) as process:
        try:
            return process.submit(_scored, model, X, labels, test, seed).result()
        except Exception as error:  # a model raises whatever its parts raise
            raise RuntimeError(
                f"a training with {threads} threads, oneDNN {onednn}, failed in a process of "
                f"its own: {type(error).__name__}: {error}"
            ) from error


def _one_part(model, X, labels, test, seeds):
    """What :func:`_finished` takes of trainings that all leave out the same images."""
    X, labels, _, seeds = _checked(model, X, labels, None, seeds)
    test = np.asarray(test)
    if test.dtype != bool or test.shape != labels.shape or not test.any():
        raise ValueError(
            f"test: expected a bool for each of {len(labels)} images and one True or more, got "
            f"{test.dtype} {test.shape}"
        )
    if len(np.unique(labels[~test])) < 2:
        raise ValueError("expected both classes among the images to train on, got one or none")
    return (X, X), labels, [(test, seed, 0) for seed in seeds]


def _checked(model, X, labels, groups, seeds):
    labels, groups = metrics.labels_and_groups(labels, groups)
    X = _light(X)
    if len(X) != len(labels):
        raise ValueError(f"expected a label an image, got {len(labels)} for {len(X)} images")
    seeds = list(range(seeds)) if isinstance(seeds, (int, np.integer)) else list(seeds)
    if not seeds:
        raise ValueError("expected 1 seed or more, got none")
    if isinstance(model, type) or not is_classifier(model):
        raise ValueError(f"model: expected a scikit-learn classifier, got {model!r}")
    return X, labels, groups, seeds


def _light(X):
    """A table as it is, else as :func:`xraylib.data.arrays.light` gives it."""
    return X if isinstance(X, pd.DataFrame) else light(X)


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


def _finished(work, model, X, labels, jobs, memory, progress):
    """A list of what the work gives for jobs (test, seed, number); X is (trained on, *shown)."""
    model = clone(model)  # what it was fitted to before is no part of what a fold is known by
    keep = _kept(work, memory, X, labels)
    with joblib.parallel_config() as around:
        n_jobs = around["n_jobs"] if isinstance(around["n_jobs"], int) else -1
    n_jobs = n_jobs if len(jobs) > 1 else 1  # one alone needs no worker
    # A job is one tuple: arrays on their own joblib would scatter to one Dask worker, and with it
    # they would be lost for good.
    finished = joblib.Parallel(n_jobs, batch_size=1, return_as="generator")(
        joblib.delayed(_run)((keep, model, X, labels, *job)) for job in jobs
    )
    return list(tqdm(finished, total=len(jobs), unit="fold", disable=not progress))


def _kept(work, memory, X, labels):
    """The work, whose results a folder keeps: one inside it for these data, code and libraries."""
    if memory is None:
        return work
    if Path(memory).exists() and not Path(memory).is_dir():
        raise ValueError(f"memory: expected a folder, but {memory} is a file")
    # Hashed once, not with every fold; of an array on disk not where it lies.
    data = [each.known_by if isinstance(each, OnDisk) else each for each in X]
    folder = Path(memory) / joblib.hash([data, labels, _house()])
    # Compressed, so that a damaged file is noticed: joblib logs it, and the fold is computed again.
    return joblib.Memory(folder, verbose=0, compress=True).cache(work, ignore=["X", "labels"])


def _house():
    """What a training runs through: the code of xraylib, the versions of the libraries."""
    folder = Path(__file__).parents[1]
    parts = ("models/*", "training/*", "evaluation/validation", "data/images", "data/arrays")
    files = [file for part in parts for file in sorted(folder.glob(part + ".py"))]
    code = [file.read_bytes() for file in files]
    versions = [os.environ.get("TF_ENABLE_ONEDNN_OPTS")]  # it rounds in another way
    for name in ("numpy", "scipy", "scikit-learn", "keras", "tensorflow", "tensorflow-cpu"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions.append((name, metadata.version(name)))
    return code, versions


def _run(job):
    """Do one job, maybe in a worker; an error says which it was."""
    keep, model, X, labels, test, seed, number = job
    if multiprocessing.parent_process() is not None:
        # A training fills one core; with one thread its result does not depend on their number.
        # TensorFlow reads this when it starts, and knows nothing of joblib's own limit.
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
        os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
        # A graphics card is shared: the first worker must not take its whole memory.
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    try:
        return keep(model, X, labels, test, seed)
    except Exception as error:  # a model raises whatever its parts raise
        raise RuntimeError(
            f"seed {seed}, fold {number}: the model failed: {type(error).__name__}: {error}"
        ) from error


def _scored(model, X, labels, test, seed):
    """Train without the test and score it as it is shown, k times: float64 (k, m)."""
    X, *shown = X
    model = _seeded(model, seed).fit(_part(model, X, ~test), labels[~test])
    return np.stack([_scores(model, _part(model, each, test), labels[test]) for each in shown])


def _watched(network, X, labels, test, seed):
    """Train without the test and give the curves, with values of the test."""
    X, shown = X
    validation = _part(network, shown, test), labels[test]
    train = _part(network, X, ~test), labels[~test]
    return _seeded(network, seed).fit(*train, validation=validation).history_


def _seeded(model, seed):
    model = clone(model)
    random = [name for name in model.get_params() if name.split("__")[-1] == "random_state"]
    return model.set_params(**dict.fromkeys(random, seed))


def _part(model, X, which):
    """Rows for a model; of an array on disk they are read, unless the model does so itself."""
    part = rows(X, which)
    if getattr(model, "takes_on_disk", False) or isinstance(part, pd.DataFrame):
        return part
    part = np.asarray(part)
    # scikit-learn computes with halves, and small scales become nought; or makes them float64.
    return as_float32(part) if part.dtype == np.float16 else part


def _scores(model, X, labels):
    if hasattr(model, "predict_proba"):
        return metrics.checked_scores(model.predict_proba(X)[:, 1], labels)
    return special.expit(model.decision_function(X))  # 0.5 where the decision changes


@dataclass(frozen=True)
class Comparison:
    """Two models on the same images; prints as a sentence.

    Attributes:
        difference: accuracy of the first minus accuracy of the second, Estimate.
        p: two-sided, of the hypothesis that they are equally good; NaN where it has no answer.
        method: name of the test.
        discordant: share of the images, 0..1, on which exactly one of the two was right.
    """

    difference: metrics.Estimate
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

        Choose the difference in accuracy, above 0 and up to 1, that matters before you look: the
        one that was seen is mostly chance, and the number for it is another form of p.

        Returns int, for 80 % power at a level of 5 % in McNemar's test, images independent. The
        models disagree as often as here, or as often as such a difference demands.
        Raises ValueError where the difference is not as above.
        Source: Connor, Sample size for testing differences in proportions for the paired-sample
        design, Biometrics 43 (1987).
        """
        if not 0 < difference <= 1:
            raise ValueError(f"expected a difference above 0 and up to 1, got {difference}")
        discordant = max(self.discordant, difference)
        level, power = stats.norm.ppf(0.975), stats.norm.ppf(0.8)
        root = level * np.sqrt(discordant) + power * np.sqrt(discordant - difference**2)
        return max(6, int(np.ceil((root / difference) ** 2)))  # with 5 the exact test's p is 0.06


def join(runs):
    """One CrossValidation of several of the same images, their seeds one after the other.

    Raises ValueError where labels or numbers of folds differ, or there is none.
    """
    runs = list(runs)
    if len({(tuple(each.labels), each.fold.max()) for each in runs}) != 1:
        raise ValueError(
            "expected cross-validations of the same images in as many folds, but got none, or "
            "labels or numbers of folds differ"
        )
    scores, fold = ([getattr(each, what) for each in runs] for what in ("scores", "fold"))
    return CrossValidation(runs[0].labels, np.concatenate(scores), np.concatenate(fold))


def compare(a, b):
    """Comparison of two models by the accuracies of their CrossValidations, fold by fold.

    Of seeds, those that both have count: the first of the model that has more.
    Raises ValueError where labels or folds differ.
    Source: Nadeau and Bengio, Inference for the generalization error, Machine Learning 52 (2003):
    folds share training images, so the variance of J differences is not s²/J but
    (1/J + n_test/n_train) s², with J - 1 degrees of freedom; for repeated folds Bouckaert and
    Frank, PAKDD 2004.
    """
    n = min(len(a.scores), len(b.scores))
    a, b = (CrossValidation(each.labels, each.scores[:n], each.fold[:n]) for each in (a, b))
    if not (np.array_equal(a.fold, b.fold) and np.array_equal(a.labels, b.labels)):
        raise ValueError(
            "expected two cross-validations of the same images in the same folds, but labels or "
            "folds differ; run both with the same labels, groups, seeds and folds"
        )
    differences = a.accuracies - b.accuracies
    folds, count, mean = differences.shape[1], differences.size, differences.mean()
    spread = np.sqrt((1 / count + 1 / (folds - 1)) * differences.var(ddof=1))
    if np.ptp(differences) < 1e-12:  # rounding alone
        low, high, p = np.nan, np.nan, 1.0 if abs(mean) < 1e-12 else np.nan
    else:
        low, high = stats.t.interval(0.95, count - 1, mean, spread)
        p = 2 * stats.t.sf(abs(mean) / spread, count - 1)
    difference = metrics.Estimate(float(mean), float(low), float(high))
    method = f"corrected resampled t test, {count} folds"
    return Comparison(difference, float(p), method, float(np.mean(a.right != b.right)))


def compare_once(labels, scores_a, scores_b, *, threshold=0.5):
    """Comparison of the accuracies of two models on images that neither was trained on.

    The interval is no test: near p = 0.05 it and p can disagree.

    Args:
        labels: (n,) of 0 and 1.
        scores_a: (n,), of class 1 by the one model, 0..1.
        scores_b: by the other.
        threshold: 0..1, an image with this score or more is called class 1.

    Raises ValueError where an argument is not as above.
    Source: McNemar, Psychometrika 12 (1947), with the exact binomial distribution; the interval is
    method 10 of Newcombe, Statistics in Medicine 17 (1998), 2635. Both take images for independent.
    """
    labels, _ = metrics.labels_and_groups(labels)
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold: expected a number of 0..1, got {threshold}")
    scores = (metrics.checked_scores(each, labels) for each in (scores_a, scores_b))
    a, b = rights = [(each >= threshold) == labels for each in scores]
    n = len(labels)
    both, only_a, only_b = (int(part.sum()) for part in (a & b, a & ~b, b & ~a))
    p = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    (low_a, high_a), (low_b, high_b) = (
        stats.binomtest(int(right.sum()), n).proportion_ci(method="wilson") for right in rights
    )
    product = both * (n - both - only_a - only_b) - only_a * only_b
    product = max(product - n / 2, 0) if product > 0 else product
    margins = np.prod([part.sum() for right in rights for part in (right, ~right)], dtype=float)
    phi = product / np.sqrt(margins) if margins else 0.0

    def width(down, up):
        return np.sqrt(down**2 - 2 * phi * down * up + up**2)

    share_a, share_b = a.mean(), b.mean()
    low = share_a - share_b - width(share_a - low_a, high_b - share_b)
    high = share_a - share_b + width(share_b - low_b, high_a - share_a)
    difference = metrics.Estimate(*map(float, (share_a - share_b, low, high)))
    return Comparison(difference, float(p), "exact McNemar test", (only_a + only_b) / n)
