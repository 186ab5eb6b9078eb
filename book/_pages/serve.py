"""Serve the book: ``serve.py PROFILE PORT``. What is edited is made again, the browser reloads."""

import os
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
        # Make knows what a change touches; a failure is on the terminal, the old pages stay. Not as
        # a part of the make that started this: its jobs are not handed on to here.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
        command = ["make", "--no-print-directory", "book", f"PROFILE={profile}"]
        subprocess.run(command, env=environment, check=False)

    server = Server()
    for pattern in WATCHED:
        server.watch(pattern, again)
    server.serve(port=int(port), host="localhost", root="book/_build/html")


if __name__ == "__main__":
    main()
