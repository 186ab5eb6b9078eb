"""What a reader needs to judge and repeat a run: when, which commit, with what, on what."""

import datetime
import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# TensorFlow's slim build goes by a name of its own; one of the two is there.
PACKAGES = ("numpy", "scikit-learn", "keras", "tensorflow", "tensorflow-cpu", "pillow",
            "opencv-python-headless")  # fmt: skip
# With another number of threads, or without oneDNN, the last digits of a sum are others.
ROUNDING = ("TF_ENABLE_ONEDNN_OPTS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
            "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # fmt: skip


def provenance():
    """As a dict of text, numbers, and for packages name → version.

    "graphics" lists the machine's NVIDIA cards, [] if there are none or no driver;
    "rounding" has what is set of ROUNDING, {} where libraries choose themselves.
    """
    commit = _said("git", "rev-parse", "--short", "HEAD") or "unknown"
    # The results themselves may have changed: they are what is being written.
    if _said("git", "status", "--porcelain", "--", ".", ":!results"):
        commit += " with changes"
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    cards = _said("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit,
        "python": platform.python_version(),
        "packages": dict(_versions()),
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "graphics": cards.splitlines(),
        "system": f"{platform.system()} {platform.machine()}",
        "rounding": {name: os.environ[name] for name in ROUNDING if name in os.environ},
    }


def _said(*command):
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _versions():
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
