"""``make bench``: ours against the report's own way, side by side in one run.

Each row alternates the ways, takes the best of several rounds, and prints a ratio. Absolute numbers
depend on the machine and on what else it does; ratios travel better.
"""

from benchmarks import augmentation, pages, phantoms, reduction


def main():
    """Run every benchmark and print its table."""
    for benchmark in (augmentation, phantoms, reduction, pages):
        benchmark.run()


if __name__ == "__main__":
    main()
