"""Scores with their k/n and interval: what a binary classifier is worth on given images."""

import html
import statistics
import textwrap
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit, xlogy
from scipy.stats import binomtest, chi2
from sklearn import metrics


class Proportion(NamedTuple):
    """k of n with an exact interval, 0..1; prints as "59/65 = 0.91 (0.81–0.97)"."""

    k: int
    n: int
    low: float
    high: float

    def __str__(self):
        if np.isnan(self.n):
            return "not defined"
        return f"{self.k}/{self.n} = {self.k / self.n:.2f} ({self.low:.2f}–{self.high:.2f})"


def proportion(k, n):
    """Proportion of k of n with its exact (Clopper–Pearson) 95 % interval.

    Raises ValueError unless they are whole numbers with 0 <= k <= n and n >= 1.
    Source: Clopper and Pearson, Biometrika 26 (1934), as in ``scipy.stats.binomtest``. It assumes
    n independent draws: films of one patient are not, and then the true interval is wider.
    """
    if int(k) != k or int(n) != n or not 0 <= k <= n or n < 1:
        raise ValueError(f"expected whole numbers with 0 <= k <= n and n >= 1, got k={k}, n={n}")
    low, high = binomtest(int(k), int(n)).proportion_ci()
    return Proportion(int(k), int(n), float(low), float(high))


class Spread(NamedTuple):
    """Images right of n, one number for each of several trainings that differ only in their seed.

    Prints as "59/65 = 0.91 (0.81–0.97), 50 to 63 over 30 seeds": the median with the interval that
    the n images leave it, and the range over the trainings.
    """

    values: tuple
    n: int

    @property
    def median(self):
        """Proportion of the median training; of an even number the lower middle one."""
        return proportion(statistics.median_low(self.values), self.n)

    @property
    def range(self):
        """Smallest and largest number as text, "50 to 63", or the one if they are equal."""
        low, high = min(self.values), max(self.values)
        return str(low) if low == high else f"{low} to {high}"

    def __str__(self):
        seeds = f"{len(self.values)} seeds" if len(self.values) > 1 else "1 seed"
        return f"{self.median}, {self.range} over {seeds}"


def majority(labels):
    """What "always the larger class" gets right, as a Proportion: (n,) labels of 0 and 1."""
    counts = np.bincount(labels_and_groups(labels)[0])
    return proportion(counts.max(), counts.sum())


class Estimate(NamedTuple):
    """A value with its 95 % interval; prints as "0.91 (0.85–0.96)". What is unknown is NaN."""

    value: float
    low: float
    high: float

    def __str__(self):
        if np.isnan(self.value):
            return "not defined"
        if np.isnan(self.low):
            return f"{self.value:z.2f} (no interval)"
        to = " to " if self.low < 0 else "–"
        # z: no -0.00
        return f"{self.value:z.2f} ({self.low:z.2f}{to}{self.high:z.2f})".replace("inf", "∞")


@dataclass(frozen=True, eq=False)
class BinaryResult:
    """What the scores of a binary classifier are worth; prints as a small table.

    Attributes:
        n: images.
        threshold, class_names: as given to :func:`evaluate`.
        accuracy, sensitivity, specificity: Proportion, exact; NaN where the class has no image.
        auc: area under the ROC curve, Estimate, bootstrap; NaN where a class is absent.
        brier: mean squared distance of score and label, Estimate, bootstrap; 0 is best, the
            constant score 0.5 gets 0.25.
        ece: expected calibration error, 0..1; with few images in a bin it is well above 0 even for
            a calibrated classifier.
        reliability: DataFrame, a row a bin that holds images: mean_score, share (of class 1), n.
        confusion: int (2, 2), rows the true class, columns what it was called.
        notes: tuple of str, what a reader of the numbers must know.
    """

    n: int
    threshold: float
    class_names: tuple
    accuracy: Proportion
    sensitivity: Proportion
    specificity: Proportion
    auc: Estimate
    brier: Estimate
    ece: float
    reliability: pd.DataFrame
    confusion: np.ndarray
    notes: tuple

    def _tables(self):
        names = self.class_names
        rows = {
            "images": f"{self.n}, {self.confusion[1].sum()} of them {names[1]}",
            "threshold": f"{self.threshold:.2f}, {names[1]} from there on",
            "accuracy": str(self.accuracy),
            "sensitivity": str(self.sensitivity),
            "specificity": str(self.specificity),
            "AUC": str(self.auc),
            "Brier score": str(self.brier),
            "ECE": f"{self.ece:.2f}",
        }
        called = pd.DataFrame(self.confusion, names, names)
        return rows, called.add_prefix("true ", axis=0).add_prefix("called ")

    def __str__(self):
        rows, called = self._tables()
        lines = [f"{name:<12} {value}" for name, value in rows.items()]
        notes = [textwrap.fill(f"Note: {note}.", 88) for note in self.notes]
        return "\n".join([*lines, called.to_string(), *notes])

    def _repr_html_(self):
        rows, called = self._tables()
        notes = "".join(f"<p>Note: {html.escape(note)}.</p>" for note in self.notes)
        return pd.Series(rows).to_frame().to_html(header=False) + called.to_html() + notes


def evaluate(
    labels, scores, *, threshold=0.5, groups=None, class_names=("0", "1"), bins=10,
    draws=2000, seed=0,
):  # fmt: skip
    """Judge the scores of a binary classifier: a BinaryResult.

    Args:
        labels: (n,) of 0 and 1.
        scores: (n,) of class 1, 0..1.
        threshold: 0..1, an image with this score or more is called class 1.
        groups: (n,), images of one patient share a value; the bootstrap draws whole groups. None:
            each image is a group of its own.
        class_names: of class 0 and class 1, for the tables.
        bins: of equal width between 0 and 1, 1 or more, for reliability and ECE.
        draws: of the bootstrap, 100 or more. Those of one class only are left out of the AUC's
            interval, and counted in the notes.
        seed: of the bootstrap.

    Raises ValueError where an argument is not as above.
    Source: Clopper and Pearson 1934 for the shares; Efron and Tibshirani, An Introduction to the
    Bootstrap (1993), for the percentile interval; Brier, Monthly Weather Review 78 (1950); Naeini
    et al., AAAI 2015, for the ECE, here of class 1's score.
    """
    labels, groups = labels_and_groups(labels, groups)
    scores, n = checked_scores(scores, labels), len(labels)
    if not 0 <= threshold <= 1 or bins < 1 or draws < 100 or len(class_names) != 2:
        raise ValueError(
            "expected a threshold of 0..1, 1 bin or more, 100 draws or more and two class names, "
            f"got threshold={threshold}, bins={bins}, draws={draws}, class_names={class_names}"
        )
    confusion = metrics.confusion_matrix(labels, scores >= threshold, labels=[0, 1])
    specificity, sensitivity = (
        proportion(row[i], row.sum()) if row.any() else Proportion(*[np.nan] * 4)
        for i, row in enumerate(confusion)
    )
    auc, brier, notes = _bootstrap(labels, scores, groups, draws, seed)
    if (several := len(np.unique(groups))) < n:
        notes += [
            f"the exact intervals of accuracy, sensitivity and specificity take all {n} images for "
            f"independent, but these come in groups ({several}): they are too narrow"
        ]
    # A score on an edge belongs to the lower bin, as in sklearn.calibration.calibration_curve.
    bin_of = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], scores)
    by_bin = pd.DataFrame({"mean_score": scores, "share": labels}).groupby(bin_of)
    table = by_bin.mean().assign(n=by_bin.size()).reset_index(drop=True)
    ece = np.average((table["share"] - table["mean_score"]).abs(), weights=table["n"])
    return BinaryResult(
        n=n, threshold=float(threshold), class_names=tuple(class_names),
        accuracy=proportion(confusion.trace(), n), sensitivity=sensitivity, specificity=specificity,
        auc=auc, brier=brier, ece=float(ece), reliability=table, confusion=confusion,
        notes=tuple(notes),
    )  # fmt: skip


def _bootstrap(labels, scores, groups, draws, seed):
    """AUC and Brier score, each with its percentile interval over draws of whole groups; notes."""
    both = 0 < labels.sum() < len(labels)
    squares = (scores - labels) ** 2
    notes = [] if both else [f"every image is of class {labels[0]}: an AUC needs both classes"]
    members = np.unique(groups, return_inverse=True)[1]
    count = members.max() + 1
    if count == 1:
        notes += ["all images are of one group: the bootstrap needs several for an interval"]
        draws = 0
    rank = np.unique(scores, return_inverse=True)[1]
    rng = np.random.default_rng(seed)
    aucs, briers = [], []
    for _ in range(draws):
        weights = np.bincount(rng.integers(count, size=count), minlength=count)[members]
        briers.append(np.average(squares, weights=weights))
        # The AUC as Mann and Whitney's U: scikit-learn's takes milliseconds, each draw.
        ones, zeros = (np.bincount(rank, weights * (labels == label)) for label in (1, 0))
        if pairs := ones.sum() * zeros.sum():
            aucs.append(ones @ (zeros.cumsum() - zeros / 2) / pairs)
    auc = metrics.roc_auc_score(labels, scores) if both else np.nan
    if 0 < len(aucs) < draws:
        left_out = draws - len(aucs)
        notes += [f"{left_out} of {draws} bootstrap draws held one class only and are left out"]
    if aucs and np.ptp(aucs) == 0:
        why = "these scores separate the classes perfectly, and " if auc in (0, 1) else ""
        notes += [
            f"{why}every bootstrap draw gave the same AUC: the bootstrap cannot see beyond these "
            "images, and that interval is no sign of certainty; the exact intervals of sensitivity "
            "and specificity say more"
        ]
    return _percentile(auc, aucs), _percentile(squares.mean(), briers), notes


def _percentile(value, drawn):
    """Estimate with the interval that holds 95 % of the draws; of no draws, without one."""
    low, high = np.quantile(drawn, (0.025, 0.975)) if drawn else (np.nan, np.nan)
    return Estimate(float(value), float(low), float(high))


class Calibration(NamedTuple):
    """Intercept and slope of scores, each an Estimate; see :func:`calibration`."""

    intercept: Estimate
    slope: Estimate

    def __str__(self):
        return f"calibration intercept {self.intercept}, slope {self.slope}"


def calibration(labels, scores):
    """Whether scores are too high or too low, too bold or too timid, by logistic regression.

    The labels, (n,) of 0 and 1, are regressed on the logits of the scores, (n,) of class 1, 0..1,
    which are first kept 1e-7 away from 0 and 1.

    Returns a Calibration: the intercept of a regression with a slope of 1, where 0 is right on the
    whole and below 0 scores are too high; the slope beside an intercept of its own, where 1 is
    right, below 1 scores lie too near to 0 and 1 and above 1 too near to one half. Infinite, with
    one limit, is the slope of scores that separate the classes. NaN is what cannot be said: both
    where a class is absent, the slope where scores are equal.
    Raises ValueError where an argument is not as above.
    Source: Cox, Biometrika 45 (1958), 562; Van Calster et al., BMC Medicine 17 (2019), 230. The
    intervals hold what a likelihood-ratio test at 5 % does not refuse. They take images for
    independent.
    """
    labels, _ = labels_and_groups(labels)
    x = logit(np.clip(checked_scores(scores, labels), 1e-7, 1 - 1e-7))
    unknown = Estimate(np.nan, np.nan, np.nan)
    if labels.min() == labels.max():
        return Calibration(unknown, unknown)

    def likelihood(intercept, slope=1):
        return -np.logaddexp(0, (1 - 2 * labels) * (intercept + slope * x)).sum()

    def beside(slope):
        """The likeliest intercept: as many of class 1 are expected as there are."""
        reach = np.abs(slope * x).max() + 50
        return brentq(lambda a: expit(a + slope * x).sum() - labels.sum(), -reach, reach)

    def profile(slope):
        return likelihood(beside(slope), slope)

    def rise(slope):
        return x @ (labels - expit(beside(slope) + slope * x))

    intercept = _estimate(likelihood, beside(1))
    if np.ptp(x) == 0:
        return Calibration(intercept, unknown)
    for sign in (1, -1):
        border = (sign * x[labels == 0]).max()
        if (sign * x[labels == 1]).min() >= border:  # separated: the steeper the likelier
            at = labels[sign * x == border]  # images of both classes may share a score
            top = (xlogy(at, at.mean()) + xlogy(1 - at, 1 - at.mean())).sum()
            return Calibration(intercept, _estimate(profile, sign * np.inf, top))
    end = 1.0
    while rise(-end) < 0 or rise(end) > 0:
        end *= 2
    return Calibration(intercept, _estimate(profile, brentq(rise, -end, end)))


def _estimate(likelihood, best, top=None):
    """Estimate: how far from best a log-likelihood may fall below its top by a test at 5 %."""
    least = (likelihood(best) if top is None else top) - chi2.ppf(0.95, 1) / 2
    start = best
    if np.isinf(best):  # come in from where it is still likely enough
        start = np.sign(best)
        while likelihood(start) < least:
            start *= 2

    def limit(step):
        if best == step * np.inf:
            return best
        while likelihood(start + step) > least:
            step *= 2
        return brentq(lambda value: likelihood(value) - least, start, start + step)

    return Estimate(best, limit(-1.0), limit(1.0))


def choose_threshold(labels, scores):
    """Choose a decision threshold; judge it on other images than these.

    Labels are (n,) of 0 and 1, both there; scores (n,) of class 1, 0..1.
    Returns float 0..1, half-way between a score and the next lower one: where sensitivity plus
    specificity is largest; of equals the highest.
    Raises ValueError where an argument is not as above.
    Source: Youden, Index for rating diagnostic tests, Cancer 3 (1950).
    """
    labels, _ = labels_and_groups(labels)
    scores = checked_scores(scores, labels)
    if labels.min() == labels.max():
        raise ValueError(
            f"expected images of both classes to choose a threshold on, got class {labels[0]} only"
        )
    fpr, tpr, thresholds = metrics.roc_curve(labels, scores, drop_intermediate=False)
    good = np.round(tpr - fpr, 12)  # as 2/3 - 0 and 1 - 1/3 are equals
    chosen = thresholds[1:][np.argmax(good[1:])]  # the first is infinite; of equals the highest
    below = scores[scores < chosen].max(initial=0)
    middle = (chosen + below) / 2
    return float(middle if middle > below else chosen)  # between neighbouring floats is nothing


def labels_and_groups(labels, groups=None):
    """Labels as int64 (n,), groups as (n,), one an image where None; ValueError if unfit."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or not len(labels) or not np.isin(labels, (0, 1)).all():
        raise ValueError(
            "labels: expected 0 or 1 for each image, got shape "
            f"{labels.shape} with values {pd.unique(labels.ravel())[:5].tolist()}"
        )
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    if groups.shape != labels.shape or pd.isna(groups).any():
        raise ValueError(
            f"groups: expected a group for each of the {len(labels)} images, got shape "
            f"{groups.shape} with {np.sum(pd.isna(groups))} missing values"
        )
    return labels.astype(np.int64), groups


def checked_scores(scores, labels):
    """Scores as float64 (n,); ValueError unless each of the labels has one of 0..1."""
    scores = np.asarray(scores, np.float64)
    if scores.shape != labels.shape or not np.all((scores >= 0) & (scores <= 1)):
        raise ValueError(
            f"scores: expected a number of 0..1 for each of the {len(labels)} images, got the "
            f"shape {scores.shape} with values such as {scores.ravel()[:5]}"
        )
    return scores
