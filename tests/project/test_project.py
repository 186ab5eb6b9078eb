"""What holds the project together: one set of dependencies, clean notebooks, clear targets."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.project.make import make

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
PROFILES = sorted((ROOT / "notebooks/profiles").glob("*.yml"))


LOCKS = {"cpu": "requirements.lock", "gpu": "requirements-gpu.lock"}


def locked(kind="cpu"):
    """name → list of (version, marker or None) in a lock."""
    pins = {}
    for line in (ROOT / LOCKS[kind]).read_text().splitlines():
        if match := re.match(r"^([A-Za-z0-9_.\-]+)(?:\[.*\])?==([^ ;\\]+)(?: ; ([^\\]+))?", line):
            name, number, marker = match.groups()
            pins.setdefault(canonicalize_name(name), []).append((Version(number), marker))
    return pins


@pytest.mark.parametrize("kind", LOCKS)
def test_the_lock_satisfies_pyproject(kind):
    pins = locked(kind)
    extras = PROJECT["optional-dependencies"]
    wanted = PROJECT["dependencies"] + [
        r for extra in (kind, "dicom", "chapters", "book", "test", "lock") for r in extras[extra]
    ]
    for requirement in map(Requirement, wanted):
        if requirement.name == PROJECT["name"]:  # the extra "book" includes another
            continue
        versions = pins.get(canonicalize_name(requirement.name))
        assert versions, f"{requirement.name} is not in {LOCKS[kind]}; run `make lock`"
        for number, marker in versions:
            assert number in requirement.specifier, f"{requirement} but {number} ({marker})"


@pytest.mark.parametrize("name", LOCKS.values())
def test_every_pin_has_a_hash(name):
    text = (ROOT / name).read_text()
    pinned = [b for b in re.split(r"\n(?=\S)", text) if "==" in b.splitlines()[0]]
    assert len(pinned) > 100
    assert [b.splitlines()[0] for b in pinned if "--hash=sha256:" not in b] == []
    assert "://" not in text, "an index address in the lock"


def test_a_card_and_a_processor_have_the_same_versions():
    cpu, gpu = locked("cpu"), locked("gpu")
    both = cpu.keys() & gpu.keys()
    assert len(both) > 100 and "nvidia-cudnn-cu12" in gpu
    other = {n for n in both if {v for v, _ in cpu[n]} != {v for v, _ in gpu[n]}}
    assert not other and {v for v, _ in gpu["tensorflow"]} == {v for v, _ in cpu["tensorflow-cpu"]}


def test_a_package_has_one_version_for_all_pythons():
    """What a score is must not hang on which Python somebody has."""
    several = {name: found for name, found in locked().items() if len(found) > 1}
    assert several == {}, "see --fork-strategy in the Makefile"


def test_what_is_installed_is_what_is_locked():
    for name in ("keras", "numpy", "jupyter-book", "papermill", "pooch"):
        assert Version(version(name)) in [number for number, _ in locked()[name]]


def test_environment_yml_brings_a_python_that_is_promised():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python = next(d.split("=")[1] for d in environment["dependencies"] if d.startswith("python="))
    assert Version(python) in Requirement(f"python{PROJECT['requires-python']}").specifier


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_carry_no_outputs_but_checked_tables(path):
    """nbstripout would change nothing; cells it spares are those that nbval compares."""
    text = path.read_text()
    done = subprocess.run(
        [sys.executable, "-m", "nbstripout", "--keep-count", "--textconv", str(path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == text, f"strip it: nbstripout --keep-count {path.relative_to(ROOT)}"
    for cell in nbformat.reads(text, 4).cells:
        tags = set(cell.metadata.get("tags", []))
        assert ("keep_output" in tags) == ("nbval-check-output" in tags)
        if "nbval-check-output" in tags:
            assert cell.outputs, "a checked cell without the output to check against"
        for output in cell.get("outputs", []):
            data = output.get("data", {"text/plain": output.get("text", "")})
            assert not any(kind.startswith("image/") for kind in data)


def test_every_profile_key_is_a_parameter_of_a_chapter():
    import papermill

    declared = {}
    for path in NOTEBOOKS:
        if nbformat.read(path, 4).cells and "parameters" in path.read_text():
            declared |= {
                name: info["default"] for name, info in papermill.inspect_notebook(path).items()
            }
    for profile in PROFILES:
        settings = yaml.safe_load(profile.read_text())
        assert set(settings) == set(declared), profile.name
    defaults = yaml.safe_load((ROOT / "notebooks/profiles/phantom.yml").read_text())
    assert {name: repr(value) for name, value in defaults.items()} == {
        name: value.replace('"', "'") for name, value in declared.items()
    }, "the defaults in the notebooks are the phantom profile"


def test_citation_is_readable():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"] and citation["license"] == "MIT"


def test_make_help_has_a_line_for_each_target():
    done = make(ROOT, "help")
    listed = [line.split()[1] for line in done.stdout.splitlines() if line.strip()]
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M).group(1).split()
    assert sorted(listed) == sorted(set(phony) - {"FORCE"})


def test_rooms_import_only_what_lies_before_them():
    rooms = ["data", "models", "training", "evaluation"]
    for k, room in enumerate(rooms):
        for path in (ROOT / "xraylib" / room).rglob("*.py"):
            modules = re.findall(r"^ *from xraylib([.\w]*) import", path.read_text(), re.M)
            found = {module.split(".")[1] if module else "" for module in modules}
            assert found <= set(rooms[: k + 1]), path
        head = (ROOT / "xraylib" / room / "__init__.py").read_text()
        assert "Import" in head and len(head.splitlines()) <= 5


def test_nothing_large_is_tracked_but_measurements():
    """A wheel or a film that lay about is soon added with all the rest."""
    git = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if git.returncode:
        pytest.skip("no checkout of git")
    tracked = [ROOT / name for name in git.stdout.split("\0") if name]
    large = [
        p.relative_to(ROOT).as_posix() for p in tracked if p.is_file() and p.stat().st_size > 5e5
    ]
    assert sorted(large) == ["results/covid.npz", "results/xray75.npz"]
    packed = [p.name for p in tracked if p.suffix in (".whl", ".gz", ".zip", ".tar")]
    assert packed == []
