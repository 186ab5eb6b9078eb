# Numbers of chapter 03 for results/ that stand in no table: each block runs behind the cell
# that binds its name.

# %% values
ledger.record("pca.n", n)
ledger.record("pca.d", d, f"{d:,}")
ledger.record("pca.values", n * d, f"{n * d:,}")
ledger.record("pca.most", min(n - 1, d))
ledger.record("pca.reported_values", values, f"{values:,}")

# %% rank
ledger.record("pca.rank", rank)

# %% count
ledger.record("E2.parameters", count, f"{count:,}")

# %% in_report
ledger.record("E2.loss_report", in_report[0], f"{in_report[0]:.4f}")
ledger.record("E2.loss_notebook", in_notebook[0], f"{in_notebook[0]:.4f}")

# %% lates
ledger.record("E2.repeats", cv_seeds, setting=True)
ledger.record("E2.log_late", log_late, f"{log_late:.2f}")
for name, kind in logs.items():
    ledger.record(f"E2.{name}.late", lates[name], spread=True)
    for what in ("loss", "accuracy"):  # twenty numbers a training
        course = np.round([log[what] for log in kind], 3).ravel()
        ledger.record(f"E2.{name}.log_{what}", course, "", spread=True)


# %% by_heart
def as_many(spread):
    """Of each training, whether its share is the report's or more; and how many are."""
    reached = [int(k / n >= in_report[1] - 1e-6) for k in spread.values]
    return reached, f"{sum(reached)} of {len(reached)}"


ledger.record("E2.as_good", *as_many(trained["scrambled"]), spread=True)
ledger.record("E2.as_claimed", *as_many(held_out["right"]), spread=True)

# %% p_value
ledger.record("E2.null.as_high", as_high, f"{as_high} of {len(null)}", tolerance=2)

# %% agreements
names = {True: [], False: []}
for method, result in agreements.items():
    names[result.k >= 0.9 * n].append(method.replace("ward", "Ward"))
for key, found in (("E3.finds", names[True]), ("E3.misses", names[False])):
    text = " and ".join(", ".join(found).rsplit(", ", 1))
    ledger.record(key, found, text or "none")

# %% as_wide
ledger.record("E3.still_two", still_two, tolerance=3)
ledger.record("E3.as_wide", as_wide, tolerance=3)

# %% least
ledger.record("E3c.plots", len(plots))
ledger.record("E3c.clouds", len(null_plots))

_keys = [(p, s) for p in (5, 15, 20) for s in starts]
with threadpool_limits(1):
    _clouds = {key: embed(cloud(np.random.default_rng(key)), *key) for key in _keys}
_numbers = {
    name: {f"{p},{s}": np.round(plane - plane.mean(0), 1) for (p, s), plane in each.items()}
    for name, each in {"films": plots, "cloud": _clouds}.items()
}
_numbers |= {"labels": y_true, "classes": films.class_names, "starts": len(starts)}
ledger.hand_over("tsne", _numbers | {"perplexities": [5, 15, 20]})

_films = datasets.load("phantom", n=75, size=64, interpolation="box").images[..., 0]
_films = _films.reshape(75, -1).astype(float)
_pca = PCA(74).fit(_films)
_scales = np.abs(_pca.components_).max(axis=1) / 127
ledger.hand_over("components", {
    "side": 64, "scales": np.round(_scales, 6), "mean": _pca.mean_.round().astype("uint8"),
    "components": np.round(_pca.components_ / _scales[:, None]).astype("int8"),
    "shares": np.round([0, *_pca.explained_variance_ratio_.cumsum()], 4),
    "scores": np.round(_pca.transform(_films[:6]), 1),
})  # fmt: skip

# %% at_most
gigabytes = 10_000 * (d // 3) * 4 / 1e9
ledger.record("many.gigabytes", gigabytes, f"{gigabytes:.1f}")
ledger.record("many.costs", costs.to_dict("list"), "", timing=True)
by_count = costs.groupby("images")["variance"]  # by the ways that ran there
close_to = (by_count.min() / by_count.max()).min()
ledger.record("many.agree", close_to, f"{100 * close_to:.1f} %", tolerance=0.003)
