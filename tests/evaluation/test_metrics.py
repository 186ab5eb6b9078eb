"""Scores and their intervals against values that can be looked up, or worked out by hand."""

import re

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import binom, norm
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from xraylib.evaluation.metrics import (
    Estimate,
    calibration,
    choose_threshold,
    evaluate,
    proportion,
)


def test_exact_intervals():
    """Of all right the lower limit is 0.025 ** (1 / n); 59 of 65 from the beta distribution."""
    assert proportion(10, 10)[2:] == pytest.approx((0.025 ** (1 / 10), 1), abs=1e-9)
    assert str(proportion(10, 10)) == "10/10 = 1.00 (0.69–1.00)"
    assert proportion(0, 10)[2:] == pytest.approx((0, 1 - 0.025 ** (1 / 10)), abs=1e-9)
    assert proportion(59, 65)[2:] == pytest.approx((0.8098, 0.9654), abs=1e-3)


@pytest.mark.parametrize("k, n", [(11, 10), (-1, 10), (0, 0), (0.5, 10)])
def test_bad_counts_are_refused(k, n):
    with pytest.raises(ValueError, match="0 <= k <= n"):
        proportion(k, n)


def test_estimates_print_what_is_known():
    assert str(Estimate(0.912, 0.85, 0.961)) == "0.91 (0.85–0.96)"
    assert str(Estimate(0.02, -0.1, 0.14)) == "0.02 (-0.10 to 0.14)"
    assert str(Estimate(-0.001, -0.03, 0.03)) == "0.00 (-0.03 to 0.03)"
    assert str(Estimate(0.5, np.nan, np.nan)) == "0.50 (no interval)"
    assert str(Estimate(-0.001, np.nan, np.nan)) == "0.00 (no interval)"
    assert str(Estimate(np.nan, np.nan, np.nan)) == "not defined"


@pytest.fixture
def sample():
    """60 images with tied scores, 32 of class 1."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 60)
    return labels, np.clip(0.3 * labels + rng.normal(0.35, 0.25, 60), 0, 1).round(1)


def test_counts_at_the_threshold():
    """A score equal to the threshold is class 1."""
    labels, scores = [1, 1, 1, 1, 0, 0, 0], [0.9, 0.6, 0.5, 0.2, 0.5, 0.4, 0.0]
    result = evaluate(labels, scores, class_names=("chest", "abdomen"))
    assert result.confusion.tolist() == [[2, 1], [1, 3]]
    assert result.sensitivity == proportion(3, 4) and result.specificity == proportion(2, 3)
    assert result.accuracy == proportion(5, 7) and result.n == 7
    high = evaluate(labels, scores, threshold=0.6)
    assert high.sensitivity[:2] == (2, 4) and high.specificity[:2] == (3, 3)


def test_auc_is_scikit_learns_and_its_interval_that_of_drawing_images(sample):
    labels, scores = sample
    result = evaluate(labels, scores)
    assert result.auc.value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    rng, aucs = np.random.default_rng(9), []
    for _ in range(500):
        drawn = rng.integers(0, 60, 60)
        aucs.append(roc_auc_score(labels[drawn], scores[drawn]))
    assert result.auc[1:] == pytest.approx(np.quantile(aucs, (0.025, 0.975)), abs=0.02)
    assert evaluate(labels, scores).auc == result.auc
    assert evaluate(labels, scores, seed=1).auc[1:] != result.auc[1:]


def test_copies_of_an_image_add_nothing_when_patients_are_drawn(sample):
    labels, scores = sample
    once = evaluate(labels, scores)
    copies = np.repeat(labels, 4), np.repeat(scores, 4)
    patients = np.repeat([f"patient {i:02}" for i in range(60)], 4)
    grouped = evaluate(*copies, groups=patients)
    assert grouped.auc == pytest.approx(once.auc) and grouped.brier == pytest.approx(once.brier)
    alone = evaluate(*copies)
    for wide, narrow in ((grouped.auc, alone.auc), (grouped.brier, alone.brier)):
        assert wide.high - wide.low > 1.6 * (narrow.high - narrow.low)  # 2 for a normal estimate
    assert "independent" in str(grouped) and "independent" not in str(alone)


def test_nineteen_of_twenty_cluster_intervals_hold_the_truth():
    """Where images of a patient score alike, an interval from single images holds it too rarely."""
    truth = norm.cdf(1 / np.sqrt(2))  # two normal distributions, one standard deviation apart
    rng, held = np.random.default_rng(0), {"patients": 0, "images": 0}
    for seed in range(80):
        labels = np.repeat(np.arange(50) % 2, 3)
        scores = norm.cdf(labels + np.repeat(rng.normal(size=50), 3))
        groups = {"patients": np.repeat(np.arange(50), 3), "images": None}
        for name, group in groups.items():
            auc = evaluate(labels, scores, groups=group, draws=200, seed=seed).auc
            held[name] += auc.low <= truth <= auc.high
    assert 0.88 < held["patients"] / 80 < 0.99
    assert held["images"] / 80 < 0.82


def test_draws_of_one_class_are_left_out_and_counted():
    result = evaluate([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], groups=[1, 1, 2, 2])
    count = int(re.search(r"(\d+) of 2000 bootstrap draws held one class only", str(result))[1])
    assert 900 < count < 1100  # two patients: half of the draws take one of them twice
    assert result.auc.low == result.auc.high == 0.75
    assert "no sign of certainty" in str(result).replace("\n", " ")


def test_perfect_separation_is_not_sold_as_certainty():
    labels = np.arange(20) % 2
    result = evaluate(labels, 0.2 + 0.6 * labels)
    assert result.auc == (1, 1, 1)
    text = str(result).replace("\n", " ")
    assert "cannot see beyond" in text and "separate the classes perfectly" in text
    assert "no sign of certainty" in result._repr_html_()
    imperfect = evaluate(labels, np.where(np.arange(20) < 3, 0.5, 0.2 + 0.6 * labels))
    assert "certainty" not in str(imperfect)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_only(label):
    result = evaluate([label] * 4, [0.2, 0.4, 0.6, 0.8])
    assert result.accuracy == proportion(2, 4)
    assert np.isnan(result.auc).all() and f"every image is of class {label}" in str(result)
    known, unknown = result.specificity, result.sensitivity
    if label:
        known, unknown = unknown, known
    assert known == proportion(2, 4) and np.isnan(unknown).all()
    assert str(result).count("not defined") == 2 and "nan" not in str(result)
    assert not np.isnan(result.brier).any() and "nan" not in result._repr_html_().lower()


def test_a_single_patient_has_no_interval():
    result = evaluate([0, 1, 1], [0.2, 0.1, 0.9], groups=[7, 7, 7])
    assert result.auc.value == 0.5 and np.isnan(result.auc[1:]).all()
    assert "one group" in str(result) and "(no interval)" in str(result)


def test_brier_and_ece_by_hand():
    """Bins 0..0.5 and 0.5..1: mean scores 0.7/3 and 0.9, shares 1/3 and 1."""
    result = evaluate([0, 1, 0, 1], [0.1, 0.3, 0.3, 0.9], bins=2)
    assert result.brier.value == pytest.approx((0.01 + 0.49 + 0.09 + 0.01) / 4)
    assert result.ece == pytest.approx(0.75 * (1 / 3 - 0.7 / 3) + 0.25 * 0.1)
    assert result.reliability["n"].tolist() == [3, 1]
    assert evaluate([0, 1], [1.0, 0.0]).ece == evaluate([0, 1], [1.0, 0.0]).brier.value == 1


def test_reliability_is_scikit_learns_curve(sample):
    """Also for scores on the edges of bins, and at 0 and 1."""
    labels, scores = sample
    assert {0.0, 1.0} <= set(scores)
    table = evaluate(labels, scores).reliability
    share, mean_score = calibration_curve(labels, scores, n_bins=10)
    np.testing.assert_allclose(table["share"], share)
    np.testing.assert_allclose(table["mean_score"], mean_score)
    assert table["n"].sum() == 60


def test_a_calibrated_classifier_has_next_to_no_ece():
    rng = np.random.default_rng(0)
    scores = rng.random(50_000)
    labels = rng.random(50_000) < scores
    assert evaluate(labels, scores, draws=100).ece < 0.01
    assert evaluate(labels, scores**3, draws=100).ece == pytest.approx(1 / 4, abs=0.01)


def test_calibration_by_hand():
    """Two scores, shares 1/4 and 2/3 behind them: the line through two points."""
    labels, scores = [0, 0, 0, 1, 0, 1, 1], [0.3] * 4 + [0.6] * 3
    found = calibration(labels, scores)
    rise = (logit(2 / 3) - logit(1 / 4)) / (logit(0.6) - logit(0.3))
    assert found.slope.value == pytest.approx(rise)
    # With a slope of 1 as many are expected as there are.
    assert expit(found.intercept.value + logit(scores)).sum() == pytest.approx(3)


def test_calibration_agrees_with_another_logistic_regression(sample):
    labels, scores = sample
    scores = np.clip(scores, 0.02, 0.98)
    other = LogisticRegression(C=1e9, tol=1e-10).fit(logit(scores)[:, None], labels)
    assert calibration(labels, scores).slope.value == pytest.approx(other.coef_[0, 0], rel=1e-4)


def test_limits_of_the_intercept_are_those_of_a_likelihood_ratio():
    """Of one score the regression is a share: 7 of 20, by the binomial distribution."""
    found = calibration([1] * 7 + [0] * 13, [0.5] * 20)
    assert found.intercept.value == pytest.approx(logit(7 / 20))
    fall = binom.logpmf(7, 20, 7 / 20) - binom.logpmf(7, 20, expit(found.intercept[1:]))
    assert fall == pytest.approx(3.841459 / 2)  # the chi-square distribution's 95 %
    assert np.isnan(found.slope).all() and "slope not defined" in str(found)


def test_scores_that_are_too_bold_or_too_high_are_called_so():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.02, 0.98, 3000)
    labels = (rng.random(3000) < truth).astype(int)
    honest = calibration(labels, truth)
    assert honest.intercept.low < 0 < honest.intercept.high
    assert honest.slope.low < 1 < honest.slope.high
    bold = calibration(labels, expit(2 * logit(truth)))
    assert bold.slope == pytest.approx(np.array(honest.slope) / 2)
    high = calibration(labels, expit(logit(truth) + 0.7))
    assert high.intercept == pytest.approx(np.array(honest.intercept) - 0.7)
    assert high.slope == pytest.approx(honest.slope)


def test_nineteen_of_twenty_intervals_of_calibration_hold_the_truth():
    rng, held = np.random.default_rng(0), np.zeros(2)
    for _ in range(200):
        scores = expit(rng.normal(0, 1.5, 80))
        labels = (rng.random(80) < scores).astype(int)
        found = calibration(labels, scores)
        held += [each.low < true < each.high for each, true in zip(found, (0, 1), strict=True)]
    assert (0.9 < held / 200).all() and (held / 200 < 0.99).all()


def test_where_the_classes_are_separated_the_slope_has_one_limit():
    labels = np.repeat([0, 1], 20)
    found = calibration(labels, np.where(labels, 0.9, 0.1)).slope
    # The likelihood of 40 images at the limit, intercept 0: 1 / (1 + exp(-slope logit)) each.
    assert 40 * np.log(expit(found.low * logit(0.9))) == pytest.approx(-3.841459 / 2)
    assert found.value == found.high == np.inf and str(found) == f"∞ ({found.low:.2f}–∞)"
    back = calibration(1 - labels, np.where(labels, 0.9, 0.1)).slope
    assert back == pytest.approx((-np.inf, -np.inf, -found.low))
    tied = calibration([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.5, 0.5, 0.6, 0.9]).slope
    assert tied.value == np.inf and 0 < tied.low < 1
    sure = calibration([0, 1, 0, 1], [0.0, 1.0, 1.0, 0.0]).slope  # no logits, but a slope
    assert sure.value == pytest.approx(0, abs=1e-9) and sure.high == pytest.approx(-sure.low)


def test_calibration_of_one_class_is_not_known():
    assert np.isnan(calibration([1, 1], [0.2, 0.6])).all()
    with pytest.raises(ValueError, match="expected a number of 0..1"):
        calibration([0, 1], [0.2, 1.6])


def test_the_table_shows_everything():
    names = ("chest", "<abdomen>")
    result = evaluate([0, 1, 1, 0], [0.1, 0.9, 0.4, 0.6], class_names=names, threshold=0.45)
    text, page = str(result), result._repr_html_()
    for word in ("accuracy", "sensitivity", "specificity", "AUC", "Brier", "ECE", "2/4 = 0.50"):
        assert word in text and word in page
    assert "0.45" in text and "true <abdomen>" in text and max(map(len, text.splitlines())) < 100
    assert "&lt;abdomen&gt;" in page and "<abdomen>" not in page


@pytest.mark.parametrize(
    "labels, scores, settings, message",
    [
        ([], [], {}, "expected 0 or 1 for each image"),
        ([0, 2], [0.1, 0.2], {}, r"\[0, 2\]"),
        ([[0, 1]], [[0.1, 0.2]], {}, "expected 0 or 1 for each image"),
        ([0, 1], [0.1], {}, r"each of the 2 images, got the shape \(1,\)"),
        ([0, 1], [[0.1], [0.2]], {}, r"got the shape \(2, 1\)"),
        ([0, 1], [0.1, np.nan], {}, "nan"),
        ([0, 1], [0.1, 1.2], {}, "expected a number of 0..1"),
        ([0, 1], [0.1, 0.2], {"groups": [1]}, "a group for each of the 2 images"),
        ([0, 1], [0.1, 0.2], {"groups": [1, np.nan]}, "1 missing"),
        ([0, 1], [0.1, 0.2], {"threshold": np.nan}, "threshold=nan"),
        ([0, 1], [0.1, 0.2], {"draws": 5}, "draws=5"),
        ([0, 1], [0.1, 0.2], {"class_names": "abc"}, "two class names"),
    ],
)
def test_bad_input_is_named(labels, scores, settings, message):
    with pytest.raises(ValueError, match=message):
        evaluate(labels, scores, **settings)


def test_thresholds():
    labels, scores = [0, 0, 0, 1, 1, 1], [0.1, 0.3, 0.6, 0.5, 0.8, 0.9]
    # Above 0.6: 2 of 3 found, no false alarm. From 0.5: 3 of 3 found, 1 of 3 false alarms.
    assert choose_threshold(labels, scores) == pytest.approx(0.7)  # of equals the highest
    assert choose_threshold([0, 1], [0.2, 0.9]) == pytest.approx(0.55)


def test_thresholds_where_there_is_little_to_choose():
    for scores in ([0.9, 0.1], [0.5, 0.5], [0.0, 0.0], [1.0, 1.0], [1.0, 0.0]):
        chosen = choose_threshold([0, 1], scores)
        assert 0 <= chosen <= 1
        assert evaluate([0, 1], scores, threshold=chosen).sensitivity.k == 1
    close = np.nextafter(0.5, 1)
    assert choose_threshold([0, 1], [0.5, close]) == close  # no number in between
    with pytest.raises(ValueError, match="class 1 only"):
        choose_threshold([1, 1], [0.1, 0.2])
