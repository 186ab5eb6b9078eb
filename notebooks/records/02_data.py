# Numbers of chapter 02 for results/: each block runs behind the cell that binds its name.

# %% classes
spelt = {"phantom": "synthetic radiographs", "xray75": "the report's X-rays"}
ledger.record("data.name", dataset, spelt.get(dataset, f"your images ({data.name})"))
ledger.record("data.n", len(data))

# %% equal
ledger.record("data.equal", equal, f"{equal} of {len(data)}")
ledger.record("data.tinted", int(tinted.sum()), f"{tinted.sum()} of {len(data)}")

# %% people
ledger.record("data.people", people)

# %% copies
ledger.record("data.copies", len(same), copies)
ledger.record("audit.pairs", len(near), str(len(near)))
ledger.record("audit.identical", len(same), str(len(same)))

# %% val_people
from xraylib.evaluation.metrics import proportion  # noqa: E402

ledger.record("data.val_people", val_people)
ledger.record("data.all_val_people", proportion(val_people, val_people))

# %% most_stretched
ledger.record("data.stretched", stretch[most], most_stretched, tolerance=1e-6)

# %% expected
if dataset == "xray75":
    ledger.record("data.fingerprint", difference, f"{difference:.1e}", tolerance=1e-7)

# %% cropped
ledger.record("data.smeared", smeared, f"{100 * smeared:.0f} %", tolerance=0.02)
ledger.record("data.cropped", cropped, f"{100 * cropped:.0f} %", tolerance=0.08)

# %% shear
ledger.record("data.shear", shear, f"{shear:.2f}", tolerance=1e-6)

# %% marks
marks["colour"] = tinted if films is data else False
for name, rows in marks.groupby(classes):
    for mark in marks:
        on = int(rows[mark].sum())
        ledger.record(f"data.{mark}.{name}", on, f"{on} of {len(rows)}")

# %% on_sets
short = ("grey", "whole", "rim", "centre", "blur", "blur.regression")
for key, result in zip(short, untied.values(), strict=True):
    ledger.record(f"traps.phantom.{key}", result)
for key, result in zip(short[-2:], tied.values(), strict=True):
    ledger.record(f"traps.tied.{key}", result)
ledger.record("traps.sets", len(set_seeds), setting=True)

# %% smeared
_plate = datasets.load("phantom", n=1, size=160, interpolation="box").images[0, ..., 0]
ledger.hand_over("augmentation", {"side": 160, "film": _plate})
