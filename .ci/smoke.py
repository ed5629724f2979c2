"""A first picture with the installed package, in an empty folder: what a new user does. Run by .ci/wheel."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import time
from pathlib import Path

start = time.monotonic()

import matplotlib  # noqa: E402

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402

import tropica as tp  # noqa: E402
from tropica.studies.networks import build  # noqa: E402
from tropica.studies.training.loop import train  # noqa: E402

home = Path(tp.__file__).parent
assert home.is_relative_to(sysconfig.get_paths()["purelib"]), f"not the installed package: {home}"
assert (home / "py.typed").exists(), "no py.typed"

digits, test = tp.load_data("digits"), tp.load_data("digits", split="test")
model = build("fcn-small", digits.input_shape, seed=0)
train(model, digits.inputs, digits.labels, epochs=5)
terms = tp.extract(model, digits)
assert terms.certificate.holds, terms.certificate
print(tp.agreement(model, tp.ExtractedFunction(terms), test))

fig, axes = plt.subplots(1, 5)
for ax, image in zip(axes, terms.local.image(), strict=False):
    ax.imshow(image.squeeze())
fig.savefig("terms.png")
print(f"first picture: {time.monotonic() - start:.1f} s")

cx = tp.linear_regions(model, tp.Plane.through(*digits.inputs[:3].double(), margin=0.2))
assert cx.certified, cx
tp.plots.regions(cx).figure.savefig("regions.png")
print(f"{cx}, drawn after {time.monotonic() - start:.1f} s")

tropica = Path(sys.executable).with_name("tropica")
for command in ("--version", "extract --help", "train fcn-small --data digits --epochs 1 --limit 100"):
    subprocess.run([tropica, *command.split()], check=True, stdout=subprocess.DEVNULL)
print("the command line runs")
