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
    command = commands.add_parser("manifest", help="make a manifest and a profile of your images")
    command.add_argument("folder", metavar="FOLDER", help="one sub-folder for each of two classes")
    command.add_argument("--positive", metavar="NAME", help="which sub-folder is class 1")
    command.add_argument("--force", action="store_true", help="replace the manifest that is there")
    command.set_defaults(run=_manifest)
    options = parser.parse_args(arguments)
    # A file whose name is not UTF-8 has a line all the same.
    sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
    sys.stderr.reconfigure(errors="backslashreplace")
    try:
        return options.run(options)
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
    return 0


def _manifest(options):
    from xraylib.data import own_images

    table, notes = own_images.write(options.folder, positive=options.positive, force=options.force)
    print(own_images.summary(table))
    for note in notes:
        print(f"note: {note}")
    print(
        f"wrote {options.folder}/manifest.csv and notebooks/profiles/own.yml; "
        "now: make book PROFILE=own"
    )
    return 0


def _predict(options):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from xraylib.data import datasets, images
    from xraylib.training import fitting, saving

    model, card = saving.load(options.model)
    names, size = card["class_names"], model.input_shape[1]
    print(f"# {options.model}: trained on {card['trained_on']}; teaching material, no diagnosis")
    print(f"# score: 0 = {names[0]}, 1 = {names[1]}")
    failed = 0
    for path in options.images:
        try:
            square = datasets.resize(
                [images.read(path)], size, card["interpolation"], card["keep_aspect"]
            )
            score = fitting.predict(model, square)[0]
        except (ValueError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            failed = 1
            continue
        print(f"{path}\t{score:.4f}\t{names[int(score >= 0.5)]}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
