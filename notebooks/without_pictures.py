"""Keep in ``results/`` what of the real films can be kept without their pictures."""

from provenance import provenance

from xraylib import pictureless

for name in ("xray75", "covid"):
    pictureless.write(name, provenance())
    print(f"results/{name}.npz")
