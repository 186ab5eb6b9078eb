# Numbers of chapter 01 for results/: each block runs behind the cell that binds its name.

# %% gap
ledger.record("theory.gap.degree", int(smallest_gap))
by_gap, best = test_error[[smallest_gap, lowest_test]]
ledger.record("theory.gap.test", by_gap, f"{by_gap:.2f}", tolerance=0.06)
ledger.record("theory.best.degree", int(lowest_test))
ledger.record("theory.best.test", best, f"{best:.2f}", tolerance=0.03)

# %% helped
ledger.record("theory.transfer.zero", without)
ledger.record("theory.transfer.related", related)

# %% cloud_errors
ledger.record("theory.perceptron.updates", len(path))
ledger.record("theory.perceptron.bound", bound, f"{bound:.0f}", tolerance=1)

# %% ratio
magnitude = np.log10(ratio)  # the weights are random: its order of size is what is known
longer_by = f"in the order of {10 ** round(magnitude):,}"
ledger.record("theory.vanishing.ratio", magnitude, longer_by, tolerance=0.6)

# %% forced
above = sum(int(np.sum(bce >= -np.log(1 - mae))) for mae, bce in pairs)
epochs = sum(len(mae) for mae, _ in pairs)
ledger.record("theory.bce.forced", above, f"{above} of {epochs}")

# %% with_one
ledger.record("theory.kernels.small", with_one)
ledger.record("theory.kernels.all", sum(kernel_shapes.values()))

# %% exactly
low, high = np.quantile(zeros, [0.025, 0.975]).astype(int)
ledger.record("theory.dropout.exactly", exactly, f"{100 * exactly:.1f} %", tolerance=0.008)
ledger.record("theory.dropout.range", [low, high], f"{low} to {high}", tolerance=1)

# %% unchanged
ledger.record("theory.epoch.images", n_train)
ledger.record("theory.epoch.steps", n_steps)


# %% vgg
def edges(maps):
    """Mean correlation of the two maps of edges."""
    return float(np.mean([maps[f"{way} edges"][1] for way in ("vertical", "horizontal")]))


learned = edges(trained_maps)
ledger.record("theory.maps.imagenet", learned, f"{learned:.2f}", tolerance=0.01)
ledger.record("theory.maps.random", [edges(maps) for maps in random_maps], spread=True)
ledger.record("theory.maps.vgg", len(convolutions))

# %% chest
_plate = np.repeat((255 * chest)[..., None], 3, axis=2).astype("uint8")
_plate = datasets.resize([_plate], 128, "box")[0, ..., 0]
ledger.hand_over("kernel", {"side": 128, "film": _plate})
