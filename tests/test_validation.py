"""Cross-validation with real processes that are interrupted and killed; comparisons by hand."""

import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import joblib
import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from xraylib import store
from xraylib.validation import CrossValidation, compare, compare_once, cross_validate


def difference_of_means(train, labels, test, seed):
    """A light model: the projection on the difference of the class means; the seed tilts it."""
    train, test = np.stack(train).astype(float), np.stack(test).astype(float)
    axis = train[labels == 1].mean(0) - train[labels == 0].mean(0) + 1e-3 * seed
    return 1 / (1 + np.exp(-np.tensordot(test - train.mean(0), axis, axis.ndim) / axis.size / 99))


@pytest.fixture
def data():
    """48 images of 16 patients, three each; images, labels, groups."""
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(16), 3))
    labels = groups % 2
    images = rng.normal(120 + 8 * labels[:, None, None], 30, (48, 6, 6)).clip(0, 255)
    return images.astype("uint8"), labels, groups


def quiet(model, data, n_jobs=1, **settings):
    """Without a bar, and in this process where a test is not about several."""
    with joblib.parallel_config(n_jobs=n_jobs):
        return cross_validate(model, *data, progress=False, **settings)


def test_every_image_is_scored_once_a_seed_by_a_model_that_has_not_seen_its_patient(data):
    images, labels, groups = data
    seen = []

    def spy(train, train_labels, test, seed):
        number = {image.tobytes(): i for i, image in enumerate(images)}
        inside, outside = ([number[image.tobytes()] for image in part] for part in (train, test))
        np.testing.assert_array_equal(train_labels, labels[inside])
        seen.append((seed, inside, outside))
        return np.array(outside) / 48

    result = quiet(spy, data, seeds=3, folds=4)
    assert sorted(seed for seed, _, _ in seen) == [0] * 4 + [1] * 4 + [2] * 4
    for _, inside, outside in seen:
        assert not set(groups[inside]) & set(groups[outside])
        assert len(inside) + len(outside) == 48
        assert 0.3 < labels[outside].mean() < 0.7  # classes as even as the patients permit
    np.testing.assert_array_equal(result.scores, np.tile(np.arange(48) / 48, (3, 1)))
    assert result.fold.shape == (3, 48) and set(result.fold.ravel()) == {0, 1, 2, 3}
    assert all((result.fold[a] != result.fold[b]).any() for a, b in ((0, 1), (1, 2), (0, 2)))


def test_right_answers_are_counted_a_seed_and_a_fold():
    """0.5 is class 1; folds of two and three images."""
    labels = np.array([0, 0, 1, 1, 1])
    scores = np.array([[0.1, 0.5, 0.5, 0.9, 0.2], [0.1, 0.2, 0.9, 0.9, 0.9]])
    fold = np.array([[0, 1, 0, 1, 1], [1, 1, 1, 0, 0]])
    result = CrossValidation(labels, scores, fold)
    assert result.correct.tolist() == [3, 5]
    np.testing.assert_allclose(result.accuracies, [[1, 1 / 3], [1, 1]])


def test_same_seeds_same_numbers_and_more_seeds_only_add(data):
    tree = make_pipeline(StandardScaler(), DecisionTreeClassifier(max_features=2))
    first, second = (quiet(tree, data, seeds=seeds, folds=4) for seeds in (2, 3))
    np.testing.assert_array_equal(first.scores, second.scores[:2])
    assert (first.scores[0] != first.scores[1]).any()
    images, labels, groups = data
    listed = quiet(tree, (list(images), list(labels), [f"p{g}" for g in groups]), seeds=1, folds=4)
    assert listed.scores.shape == (1, 48)


def test_without_groups_each_image_stands_for_itself(data):
    images, labels, _ = data
    given = quiet(GaussianNB(), (images, labels, np.arange(48)), seeds=1)
    none = quiet(GaussianNB(), (images, labels, None), seeds=1)
    np.testing.assert_array_equal(given.scores, none.scores)


def test_a_classifier_without_probabilities_decides_the_same(data):
    images, labels, _ = data
    result = quiet(RidgeClassifier(), data, seeds=1, folds=4)
    for k in range(4):
        test = result.fold[0] == k
        rows = images.reshape(48, -1)
        called = RidgeClassifier().fit(rows[~test], labels[~test]).predict(rows[test])
        np.testing.assert_array_equal(result.scores[0, test] >= 0.5, called)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"labels": np.zeros(47)}, "expected a label an image"),
        ({"labels": np.arange(48)}, "expected 0 or 1"),
        ({"groups": np.arange(47)}, "a group for each of the 48"),
        ({"seeds": 0}, "seeds=0"),
        ({"folds": 1}, "folds=1"),
        ({"folds": 99}, "number of"),
        ({"model": GaussianNB}, "expected a scikit-learn classifier or a function"),
        ({"model": StandardScaler()}, "expected a scikit-learn classifier or a function"),
        ({"model": 3}, "got 3"),
        ({"labels": np.ones(48)}, "only class 1 to train on"),
    ],
)
def test_bad_input_is_named_before_any_work(data, change, message):
    arguments = {"model": difference_of_means, "progress": False}
    arguments |= dict(zip(("images", "labels", "groups"), data, strict=True)) | change
    if "labels" in change and len(change["labels"]) != 48:
        arguments["groups"] = None
    with pytest.raises(ValueError, match=message):
        cross_validate(**arguments)


def test_one_class_to_test_on_is_right_and_one_class_to_train_on_is_not():
    images, labels = np.arange(12.0).reshape(12, 1), np.array([0, 1] * 6)
    apart = np.array([0, 1] * 6) + 2 * (np.arange(12) // 6)  # four patients of one class each
    result = quiet(GaussianNB(), (images, labels, apart), seeds=1, folds=4)
    assert len(set(labels[result.fold[0] == 0])) == 1 and np.isfinite(result.scores).all()
    one = np.where(labels == 1, 1, np.arange(12) + 2)  # a single patient has all of class 1
    message = "only class 0 to train on; 6 groups have images of class 0 and 1 of class 1.*fewer"
    with pytest.raises(ValueError, match=message):
        quiet(GaussianNB(), (images, labels, one), folds=3)


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_a_fold_without_images_is_refused():
    """scikit-learn may leave one empty where there are as many folds as patients."""
    groups = np.repeat(np.arange(7), [1, 4, 2, 5, 3, 1, 1])
    labels = np.array([0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0])
    with pytest.raises(ValueError, match="nothing to test on; 4 groups .* take fewer folds"):
        quiet(GaussianNB(), (np.arange(17.0), labels, groups), folds=7, seeds=20)


@pytest.mark.parametrize(
    "scores, found",
    [
        (lambda m: np.zeros((m, 1)), r"shape \(12, 1\)"),
        (lambda m: np.zeros(m - 1), r"shape \(11,\)"),
        (lambda m: np.full(m, np.nan), "nan"),
        (lambda m: np.full(m, 1.5), "1.5"),
    ],
)
def test_what_are_no_scores_is_refused(data, scores, found):
    with pytest.raises(RuntimeError, match=f"seed 0, fold 0: .*a score of 0..1.*{found}"):
        quiet(lambda train, labels, test, seed: scores(len(test)), data, folds=4)


def test_runs_on_all_cores_or_as_the_surroundings_say(data, tmp_path):
    def signed(train, labels, test, seed):
        (tmp_path / str(os.getpid())).touch()
        return difference_of_means(train, labels, test, seed)

    one = quiet(signed, data, seeds=1, folds=4)
    assert [int(path.name) for path in tmp_path.iterdir()] == [os.getpid()]
    several = cross_validate(signed, *data, seeds=1, folds=4, progress=False)
    np.testing.assert_array_equal(one.scores, several.scores)
    if joblib.cpu_count() > 1:
        assert len(list(tmp_path.iterdir())) > 1


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_failure_names_its_fold_and_leaves_the_finished_ones_in_the_store(data, tmp_path, n_jobs):
    def breaks_late(train, labels, test, seed):
        if seed == 1:
            while len(list(tmp_path.glob("*.npz"))) < 4:
                time.sleep(0.02)
            raise ArithmeticError("the loss is not finite")
        return difference_of_means(train, labels, test, seed)

    with pytest.raises(RuntimeError, match=r"seed 1, fold \d: .*ArithmeticError: the loss"):
        quiet(breaks_late, data, n_jobs, seeds=3, folds=4, store=tmp_path)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert [name.split("-", 1)[1] for name in kept] == [f"0-{k}.npz" for k in range(4)]


@pytest.mark.filterwarnings("ignore")  # what Dask and its web server deprecate
def test_a_killed_dask_worker_loses_nothing(data, tmp_path):
    from dask.distributed import Client, LocalCluster

    expected = quiet(difference_of_means, data, seeds=2, folds=4)
    log, kept = tmp_path / "log", tmp_path / "kept"

    def slow(train, labels, test, seed):
        with open(log, "a") as file:
            file.write(f"{os.getpid()} begins\n")
        time.sleep(0.4)
        with open(log, "a") as file:
            file.write(f"{os.getpid()} ends\n")
        return difference_of_means(train, labels, test, seed)

    killed = []

    def kill_a_busy_one():
        while not killed:
            time.sleep(0.02)
            if list(kept.glob("*.npz")):  # a fold has been finished
                last = dict(line.split() for line in log.read_text().splitlines())
                busy = [int(worker) for worker, what in last.items() if what == "begins"]
                for worker in busy[:1]:
                    os.kill(worker, signal.SIGKILL)
                    killed.append(worker)

    settings = {"n_workers": 2, "processes": True, "threads_per_worker": 1}
    with LocalCluster(**settings, dashboard_address=None) as cluster, Client(cluster) as client:
        workers = set(client.run(os.getpid).values())
        killer = threading.Thread(target=kill_a_busy_one, daemon=True)
        killer.start()
        with joblib.parallel_config("dask"):
            result = cross_validate(slow, *data, seeds=2, folds=4, store=kept, progress=False)
        killer.join(timeout=10)
    assert len(workers) == 2 and len(killed) == 1 and set(killed) < workers
    np.testing.assert_allclose(result.scores, expected.scores, rtol=0, atol=1e-12)
    states = [line.split()[1] for line in log.read_text().splitlines()]
    assert states.count("begins") > states.count("ends") >= 8  # the fold that was cut off, again
    assert len(list(kept.glob("*.npz"))) == 8


RUN = """
import sys, time
import joblib, numpy as np
from xraylib.validation import cross_validate

folder = sys.argv[1]


def model(train, labels, test, seed):
    time.sleep(0.25 if str(seed) in {"0", "1", "2"} else 0)
    with open(folder + "/log", "a") as file:
        file.write("fold\\n")
    return 1 / (1 + np.exp(-test @ (train[labels == 1].mean(0) - train[labels == 0].mean(0))))


if __name__ == "__main__":
    images = np.random.default_rng(0).normal(np.arange(48)[:, None] % 2, 2, (48, 5))
    with joblib.parallel_config(n_jobs=int(sys.argv[2])):
        found = cross_validate(model, images, np.arange(48) % 2, None, seeds=2, folds=6,
                               store=folder + "/kept", progress=False)
    np.save(folder + "/scores.npy", found.scores)
"""


def start(folder, n_jobs, seed):
    """Run the script in a session of its own, as a terminal does."""
    script = folder / "run.py"
    script.write_text(RUN)
    return subprocess.Popen(
        [sys.executable, script, folder, str(n_jobs)],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"PYTHONHASHSEED": seed},
    )  # fmt: skip


@pytest.mark.parametrize("how, n_jobs", [(signal.SIGINT, 2), (signal.SIGKILL, 1)])
def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path, how, n_jobs):
    kept, log = tmp_path / "kept", tmp_path / "log"
    process = start(tmp_path, n_jobs, seed="0")
    while len(list(kept.glob("*.npz"))) < 4:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    os.killpg(process.pid, how)
    process.communicate(timeout=60)
    assert process.returncode == -how
    before = {path: path.read_bytes() for path in kept.glob("*.npz")}
    assert 4 <= len(before) < 12
    log.unlink()
    # A fresh process, in which sets have another order: the keys are the same.
    again = start(tmp_path, n_jobs=1, seed="77")
    _, errors = again.communicate(timeout=60)
    assert again.returncode == 0, errors
    assert log.read_text().count("fold") == 12 - len(before)
    assert {path: path.read_bytes() for path in before} == before
    images = np.random.default_rng(0).normal(np.arange(48)[:, None] % 2, 2, (48, 5))
    whole = quiet(
        lambda train, labels, test, seed: 1
        / (1 + np.exp(-test @ (train[labels == 1].mean(0) - train[labels == 0].mean(0)))),
        (images, np.arange(48) % 2, None), seeds=2, folds=6,
    )  # fmt: skip
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), whole.scores, rtol=0, atol=1e-12)


@pytest.fixture
def counted(tmp_path):
    """A model, and a function that says how often it has been trained since it was last asked."""
    log = tmp_path / "log"
    log.touch()

    def model(train, labels, test, seed):
        log.write_text(log.read_text() + ".")
        return difference_of_means(train, labels, test, seed)

    def trained():
        count = len(log.read_text())
        log.write_text("")
        return count

    return model, trained


def test_finished_folds_are_not_trained_again(data, counted, tmp_path):
    model, trained = counted
    plain = quiet(model, data, seeds=3, folds=4)
    assert trained() == 12
    first = quiet(model, data, seeds=2, folds=4, store=tmp_path / "a" / "b")
    assert trained() == 8
    second = quiet(model, data, seeds=3, folds=4, store=str(tmp_path / "a" / "b"))
    assert trained() == 4
    np.testing.assert_array_equal(first.scores, plain.scores[:2])
    np.testing.assert_array_equal(second.scores, plain.scores)
    images, labels, groups = data
    for other in (
        (images[::-1], labels, groups), (images, labels, groups + (groups == 15)),
        (np.where(images == images[0, 0, 0], 0, images), labels, groups),
        (images, np.where(groups == 0, 1, labels), groups),
    ):  # fmt: skip
        quiet(model, other, seeds=1, folds=4, store=tmp_path / "a" / "b")
        assert trained() == 4
    quiet(model, data, seeds=1, folds=3, store=tmp_path / "a" / "b")
    assert trained() == 3


def copied_from_another_fold(path):
    other = path.with_name(path.name.replace("-1.npz", "-2.npz"))
    path.write_bytes(other.read_bytes())


def with_a_bit_flipped(path):
    content = bytearray(path.read_bytes())
    content[content.index(b"NUMPY", content.index(b"scores.npy")) + 130] ^= 1
    path.write_bytes(content)


def of_other_scores(path):
    np.savez(path, name=path.name, scores=np.full(12, 1.5))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("hello"),
        lambda path: np.save(path.open("wb"), np.zeros(12)),
        lambda path: np.savez(path, scores=np.zeros(12)),
        with_a_bit_flipped,
        of_other_scores,
        copied_from_another_fold,
    ],
    ids=["cut", "empty", "text", "array", "nameless", "bit", "impossible", "copy"],
)
def test_a_damaged_or_foreign_file_is_not_believed(data, counted, tmp_path, damage):
    model, trained = counted
    expected = quiet(model, data, seeds=1, folds=4, store=tmp_path / "kept")
    path = next((tmp_path / "kept").glob("*-0-1.npz"))
    whole = path.read_bytes()
    damage(path)
    assert path.read_bytes() != whole
    trained()
    with pytest.warns(UserWarning, match=f"{path.name}: found .* is computed again"):
        result = quiet(model, data, seeds=1, folds=4, store=tmp_path / "kept")
    assert trained() == 1
    np.testing.assert_array_equal(result.scores, expected.scores)
    quiet(model, data, seeds=1, folds=4, store=tmp_path / "kept")
    assert trained() == 0


def test_a_store_must_be_a_folder(data, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="expected a folder"):
        quiet(difference_of_means, data, store=tmp_path / "file")
    lock = threading.Lock()
    with pytest.raises(ValueError, match="cannot tell .* from other models.*lock"):
        quiet(lambda train, labels, test, seed: lock, data, store=tmp_path / "kept")


NOTEBOOK = """
import dataclasses
EPOCHS = 20
NAMES = {"a", "bb", "ccc"}
def helper(x, power=2):
    return [helper(y) for y in x if y in {"u", "v"}] or x**power
def model(train, labels, test, seed):
    return (lambda x: helper(x) * EPOCHS if x in NAMES else x)(train)
def make(k):
    return lambda train, labels, test, seed: k
@dataclasses.dataclass(frozen=True)
class Recipe:
    epochs: int = 3
    @property
    def double(self):
        return 2 * self.epochs
    def __call__(self, train, labels, test, seed):
        return self.double
"""


def keys(source=NOTEBOOK, file="notebook"):
    cells = {"__name__": "__main__"}
    exec(compile(source, file, "exec"), cells)
    recipe, model = cells["Recipe"], cells["model"]
    models = model, cells["make"](1), cells["make"](2), recipe(), recipe(4), recipe().__call__
    return [store.key(m) for m in (*models, functools.partial(model, seed=1))]


def test_a_key_changes_with_what_a_model_does_and_with_nothing_else():
    same = keys()
    assert len(set(same)) == len(same)
    moved = NOTEBOOK.replace("def helper", "# a remark\n\ndef helper")
    assert keys(moved, "/tmp/ipykernel_123/456.py") == same
    for old, new in (
        ("EPOCHS = 20", "EPOCHS = 21"), ("x**power", "x*power"), ("power=2", "power=3"),
        ('"ccc"', '"ccd"'), ('{"u", "v"}', '{"u", "w"}'),
    ):  # fmt: skip
        model, *others, partial = keys(NOTEBOOK.replace(old, new))
        assert model != same[0] and partial != same[-1] and others == same[1:-1]
    changed = keys(NOTEBOOK.replace("2 * self", "3 * self"))
    assert [a == b for a, b in zip(changed, same, strict=True)] == [True] * 3 + [False] * 3 + [True]


def test_a_key_tells_estimators_and_data_apart():
    tree = DecisionTreeClassifier
    models = tree(), tree(max_depth=3), make_pipeline(StandardScaler(), tree()), difference_of_means
    assert len({store.key(model) for model in models}) == 4
    long = [tree(class_weight={0: 1, 1: w}) for w in np.linspace(1, 2, 3)]
    assert len({store.key(model) for model in long}) == 3
    one, other = np.zeros(5000), np.zeros(5000)
    other[2500] = 1e-9
    assert store.key(tree(), one) == store.key(tree(), one.copy()) != store.key(tree(), other)


def test_a_key_changes_with_the_libraries_and_sources_of_the_house(tmp_path):
    shutil.copytree(os.path.dirname(store.__file__), tmp_path / "xraylib")
    code = "from xraylib import store; print(store.key(len, [1, 2]))"

    def run():
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout

    before = run()
    assert run() == before
    with open(tmp_path / "xraylib" / "ledger.py", "a") as file:
        file.write("\n# one line more\n")
    after = run()
    library = tmp_path / "scikit_learn-0.0.1.dist-info"
    library.mkdir()
    (library / "METADATA").write_text("Metadata-Version: 2.1\nName: scikit-learn\nVersion: 0.0.1\n")
    assert len({before, after, run()}) == 3


def crossed(scores, labels=None, fold=None):
    labels = np.tile([0, 1], scores.shape[1] // 2) if labels is None else labels
    fold = np.tile(np.arange(scores.shape[1]) // 4, (len(scores), 1)) if fold is None else fold
    return CrossValidation(labels, scores, fold)


@pytest.fixture
def pair():
    """Two repetitions of three folds of four images, 12 images; b is worse than a."""
    labels = np.tile([0, 1], 6)
    right_a = np.array([[1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 1], [1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1]])
    right_b = np.array([[1, 1, 0, 1, 1, 1, 0, 0, 1, 0, 0, 1], [1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 1, 0]])
    return tuple(crossed(np.where(right, labels, 1 - labels) * 1.0) for right in (right_a, right_b))


def test_corrected_resampled_t_by_hand(pair):
    """Differences .25 .25 .25 0 .5 .25: mean .25, s² = .025; variance (1/6 + 1/2) s²."""
    result = compare(*pair)
    error = np.sqrt((1 / 6 + 1 / 2) * 0.025)
    assert result.difference.value == pytest.approx(0.25)
    assert result.p == pytest.approx(2 * stats.t.sf(0.25 / error, 5))
    reach = stats.t.ppf(0.975, 5) * error
    assert result.difference[1:] == pytest.approx((0.25 - reach, 0.25 + reach))
    differences = (pair[0].accuracies - pair[1].accuracies).ravel()
    assert result.p > stats.ttest_1samp(differences, 0).pvalue  # which takes folds for independent
    back = compare(*pair[::-1])
    assert back.p == pytest.approx(result.p) and back.difference.value == pytest.approx(-0.25)
    assert "0.25 (-0.08 to 0.58)" in str(result) and "6 folds" in str(result)


def test_connor_by_hand(pair):
    """Of 24 calls a alone is right in 6, b alone in none: discordant 1/4, difference 1/4."""
    z, power = 1.959964, 0.841621
    n = ((z * np.sqrt(0.25) + power * np.sqrt(0.25 - 0.25**2)) / 0.25) ** 2
    assert compare(*pair).needed == int(np.ceil(n)) == 29
    assert "about 29 images would settle one of this size" in str(compare(*pair))


def test_equal_models_differ_by_nothing(pair):
    result = compare(pair[0], pair[0])
    assert result.p == 1 and result.difference.value == 0 and result.needed is None
    assert "no difference was seen" in str(result) and "no interval" in str(result)
    assert "nan" not in str(result)


def test_the_same_difference_in_every_fold_has_no_p(pair):
    labels, scores = pair[0].labels, np.tile([0.0, 1.0], (1, 6))
    worse = scores.copy()
    worse[0, ::4] = 1
    result = compare(crossed(scores, labels), crossed(worse, labels))
    assert result.difference.value == 0.25 and np.isnan(result.p) and result.needed == 29
    assert "every fold shows the same difference" in str(result) and "nan" not in str(result)


def test_other_folds_or_labels_are_refused(pair):
    a, b = pair
    for other in (
        crossed(b.scores[:1]),
        crossed(b.scores[:, :8]),
        crossed(b.scores, labels=1 - b.labels),
        crossed(b.scores, fold=b.fold[:, ::-1]),
    ):
        with pytest.raises(ValueError, match="same folds"):
            compare(a, other)


def table(both, only_a, only_b, neither):
    """Labels and two models' scores, for how many images each is right."""
    counts = both, only_a, only_b, neither
    right_a, right_b = np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts)
    labels = np.arange(sum(counts)) % 2
    return labels, *(
        np.where(right, labels, 1 - labels) * 0.8 + 0.1 for right in (right_a, right_b)
    )


def test_mcnemar_against_a_known_table():
    """2 against 9: twice the share of (1 + 11 + 55) in 2048."""
    result = compare_once(*table(21, 2, 9, 12))
    assert result.p == pytest.approx(134 / 2048)
    assert result.difference.value == pytest.approx(-7 / 44)
    assert "p = 0.065" in str(result) and "McNemar" in str(result)


def test_newcombes_interval_against_another_implementation():
    """Data of Cavo et al. 2012, as the tests of the R package contingencytables have them."""
    difference = compare_once(*table(59, 6, 16, 80)).difference
    assert difference == pytest.approx((-0.0621, -0.1186, -0.0046), abs=5e-5)


def test_no_discordant_image():
    for counts in ((20, 0, 0, 5), (20, 0, 0, 0), (0, 0, 0, 1)):
        result = compare_once(*table(*counts))
        assert result.p == 1 and result.needed is None and "nan" not in str(result)
        assert result.difference.value == 0
        assert result.difference.low == pytest.approx(-result.difference.high)
        assert result.difference.high > 0.05  # nothing seen is not nothing there


def test_connor_against_a_published_example():
    """Shares 0.45 and 0.05, 80 % power: 23 pairs."""
    assert compare_once(*table(50, 45, 5, 0)).needed == 23
    assert compare_once(*table(0, 9, 0, 0)).needed == 6  # fewer can never reach 5 %


def test_as_many_images_as_advised_settle_it_four_times_in_five():
    needed = compare_once(*table(70, 20, 8, 2)).needed
    rng = np.random.default_rng(0)
    draws = rng.multinomial(needed, [0.7, 0.2, 0.08, 0.02], 1500)
    settled = np.mean([
        stats.binomtest(int(a), int(a + b)).pvalue < 0.05 for _, a, b, _ in draws if a + b
    ])  # fmt: skip
    assert 0.72 < settled < 0.85


def test_bad_scores_are_refused():
    with pytest.raises(ValueError, match="each of the 2 images"):
        compare_once([0, 1], [0.1, 0.2], [0.1])
    with pytest.raises(ValueError, match="threshold"):
        compare_once([0, 1], [0.1, 0.2], [0.1, 0.3], threshold=np.nan)
