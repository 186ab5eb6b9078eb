# Numbers of chapter 05 for results/: each block runs behind the cell that binds its name.

# %% always_larger
spelt = {
    "phantom": "phantoms",
    "xray75": "the report's X-rays",
    "efficientnet_lite0": "EfficientNet-Lite0",
    "inception_v3": "Inception V3",
    "top": "frozen",
    "all": "trained too",
}
ledger.record("eval.dataset", dataset, spelt.get(dataset, f"your images ({data.name})"))
ledger.record("eval.backbone", backbone, f"{spelt[backbone]}, {spelt[trainable]}")
ledger.record("eval.seeds", cv_seeds, setting=True)
ledger.record("eval.draws", draws, setting=True)
ledger.record("eval.n", n)
ledger.record("eval.people", len(set(data.groups)))
ledger.record("eval.epochs", epochs, setting=True)

# %% not_all
headline = proportion(k_final, n_train)
ten, nine = proportion(n_val, n_val), proportion(n_val - 1, n_val - 1)
ledger.record("E4.headline", list(headline), str(headline))
ledger.record("E4k.report", log["acc"][-1], f"{log['acc'][-1]:.2f}")
ledger.record("E4.range", [int(late.min()), int(late.max())], span(late))
ledger.record("E4b.interval", list(ten), str(ten))
ledger.record("E4b.distinct", list(nine), str(nine))
ledger.record("E4b.not_all", not_all, " and ".join(map(str, not_all)))

# %% small_gap
small = small_gap["cross-entropy"]
ledger.record("E4c.small", small, " and ".join(map(str, small)))
ledger.record("E4c.means", means, " and ".join(means))

# %% leak
_nearest = np.where(allowed["pictures"], distance, np.inf).argmin(axis=1)
ledger.record("eval.leak.films", int(several.sum()))
ledger.record("eval.leak.several", len(np.unique(person[several])))
ledger.record("eval.leak.own", int((person[_nearest] == person)[several].sum()))
for what, share in leak.items():
    ledger.record(f"eval.leak.{what}", share, f"{share:.2f}", tolerance=0.02)

# %% cross
ledger.record("eval.median", cross.spread, str(cross.spread.median))

# %% shaken
apart_most = float(np.ptp(fresh, axis=0).max())
ledger.record("seed.repeats", float(repeats), f"{repeats:.3f}", timing=True)
ledger.record("seed.apart", apart_most, f"{apart_most:.2f}", timing=True)

# %% noise
of_data, of_chests = noise.values()
mixed, chests_mixed = (each["right in some trainings only"] for each in noise.values())
between = np.sqrt(np.mean(np.diff(cross.scores, axis=0) ** 2))
halves = np.sqrt(np.mean((cross.scores[::2].mean(0) - cross.scores[1::2].mean(0)) ** 2))
largest = float(of_data["largest range of a film's score"])
training_sd, sampling_sd = (
    float(of_data[f"{each} noise, films"]) for each in ("training", "sampling")
)
ledger.record("seed.film", largest, f"{largest:.2f}", tolerance=0.5)
ledger.record("seed.mixed", mixed, f"{mixed} of {n}", timing=True)
ledger.record("seed.sd", training_sd, f"{training_sd:.1f}", tolerance=2)
ledger.record("seed.se", sampling_sd, f"{sampling_sd:.1f}", tolerance=1)
ledger.record("seed.between", float(between), f"{between:.2f}", tolerance=0.1)
ledger.record("seed.halves", float(halves), f"{halves:.2f}", timing=True)
chest_noise = (
    float(of_chests[f"{each} noise, films"]) for each in ("training", "sampling")
)
for key, sd in zip(("sd", "se"), chest_noise, strict=True):
    ledger.record(f"room.{key}", sd, f"{sd:.1f}", tolerance=3)
ledger.record("room.mixed", chests_mixed, f"{chests_mixed} of {n_chests}", timing=True)

# %% lost
for (model, trained, test), counts in planted.items():
    arm = trained if model == "plain" else f"{model}.{trained}"
    counted = Spread(tuple(counts), n_films)
    text = str(counted).replace("seeds", "dealings")
    ledger.record(f"switch.{arm}.{test}", counted.median, text, tolerance=15)
for model, films_lost in lost.items():
    fewer = int(np.median(films_lost))
    ledger.record(f"switch.lost.{model}", fewer, str(fewer), tolerance=8)
ledger.record("switch.less", less, f"{less} of {n_dealings}", timing=True)

# %% two_of_two
ledger.record("E4g.interval", list(two_of_two), str(two_of_two))

# %% chance
for (name, what), spread in hit.items():
    network_name = name.split("'")[0]
    ledger.record(f"hits.{network_name}.{what.split()[-1]}", spread)
    each = ", ".join(map(str, spread.values))
    ledger.record(f"hits.{network_name}.{what.split()[-1]}.each", each, each, timing=True)
    if what == "Grad-CAM":  # so many films as there are trainings
        pooled_hits = proportion(sum(spread.values), spread.n * len(spread.values))
        ledger.record(f"hits.{network_name}.all", pooled_hits, timing=True)
ledger.record("hits.chance", chance, f"{chance:.2f}", tolerance=0.04)
ledger.record("hits.area", area, f"{area:.2f}", tolerance=0.02)
ledger.record("hits.usual", usual_place)
pooled_place = proportion(sum(usual_hits), usual_place.n * len(usual_hits))
ledger.record("hits.usual.all", pooled_place, timing=True)

# %% hard
ledger.record("room.network", hard.spread)
ledger.record("room.majority", half)
ledger.record("room.single_auc", single_auc, spread=True)


def _mean_auc(t):
    return roc_auc_score(ill, hard.scores[t].mean(axis=0))


def _mean_right(t):
    return np.sum((hard.scores[t].mean(axis=0) >= 0.5) == ill)


_area = ledger.reach(_mean_auc, len(seeds))
_films = ledger.reach(_mean_right, len(seeds), least=2.0)
ledger.record("room.auc", hard_as_one.auc, tolerance=_area)
ledger.record("room.together", hard_as_one.accuracy, tolerance=_films)

# %% slopes
ledger.record("room.slopes", slopes, spread=True)
ledger.record("room.slope", hard_calibrated.slope, tolerance=1.5)

# %% improved_minus
keys = "network settled larger both cnn features pixels16 pixels4".split()
for name, key in list(zip(roomy, keys, strict=True))[1:]:
    ledger.record(f"room.{key}", roomy[name].spread)
for key, difference in zip(keys[1:], minus, strict=True):
    ledger.record(f"room.{key}.difference", difference, tolerance=0.08)
ledger.record("room.both.minus", improved_minus, tolerance=0.08)
ledger.record("room.corrected", corrected, f"{corrected:.2f}", timing=True)
