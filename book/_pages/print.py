"""Print a page with Chromium: ``print.py CHROMIUM PAGE.html BOOK.pdf``."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main():
    """Print when the mathematics has been set; the file appears whole or not at all."""
    chromium, page, pdf = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    made = pdf.with_suffix(".partial")
    with tempfile.TemporaryDirectory() as folder:
        options = [
            "--headless", "--disable-gpu", "--no-pdf-header-footer",
            "--generate-pdf-document-outline", f"--user-data-dir={folder}",
            "--disable-background-networking", "--run-all-compositor-stages-before-draw",
            "--virtual-time-budget=120000", f"--print-to-pdf={made.resolve()}",
        ]  # fmt: skip
        if os.geteuid() == 0:  # Chromium's sandbox refuses to work for root
            options.append("--no-sandbox")
        done = subprocess.run(
            [chromium, *options, page.resolve().as_uri()], capture_output=True, text=True
        )
    if done.returncode or not made.exists():
        print(f"{chromium}: printed nothing\n{done.stderr}", file=sys.stderr)
        return 1
    made.replace(pdf)
    print(pdf)
    return 0


if __name__ == "__main__":
    sys.exit(main())
