"""What runs elsewhere: the workflows on GitHub, and the environment on Binder."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from tests.project.test_project import PROJECT

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
POST_BUILD = ROOT / ".binder/postBuild"
SCHEMAS = {
    "vendor.github-workflows": WORKFLOWS,
    "custom.github-workflows-require-timeout": WORKFLOWS,
    "vendor.dependabot": [ROOT / ".github/dependabot.yml"],
    "vendor.citation-file-format": [ROOT / "CITATION.cff"],
}
PYTHONS = [f"3.{n}" for n in range(50) if f"3.{n}" in SpecifierSet(PROJECT["requires-python"])]


def jobs(path):
    """(name, job) of each job of a workflow."""
    return yaml.safe_load(path.read_text())["jobs"].items()


def steps(path):
    return [step for _, job in jobs(path) for step in job["steps"]]


def makes(script):
    """The arguments of each call of make in a shell script, options left out."""
    for call in re.findall(r"^\s*(?:\w+=\S*\s+)*make[ \t]([^|;&>\n]*)", script, re.M):
        yield [word for word in shlex.split(call) if not re.match(r"-|\d$", word)]


SCRIPTS = [
    pytest.param(step["run"], id=f"{path.stem}: {step['run'].splitlines()[0]}")
    for path in WORKFLOWS
    for step in steps(path)
    if list(makes(step.get("run", "")))
] + [pytest.param(POST_BUILD.read_text(), id="postBuild")]


@pytest.mark.parametrize("script", SCRIPTS)
def test_make_knows_what_is_asked_of_it(script):
    rules = re.findall(r"^([^\s:=#]+):(?!=)", (ROOT / "Makefile").read_text(), re.M)
    rules = [rule.replace("$(VENV)", ".venv") for rule in rules]
    for words in makes(script):
        targets = [word for word in words if "=" not in word]
        assert targets and set(targets) <= set(rules), f"no such target: make {' '.join(words)}"
        for profile in [word.split("=")[1] for word in words if "=" in word]:
            assert (ROOT / f"notebooks/profiles/{profile}.yml").exists(), f"no profile {profile}"


def test_every_supported_python_is_tested():
    matrices = {
        path.name: job["strategy"]["matrix"]["python"]
        for path in WORKFLOWS
        for _, job in jobs(path)
        if "strategy" in job
    }
    assert {"tests.yml", "lock.yml"} <= set(matrices)
    for name, matrix in matrices.items():
        assert matrix == PYTHONS, f"{name}, but requires-python is {PROJECT['requires-python']}"
    classified = [
        c.split(" :: ")[-1] for c in PROJECT.get("classifiers", []) if ":: Python :: 3." in c
    ]
    assert classified in ([], PYTHONS)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_a_python_set_up_is_a_supported_one(path):
    for step in steps(path):
        if step.get("uses", "").startswith("actions/setup-python@"):
            version = step["with"]["python-version"]
            assert version in [*PYTHONS, "${{ matrix.python }}"]


def test_binder_sets_up_a_supported_python():
    """repo2docker takes the whole file for the version: a comment in it would break the build."""
    runtime = (ROOT / ".binder/runtime.txt").read_text().strip()
    assert runtime in [f"python-{version}" for version in PYTHONS]


def test_binders_kernel_is_the_one_that_chapters_ask_for():
    name = re.search(r"--name (\S+)", POST_BUILD.read_text()).group(1)
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        assert yaml.safe_load(path.read_text())["metadata"]["kernelspec"]["name"] == name


def test_shell_scripts_parse():
    scripts = [POST_BUILD.read_text()]
    scripts += [step["run"] for path in WORKFLOWS for step in steps(path) if "run" in step]
    for script in scripts:
        assert "${{" not in script, "text from outside belongs into env, not into a script"
        done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr + script


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_who_may_write_runs_nothing_of_the_project(path):
    """Neither a change under test nor a new version of a package gets a token that can write."""
    workflow = yaml.safe_load(path.read_text())
    assert set(workflow["permissions"].values()) <= {"read"}
    for name, job in jobs(path):
        if "write" in job.get("permissions", {}).values():
            for step in job["steps"]:
                assert not list(makes(step.get("run", ""))), name
                assert ".venv" not in step.get("run", "") and "pip" not in step.get("run", "")
        else:
            checkouts = [
                s for s in job["steps"] if s.get("uses", "").startswith("actions/checkout")
            ]
            assert [s["with"]["persist-credentials"] for s in checkouts] == [False]


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.skipif(
    importlib.util.find_spec("check_jsonschema") is None,
    reason="check-jsonschema is not installed; it comes with the extra `test`",
)
def test_files_are_what_their_readers_expect(schema):
    """By the schemas that come with check-jsonschema; nothing is downloaded."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    done = subprocess.run([*command, *SCHEMAS[schema]], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
