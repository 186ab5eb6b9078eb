"""Serve the book: ``serve.py PROFILE PORT``. What is edited is made again, the browser reloads."""

import subprocess
import sys

from livereload import Server

WATCHED = ("notebooks/*.ipynb", "notebooks/profiles/*.yml", "xraylib", "book/*.md", "book/*.bib",
           "book/_ext/*.py", "book/_pages/*.py", "book/_static/*", "_config.yml",
           "README.md")  # fmt: skip


def main():
    """Until interrupted."""
    profile, port = sys.argv[1:]

    def again():
        # Make knows what a change touches; a failure is on the terminal, the old pages stay.
        subprocess.run(["make", "--no-print-directory", "book", f"PROFILE={profile}"], check=False)

    server = Server()
    for pattern in WATCHED:
        server.watch(pattern, again)
    server.serve(port=int(port), host="localhost", root="book/_build/html")


if __name__ == "__main__":
    main()
