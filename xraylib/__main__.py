"""Command line: ``python -m xraylib``, then predict, fetch or manifest; see its ``--help``."""

import argparse
import os
import sys


def main(arguments=None):
    """Run a command; return the exit code: 0 all well, 1 something could not be done."""
    parser = argparse.ArgumentParser(
        prog="python -m xraylib", description="Teaching material, no diagnostic device."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("predict", help="score images with a saved model")
    command.add_argument("model", metavar="MODEL", help="a .keras file from saving.save")
    command.add_argument("images", metavar="IMAGE", nargs="+", help="an image file")
    command.set_defaults(run=_predict)
    command = commands.add_parser("fetch", help="download an image set and check it")
    command.add_argument("dataset", metavar="SET", help="its name: xray75 or covid")
    command.set_defaults(run=_fetch)
    command = commands.add_parser("manifest", help="make a manifest and a profile of your images",
                                  argument_default=argparse.SUPPRESS)  # fmt: skip
    command.add_argument("path", metavar="PATH", help="a folder of images, or an .npz file")
    command.add_argument("--positive", metavar="NAME", help="the label that is class 1")
    command.add_argument("--negative", metavar="NAME", help="the label that is class 0; of the two "
                         "the one that is not given stands for all others")  # fmt: skip
    command.add_argument("--person", metavar="REGEX", help="what in a file's path names a person; "
                         "with --table, the column of people")  # fmt: skip
    command.add_argument("--table", metavar="FILE.csv", help="labels, a line an image or a folder")
    command.add_argument("--file", metavar="COLUMN", help="the table's column of file names")
    command.add_argument("--label", metavar="REGEX", help="what in a file's path is its label; "
                         "with --table, the column of labels")  # fmt: skip
    command.add_argument("--force", action="store_true", help="replace the manifest that is there")
    command.set_defaults(run=_manifest)
    command = commands.add_parser("audit", help="say what a set of images is worth")
    command.add_argument("manifest", metavar="MANIFEST", help="its path, or xray75 or covid")
    command.add_argument("--folder", help="where to write; else beside the manifest")
    command.add_argument("--quick", action="store_true", help="without features of a backbone")
    command.set_defaults(run=_audit)
    options = parser.parse_args(arguments)
    # A file whose name is not UTF-8 has a line all the same.
    sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
    sys.stderr.reconfigure(errors="backslashreplace")
    try:
        return options.run(options) or 0
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever reads, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _fetch(options):
    from xraylib.data import download

    print(download.fetch(options.dataset))


def _manifest(options):
    from xraylib.data import own_images

    given = {key: value for key, value in vars(options).items() if key not in ("command", "run")}
    of_table = ("file", "person", "label") if "table" in given or "file" in given else ()
    columns = {key: given.pop(key) for key in of_table if key in given}
    manifest, table, notes = own_images.write(given.pop("path"), columns=columns, **given)
    print(own_images.summary(table))
    for note in notes:
        print(f"note: {note}")
    print(f"wrote {manifest} and notebooks/profiles/own.yml; now: make book PROFILE=own")


def _audit(options):
    if not options.quick:
        _load_keras()
    from xraylib.data.manifest import DATA
    from xraylib.evaluation import audit

    page, found = audit.write(
        options.manifest, folder=options.folder, backbone=not options.quick,
        store=DATA.parent / ".run" / "arrays",
    )  # fmt: skip
    print(audit.summary(found))
    print(f"wrote {page} and audit.json beside it")


def _load_keras():
    """Without what TensorFlow prints, on some processors, before it can be told not to."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import keras  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _predict(options):
    _load_keras()
    from xraylib.data import datasets, images
    from xraylib.training import fitting, saving

    model, card = saving.load(options.model)
    names, size = card["class_names"], model.input_shape[1]
    print(f"# {options.model}: trained on {card['trained_on']}; teaching material, no diagnosis")
    print(f"# score: 0 = {names[0]}, 1 = {names[1]}")
    failed = 0
    for path in options.images:
        try:
            film = images.read(path)
            square = datasets.resize([film], size, card["interpolation"], card["keep_aspect"])
            score = fitting.predict(model, square)[0]
        except (ValueError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            failed = 1
            continue
        if why := images.doubt(film):
            print(f"note: {path}: {why}; its score says little", file=sys.stderr)
        print(f"{path}\t{score:.4f}\t{names[int(score >= 0.5)]}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
