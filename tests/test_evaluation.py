"""Intervals against values that can be looked up."""

import pytest

from xraylib.evaluation import proportion


def test_ten_of_ten():
    """All of n right: the lower limit is 0.025 ** (1 / n), which a reader can check by hand."""
    result = proportion(10, 10)
    assert result.low == pytest.approx(0.025 ** (1 / 10), abs=1e-9)
    assert result.high == 1
    assert str(result) == "10/10 = 1.00 (0.69–1.00)"


def test_the_reports_headline():
    """0.9077 of 65 is 59, not 64; the exact interval from the beta distribution."""
    result = proportion(59, 65)
    assert (result.low, result.high) == pytest.approx((0.8098, 0.9654), abs=1e-3)


def test_none_of_n_mirrors_all_of_n():
    none, all_ = proportion(0, 7), proportion(7, 7)
    assert none.low == 0 and none.high == pytest.approx(1 - all_.low)


@pytest.mark.parametrize("k, n", [(11, 10), (-1, 10), (0, 0), (0.5, 10)])
def test_bad_counts_are_refused(k, n):
    with pytest.raises(ValueError, match="0 <= k <= n"):
        proportion(k, n)
