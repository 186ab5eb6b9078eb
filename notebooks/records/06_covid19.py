# Numbers of chapter 06 for results/: each block runs behind the cell that binds its name.

# %% headline
last = proportion(right[-1], seen[-1])
ledger.record("E5.said_images", report["images"])
ledger.record("E5.said_train", n_train)
ledger.record("E5.said_test", n_test)
ledger.record("E5.headline", list(headline), str(headline))
ledger.record("E5b.last", list(last), str(last))

# %% share
ends = float(share.min()), float(share.max())
ledger.record("E5b.range", ends, f"{100 * ends[0]:.0f} to {100 * ends[1]:.0f} %")

# %% higher
ledger.record("E5d.higher", higher, f"{higher} of {len(bce)}")

# %% scored
for name, score in scored.items():
    ledger.record(f"E5f.{name}", score, f"{score:.2f}")
ledger.record("E5f.one", if_covid_is_1)
ledger.record("E5f.zero", 2 - if_covid_is_1)

# %% sites
one_label = (sites > 0).sum(axis=1) == 1
from_one = int(sites[one_label].to_numpy().sum())
both = sites.loc["eurorad.org"].tolist()
ledger.record("covid.n", len(films))
ledger.record("covid.ill", int(films.labels.sum()))
ledger.record("covid.people", len(set(films.groups)))
ledger.record("covid.alone", from_one, f"{from_one} of {len(films)}")
ledger.record("covid.mixed", both, " and ".join(map(str, both)))
several_times = int(pd.Series(films.groups).duplicated(keep=False).sum())
ledger.record("covid.repeated", several_times)

_ill = (films.labels == 0) & ~films.table["source_site"].isin([healthy, "eurorad.org"])
ledger.record("covid.ill_left", int(_ill.sum()))

# %% again
ledger.record("E5.again", again)
ledger.record("E5.again_majority", metrics.majority(y_clean[test]))
ledger.record("covid.seeds", len(runs), setting=True)

# %% moved
ledger.record("covid.rounding", moved, f"{moved:.2f}", timing=True)
ledger.record("covid.rounding.right", called, " and ".join(map(str, called)), timing=True)
ledger.record("covid.rounding.n", int(fold.sum()))


# %% suffices
def _difference(t, *pair):
    parts = [validation.CrossValidation(y, each.scores[t], each.fold[t]) for each in pair]
    return validation.compare(*parts).difference.value


blind_reach = ledger.reach(_difference, len(seeds), whole_films, without_middle)
ledger.record("covid.blind.difference", suffices, tolerance=blind_reach)

# %% left
for name, key in (("lungs", "lungs"), ("opacity_mask", "opacities")):
    mean = float(left[name].mean())
    ledger.record(f"covid.{key}", mean, f"{100 * mean:.0f} %", tolerance=0.03)


# %% several
from sklearn.metrics import roc_auc_score  # noqa: E402


def _mean_right(t, scores, truth):
    return int(((scores[t].mean(axis=0) >= 0.5) == truth).sum())


def _mean_auc(t, scores, truth):
    return float(roc_auc_score(truth, scores[t].mean(axis=0)))


_judged = {
    "whole": whole_films.scores, "settled": larger_steps.scores,
    "blind": without_middle.scores, "masked": masked.scores,
    "familiar": whole_films.scores[:, inside], "outside": held_out[mixed],
}  # fmt: skip
for key, (spread, result) in several.items():
    _scores, _truth = _judged[key], y[inside] if key in ("familiar", "outside") else y
    ledger.record(f"covid.{key}", spread)
    for name, label in {"sensitivity": 1, "specificity": 0}.items():
        _right = ((_scores >= 0.5) == _truth)[:, _truth == label].sum(axis=1)
        counted = Spread(tuple(_right.tolist()), int((_truth == label).sum()))
        ledger.record(f"covid.{key}.{name}", counted)
    _how_far = ledger.reach(_mean_right, len(_scores), _scores, _truth)
    ledger.record(f"covid.{key}.together", result.accuracy, tolerance=_how_far)
    _how_far = ledger.reach(_mean_auc, len(_scores), _scores, _truth)
    ledger.record(f"covid.{key}.auc", result.auc, tolerance=_how_far)

_compared = ("", whole_films), ("settled.", larger_steps)
for (key, each), _minus in zip(_compared, minus_site, strict=True):
    _how_far = ledger.reach(_difference, len(each.scores), each, knows_site)
    ledger.record(f"covid.{key}minus_site", _minus, tolerance=_how_far)

# %% ranked
ledger.record("covid.outside.p", float(ranked), f"{ranked:.2f}", timing=True)

# %% beaten
ledger.record("covid.beaten", beaten, f"{100 * beaten:.0f} %", tolerance=0.35)

# %% recipe
spelt = {"efficientnet_lite0": "EfficientNet-Lite0", "inception_v3": "Inception V3",
         "top": "frozen", "all": "trained too"}  # fmt: skip
ledger.record("covid.backbone", backbone, f"{spelt[backbone]}, {spelt[trainable]}")
ledger.record("eval.epochs06", epochs, setting=True)

# %% probed
_draws, _of = min(5, len(seeds)), probed["the same, backbone with random weights"][0].values
_ends = np.cumsum([len(seeds[k::_draws]) for k in range(_draws)])[:-1]
_medians = [float(np.median(part)) for part in np.split(np.array(_of), _ends)]
_said = f"{min(_medians):.0f} to {max(_medians):.0f}"
ledger.record("covid.probe.random.sets", _medians, _said, spread=True)
_scores = cross_validated("whole", everything, label).together
ledger.hand_over("threshold", {
    "scores": np.round(_scores, 3), "labels": label, "classes": ["other", "COVID-19"],
    "of": "Real films, held out; a logistic regression on averaged features.",
})  # fmt: skip
_spread = whole_films.spread
_whole = ledger.results().get("covid.whole", {"values": _spread.values, "n": _spread.n})
ledger.hand_over("swarm", {
    "values": _whole["values"], "n": _whole["n"], "larger": metrics.majority(label).k,
    "of": "The network of this chapter on the real films, held out.",
})  # fmt: skip
