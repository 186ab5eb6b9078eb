"""Arrays filled batch by batch; on disk, where they do not fit into memory.

A file holds one array, as numpy writes it; its name says what it is known by. What was interrupted
goes on where it stopped. Nothing here imports another room.
"""

import contextlib
import json
import shutil
import sys
from pathlib import Path

import cv2
import joblib
import numpy as np
from filelock import FileLock
from tqdm import tqdm


class OnDisk:
    """An array in a file: rows are read when they are asked for, and not kept.

    To another process or machine it travels as the path of the file. ``np.asarray`` reads all.

    Attributes:
        path: pathlib.Path of the ``.npy`` file.
        shape, ndim, dtype: as of a numpy array.
    """

    def __init__(self, path, rows=None):
        self.path, self._rows = Path(path), rows
        whole = np.load(self.path, mmap_mode="r")
        n = len(whole) if rows is None else len(rows)
        self.shape, self.dtype, self.ndim = (n, *whole.shape[1:]), whole.dtype, whole.ndim

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, key):
        # Mapped anew each time: pages of a file that stays mapped fill the memory.
        whole = np.load(self.path, mmap_mode="r")
        first, *rest = key if isinstance(key, tuple) else (key,)
        rows = first if self._rows is None else self._rows[first]
        return np.array(whole[(rows, *rest)])

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)

    @property
    def known_by(self):
        """What tells it from others: its file's name says what was computed, and the rows."""
        return self.path.stem, self._rows

    def rows(self, which):
        """Some of its rows, by a bool for each or by positions, as another OnDisk."""
        rows = np.arange(len(self)) if self._rows is None else self._rows
        return OnDisk(self.path, rows[which])


def light(array):
    """An :class:`OnDisk` as it is, anything else as a numpy array."""
    return array if isinstance(array, OnDisk) else np.asarray(array)


def as_float32(array):
    """A numpy array as float32."""
    if array.dtype != np.float16:
        return array.astype(np.float32)
    # numpy converts halves one by one, OpenCV with the processor's instruction for it.
    wide = array.reshape(len(array), -1)
    return cv2.multiply(wide, 1.0, dtype=cv2.CV_32F).reshape(array.shape)


def rows(array, which):
    """Rows of an array, of a table, or of an :class:`OnDisk`, of which none is read."""
    return array.rows(which) if isinstance(array, OnDisk) else array[which]


def filled(folder, known_by, shape, dtype, compute, *, batch_size=64, what="images", progress=True):
    """An array, computed batch by batch; from a folder, where it is there already.

    For a folder, batches run one after the other, or as a surrounding ``joblib.parallel_config``
    says, such as on a Dask cluster whose workers share the disk: each writes its rows itself, so
    that no array travels.

    Args:
        folder: where arrays are kept; made if needed. Processes may share it. None: in memory.
        known_by: whatever the array depends on, to be hashed.
        shape: of the array, (n, ...).
        dtype: of its values.
        compute: function of a range of rows that gives these rows; for other machines one that can
            be pickled.
        batch_size: rows at a time; an interruption loses no more.
        what: a word for the bar.
        progress: show a bar on stderr, and the size of the file if it is 1 GB or more.

    Returns:
        OnDisk; in memory a numpy array.

    Raises:
        OSError: the disk has not enough room; says how much is needed.
    """
    n = shape[0]
    batches = [range(n)[start : start + batch_size] for start in range(0, n, batch_size)]
    bar = {"total": n, "desc": what, "unit": "image", "leave": False}
    if folder is None:
        array = np.empty(shape, dtype)
        with tqdm(**bar, disable=not progress) as shown:
            for batch in batches:
                array[batch.start : batch.stop] = compute(batch)
                shown.update(len(batch))
        return array
    folder, key = Path(folder).absolute(), joblib.hash((known_by, shape, np.dtype(dtype).str))
    path, partial, noted = (folder / f"{key}{end}" for end in (".npy", ".partial.npy", ".json"))
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{key}.lock"):
        if path.exists():
            return OnDisk(path)
        done = set()
        with contextlib.suppress(OSError, ValueError, TypeError):
            size, starts = json.loads(noted.read_text())
            # Other batches would not fill what is between these.
            done = set(starts) if partial.exists() and size == batch_size else done
        if not done:
            _make_room(partial, dtype, shape, progress)
        todo = [batch for batch in batches if batch.start not in done]
        jobs = (joblib.delayed(_write)(partial, compute, batch) for batch in todo)
        finished = joblib.Parallel(batch_size=1, return_as="generator_unordered")(jobs)
        bar |= {"initial": n - sum(map(len, todo)), "disable": None if progress else True}
        with tqdm(**bar) as shown:
            for batch in finished:
                done.add(batch.start)
                noted.write_text(json.dumps([batch_size, sorted(done)]))
                shown.update(len(batch))
        partial.replace(path)
        noted.unlink(missing_ok=True)
    return OnDisk(path)


def _write(partial, compute, batch):
    values = compute(batch)
    rows = np.load(partial, mmap_mode="r+")
    rows[batch.start : batch.stop] = values
    rows.flush()
    return batch


def _make_room(partial, dtype, shape, progress):
    """An empty file of full size, if the disk has room for it."""
    needed = int(np.prod(shape)) * np.dtype(dtype).itemsize
    free = shutil.disk_usage(partial.parent).free
    if needed > free:
        raise OSError(
            f"{partial.parent}: expected room for {needed / 1e9:.1f} GB, found {free / 1e9:.1f}: "
            "make room, or take fewer images, a smaller size or fewer draws"
        )
    if progress and needed >= 1e9:
        print(f"{partial.parent}: {needed / 1e9:.1f} GB for {shape[0]:,} rows", file=sys.stderr)
    np.lib.format.open_memmap(partial, "w+", dtype, shape).flush()
