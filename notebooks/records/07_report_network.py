# Numbers of chapter 07 for results/: each block runs behind the cell that binds its name.
# A small show leaves nothing behind: what the text quotes is the whole measurement.

# %% PARTS
if whole:
    for key, found in curves.items():
        for part in PARTS:
            for epoch, values in enumerate(found[part].round(4).T, 1):
                name = f"net.curve.{key}.{part}.{epoch}"
                ledger.record(name, values.tolist(), spread=True)

# %% crossed
if whole:
    for key, found in right.items():
        if "cv" in found:
            ledger.record(f"net.{key}.cv", found["cv"])
    for key in recipes:
        against = validation.compare(crossed[key], crossed["pixels"]).difference
        ledger.record(f"net.{key}.minus_pixels", against, tolerance=0.06)
        gain = validation.compare(crossed[f"{key}_settled"], crossed[key]).difference
        ledger.record(f"net.{key}.settled_gain", gain, tolerance=0.06)

# %% higher
if whole:
    for how, difference in higher.items():
        ledger.record(f"E4l.held_out{how}", difference, tolerance=0.06)
