"""``make bench``: ours against the report's own way, side by side in one run.

``python -m benchmarks training`` runs one of them. Each row alternates the ways, takes the best of
several rounds, and ends in a ratio. Absolute numbers depend on the machine and on what else it
does; ratios travel better.
"""

import argparse
import importlib

NAMES = ("augmentation", "phantoms", "reduction", "training", "pages")


def main():
    """Run the benchmarks that are named, or all, and print their tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    names = parser.parse_args().names
    if unknown := set(names) - set(NAMES):
        parser.error(f"no benchmark is called {', '.join(unknown)}; known: {', '.join(NAMES)}")
    for name in names or NAMES:
        importlib.import_module(f"benchmarks.{name}").run()


if __name__ == "__main__":
    main()
