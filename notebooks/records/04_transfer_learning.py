# Numbers of chapter 04 for results/: each block runs behind the cell that binds its name.

# %% convolutions
ledger.record("E4.convolutions", convolutions)

# %% everything
ledger.record("E4e.all", everything, f"{everything:,}")
ledger.record("E4e.top", only_top, f"{only_top:,}")
ledger.record("E4e.ratio", everything / only_top, f"{everything / only_top:.0f}")
total = count(inception.weights)
ledger.record("E4e.total", total, f"{total / 1e6:.0f} million")

# %% photographs
ledger.record("probe.photographs", photographs, tolerance=0.04)

# %% seconds
ledger.record("run.seconds", seconds, f"{seconds:.0f}", timing=True)

# %% shares
for key, share in zip(("coarse", "detail"), shares["averages of features"], strict=True):
    ledger.record(f"rebuilt.{key}", share, f"{100 * share:.0f} %", tolerance=0.1)
for key, share in zip(("class", "class_detail"), shares["the class alone"], strict=True):
    ledger.record(f"rebuilt.{key}", share, f"{100 * share:.0f} %", tolerance=0.1)

# %% again
shown_in_page = backbone == "efficientnet_lite0"
file = str(path.relative_to(ledger.ROOT)) if shown_in_page else ""
ledger.record("network.file", file, file or "none", setting=True)
