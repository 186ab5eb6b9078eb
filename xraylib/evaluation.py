"""Scores with their k/n and interval."""

from typing import NamedTuple

from scipy.stats import binomtest


class Proportion(NamedTuple):
    """k of n with an exact interval; prints as "59/65 = 0.91 (0.81–0.97)"."""

    k: int
    n: int
    low: float
    high: float

    def __str__(self):
        return f"{self.k}/{self.n} = {self.k / self.n:.2f} ({self.low:.2f}–{self.high:.2f})"


def proportion(k, n, confidence=0.95):
    """k of n as a share with its exact (Clopper–Pearson) interval.

    Args:
        k: how many were right, 0..n.
        n: how many there were, 1 or more.
        confidence: of the two-sided interval, between 0 and 1.

    Returns:
        Proportion(k, n, low, high), the limits as shares 0..1.

    Raises:
        ValueError: k or n is no whole number in range.

    Source: Clopper and Pearson, Biometrika 26 (1934), as in ``scipy.stats.binomtest``. It assumes
    n independent draws: films of one patient are not, and then the true interval is wider.
    """
    if int(k) != k or int(n) != n or not 0 <= k <= n or n < 1:
        raise ValueError(f"expected whole numbers with 0 <= k <= n and n >= 1, got k={k}, n={n}")
    low, high = binomtest(int(k), int(n)).proportion_ci(confidence)
    return Proportion(int(k), int(n), float(low), float(high))
