"""Phantoms: how many a second. The report has no counterpart, so there is no ratio."""

from benchmarks.timing import images_per_second
from xraylib.data import phantoms


def run(n=20):
    """Stream n phantoms of the default mixture."""
    rates = images_per_second({"xraylib.data.phantoms.stream": lambda: list(phantoms.stream(n))}, n)
    print("\nPhantoms, sides of 160 to 512 pixels")
    for name, rate in rates.items():
        print(f"  {name:<40}{rate:8.1f} images/s")
