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
    command.add_argument("model", metavar="MODEL", help="a .keras file from training.save")
    command.add_argument("images", metavar="IMAGE", nargs="+", help="an image file")
    command = commands.add_parser("fetch", help="download an image set and check it")
    command.add_argument("dataset", metavar="SET", help="its name: xray75 or covid")
    command = commands.add_parser("manifest", help="make a manifest and a profile of your images")
    command.add_argument("folder", metavar="FOLDER", help="one sub-folder for each of two classes")
    command.add_argument("--positive", metavar="NAME", help="which sub-folder is class 1")
    command.add_argument("--force", action="store_true", help="replace the manifest that is there")
    options = parser.parse_args(arguments)
    if options.command == "manifest":
        return _manifest(options.folder, options.positive, options.force)
    if options.command == "fetch":
        return _fetch(options.dataset)
    return _predict(options.model, options.images)


def _fetch(name):
    from xraylib import datasets

    try:
        print(datasets.fetch(name))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _manifest(folder, positive, force):
    from xraylib import manifest

    try:
        table, notes = manifest.write(folder, positive=positive, force=force)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(manifest.summary(table))
    for note in notes:
        print(f"note: {note}")
    print(f"wrote {folder}/manifest.csv and notebooks/profiles/own.yml; now: make book PROFILE=own")
    return 0


def _predict(model_path, image_paths):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from xraylib import images, training

    try:
        model, card = training.load(model_path)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"# {model_path}: trained on {card['trained_on']}; teaching material, no diagnosis")
    print(f"# score: 0 = {card['class_names'][0]}, 1 = {card['class_names'][1]}")
    failed = 0
    for path in image_paths:
        try:
            score = training.predict(model, [images.read(path)])[0]
        except (ValueError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            failed = 1
            continue
        print(f"{path}\t{score:.4f}\t{card['class_names'][int(score >= 0.5)]}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
