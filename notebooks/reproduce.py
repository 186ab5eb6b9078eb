"""Compare a second measurement: ``reproduce.py RUN MEASURED.json REPORT.json``.

RUN: a folder of chapters executed again, with other seeds and other rounding. How near a
number must come is said by its kind, see ``xraylib.ledger.record``; the exit status is 1 if
one does not.
"""

import argparse
import json
import math
import statistics
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
from collect import chapters, write
from scipy.stats import PermutationMethod, mannwhitneyu

LEVEL = 0.001  # two samples with a smaller p are of two distributions
OUTCOMES = ("agree", "differ", "not measured", "not compared")


def near(one, other, tolerance=0.0):
    """Whether two values of JSON are the same but for a tolerance of each number in them.

    Fractions are the same if nine digits are: libraries' versions differ in the last ones.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            near(one[k], other[k], tolerance) for k in one
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(
            near(*pair, tolerance) for pair in zip(one, other, strict=True)
        )
    if isinstance(one, int | float) and isinstance(other, int | float):
        whole = isinstance(one, int) and isinstance(other, int)
        both_unknown = math.isnan(one) and math.isnan(other)
        digits = 0.0 if whole else 1e-9
        return both_unknown or math.isclose(one, other, rel_tol=digits, abs_tol=tolerance)
    return one == other


def same_distribution(published, found):
    """Whether two lists of numbers, one a training, may be of one distribution.

    Args:
        published: the values of the first measurement.
        found: those of the second; against 30, a shift can be seen with 3 or more.

    Returns:
        (bool, p): whether p, of a two-sided Mann-Whitney test, is LEVEL or more and the
        found median lies within the published range. p counts all orders of the values if
        there are 10,000 or fewer, else 10,000 of them drawn at random.
    """
    method = PermutationMethod(n_resamples=10_000, rng=0)
    p = mannwhitneyu(published, found, method=method).pvalue
    within = min(published) <= statistics.median(found) <= max(published)
    return bool(within and p >= LEVEL), float(f"{p:.2g}")


def compare(published, found):
    """A record and the same one measured again.

    Args:
        published: as ``ledger.collect`` gives it.
        found: likewise, or None if it was not measured.

    Returns:
        (one of OUTCOMES, p or None).
    """
    kind = published["kind"]
    if found is None:
        return "not measured", None
    if kind != found["kind"]:
        return "differ", None
    if kind in ("timing", "setting"):
        return "not compared", None
    if kind == "spread":
        if len(found["values"]) < 2:  # one of six lies at an end by chance alone
            return "not compared", None
        alike, p = same_distribution(published["values"], found["values"])
        alike = alike and published.get("n") == found.get("n")
        return "agree" if alike else "differ", p
    if kind == "verdict":
        alike = published["value"]["holds"] == found["value"]["holds"]
    else:
        alike = near(published["value"], found["value"], published.get("tolerance", 0.0))
    return "agree" if alike else "differ", None


def shown(record, other):
    """A record in a table: its text, with its value or kind where the texts are alike."""
    if record["kind"] != other["kind"]:
        return f"{record['text']} ({record['kind']})"
    text, value = record["text"], json.dumps(record["value"], ensure_ascii=False)
    if text == other["text"]:
        text = value if len(value) <= 60 else value[:59] + "…"
    return text


def table(published, found):
    """Every published record beside its second measurement.

    Returns:
        (counts, differences): dict kind → dict of OUTCOMES → how many; and a list of dicts
        with the key, kind and texts of each that differs, and p if there was a test.
    """
    counts, differences = {}, []
    for key, record in published.items():
        again = found.get(key)
        outcome, p = compare(record, again)
        counts.setdefault(record["kind"], Counter())[outcome] += 1
        if outcome == "differ":
            row = {"key": key, "kind": record["kind"], "published": shown(record, again)}
            differences.append(row | {"found": shown(again, record), "p": p})
    counts = {kind: {o: counts[kind][o] for o in OUTCOMES} for kind in sorted(counts)}
    return counts, differences


def measured(path):
    """The first measurement; ValueError if there is none, or one that knows no kinds."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path}: expected measurements, but: {error}; run `make results`"
        ) from None
    without = [key for key, record in content["records"].items() if "kind" not in record]
    if without:
        raise ValueError(
            f"{path}: expected the kind of each number, but {len(without)} have none, such "
            f"as {without[0]}; it is of an earlier version: run `make results` first"
        )
    return content


def main():
    """Compare, print, write; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("measured", type=Path)
    parser.add_argument("report", type=Path)
    arguments = parser.parse_args()
    try:
        first = measured(arguments.measured)
        provenance, records = chapters(arguments.run)
    except ValueError as error:
        parser.error(str(error))
    if not records.keys() & first["records"].keys():
        parser.error(
            f"{arguments.run}: no number of {arguments.measured} was measured again"
        )
    counts, differences = table(first["records"], records)
    published = {key: first["provenance"][key] for key in ("profile", "date", "commit")}
    content = {"provenance": provenance, "published": published, "counts": counts}
    write(arguments.report, content | {"differences": differences})
    print(pd.DataFrame(counts).T.to_string())
    if new := records.keys() - first["records"].keys():
        print(f"not in {arguments.measured} yet: {len(new)} of {arguments.run}")
    if not differences:
        print(f"{arguments.measured}: measured again, and every number agrees")
        return 0
    print(pd.DataFrame(differences).astype(object).fillna("").to_string(index=False))
    names = ", ".join(row["key"] for row in differences)
    print(
        f"{arguments.measured}: {len(differences)} measured again differ: {names}",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
