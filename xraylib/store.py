"""Finished folds of a cross-validation on disk, under a key of all that their scores depend on."""

import dis
import hashlib
import os
import pickle
import sys
import sysconfig
import types
import warnings
from importlib import metadata
from pathlib import Path

import numpy as np
from joblib.hashing import NumpyHasher

_HOUSE = Path(__file__).resolve().parent
# Read when this is imported: what is edited afterwards is not what this process runs.
_SOURCES = {
    path.relative_to(_HOUSE).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
    for path in _HOUSE.rglob("*.py")
}
# What the scores of a model can depend on and a version stands for; those that are installed.
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "keras", "tensorflow", "tensorflow-cpu")


def write(path, scores):
    """Keep the scores of a finished fold, whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            np.savez(file, name=path.name, scores=scores)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read(path, n):
    """The scores of a finished fold.

    Args:
        path: of the file; it holds its own name, so that a copy under another name is noticed.
        n: how many scores there must be.

    Returns:
        float64 (n,), 0..1; None where there is no file, or, with a warning, one that is damaged or
        belongs to another fold.
    """
    if not path.exists():
        return None
    try:
        with np.load(path) as kept:  # checks each member's CRC-32
            name, scores = str(kept["name"]), kept["scores"]
    except Exception as error:  # whatever unpacking a damaged file raises
        found = f"a damaged file ({type(error).__name__})"
    else:
        if name == path.name and scores.dtype == np.float64 and are_scores(scores, n):
            return scores
        found = f"what was kept as {name}"
    warnings.warn(f"{path}: found {found}; this fold is computed again", stacklevel=3)
    return None


def are_scores(scores, n):
    """Whether these are n numbers of 0..1; NaN is none."""
    return scores.shape == (n,) and bool(np.all((scores >= 0) & (scores <= 1)))


def key(model, *data):
    """What tells a computation from all others, the same in every process.

    Args:
        model: scikit-learn estimator, function, or object of a class; functions and classes of
            your own are known by their code and the values and functions it uses, your own modules
            by their file, what is installed by name.
        data: arrays, or whatever can be pickled.

    Returns:
        str, 40 hexadecimal digits, a hash of model, data, the sources of xraylib, and the versions
        of the libraries that compute. Files that the model reads are not part of it.

    Raises:
        ValueError: the model holds something that cannot be compared.
    """
    installed = {name: _version(name) for name in _LIBRARIES}
    try:
        return _Hasher("sha1", coerce_mmap=True).hash((model, data, _SOURCES, installed))
    except Exception as error:  # whatever an object's own way of pickling raises
        raise ValueError(
            f"store: cannot tell {model!r} from other models ({type(error).__name__}: {error}); "
            "leave out store, or write the model as a function that uses numbers, text, arrays and "
            "functions only"
        ) from error


def _version(library):
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


class _Hasher(NumpyHasher):
    """joblib's hash, but of what functions and classes do where joblib's is of their names."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self._seen = set()

    def save(self, obj):
        if isinstance(obj, (types.FunctionType, type)) and not _installed(obj.__module__):
            if id(obj) in self._seen:  # a function that calls itself
                obj = obj.__qualname__
            else:
                self._seen.add(id(obj))
                obj = _function(obj) if isinstance(obj, types.FunctionType) else _class(obj)
        elif isinstance(obj, types.CodeType):
            # Without the name of its file: a notebook's is another in each process.
            parts = ("co_code", "co_consts", "co_names", "co_varnames", "co_exceptiontable")
            obj = [getattr(obj, part, None) for part in parts]
        elif isinstance(obj, types.ModuleType):
            known = _installed(obj.__name__)
            obj = obj.__name__, None if known else Path(obj.__file__).read_bytes()
        elif isinstance(obj, frozenset):
            obj = set(obj)  # joblib sorts these alone
        super().save(obj)

    def save_global(self, obj, name=None):
        """What is left to be known by name must be installed."""
        if not _installed(pickle.whichmodule(obj, name)):
            raise pickle.PicklingError(f"the code of {obj!r} cannot be seen")
        super().save_global(obj, name)


def _function(function):
    used = {
        name: function.__globals__[name]
        for name in _global_names(function.__code__)
        if name in function.__globals__
    }
    closure = [cell.cell_contents for cell in function.__closure__ or ()]
    settings = function.__defaults__, function.__kwdefaults__
    return function.__qualname__, function.__code__, settings, closure, used


def _global_names(code):
    names = {
        step.argval
        for step in dis.get_instructions(code)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return names.union(*map(_global_names, inner))


def _class(cls):
    plain = (types.FunctionType, type, int, float, str, bytes, tuple, list, dict, set, np.ndarray)
    members = {}
    for name, member in vars(cls).items():
        member = getattr(member, "fget", getattr(member, "__func__", member))
        private = name.startswith("__") and not isinstance(member, types.FunctionType)
        if isinstance(member, plain) and not private:
            members[name] = member
    return cls.__qualname__, cls.__bases__, members


def _installed(module):
    """Whether a module is a library's or xraylib's, known by versions or sources in the key."""
    if module is None or module == "__main__" or module not in sys.modules:
        return False
    file = getattr(sys.modules[module], "__file__", None)
    if file is None:
        return True  # built into Python
    file = Path(file).resolve()
    libraries = {"site-packages", "dist-packages"} & set(file.parts)
    python = Path(sysconfig.get_path("stdlib")).resolve()
    return bool(libraries) or file.is_relative_to(python) or file.is_relative_to(_HOUSE)
