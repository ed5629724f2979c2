"""Properties, robustness and attributions on published and trained networks.

``python -m benchmarks.properties acas [PROPERTIES [SECONDS [NETWORKS]]]`` runs ACAS Xu: properties such as ``3`` or
``1,2,3,4`` on all networks they speak of, or on some, such as ``1_1,1_7``. ``mnist``, ``radius`` and ``attributions`` need no
more than their name. ACAS Xu and MNIST are in the folder TROPICA_DATA.
"""

from __future__ import annotations

import csv
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

import tropica as tp
from benchmarks.networks import trained

VIOLATED = {
    "3": ("1_7", "1_8", "1_9"),
    "4": ("1_7", "1_8", "1_9"),
    "7": ("1_9",),
    "8": ("2_9",),
}
HOLDS_TWO = ("3_3", "4_2")


def published(prop: str, network: str) -> str:
    """The published verdict."""
    if prop == "2":
        return "holds" if network in HOLDS_TWO else "violated"
    return "violated" if network in VIOLATED.get(prop, ()) else "holds"


def acas(props: str = "3", seconds: str = "60", networks: str = "") -> None:
    """Verdicts on ACAS Xu beside the published ones: nodes, seconds with the checker's, what was checked."""
    folder = Path(os.environ["TROPICA_DATA"]) / "acasxu"
    with open(folder / "acasxu_instances.csv", encoding="utf8") as file:
        instances = [(row[0][len("ACASXU_run2a_") :][:3], row[1][len("prop_") : -len(".vnnlib")]) for row in csv.reader(file)]
    some = networks.split(",") if networks else []
    for network, prop in instances:
        if prop not in props.split(",") or (some and network not in some):
            continue
        net = tp.load_network(folder / f"ACASXU_run2a_{network}_batch_2000.onnx")
        wanted = tp.load_property(folder / f"prop_{prop}.vnnlib")
        found = tp.verify(net, None, wanted, max_seconds=float(seconds))
        checked = "cover checked" if found.holds else f"{found.left:.2g} left" if found.status == "undecided" else "exact point"
        known = published(prop, network)
        agrees = "agrees" if found.status == known else "open" if found.status == "undecided" else "DIFFERS"
        line = f"property {prop} network {network}: {found.status} (published: {known}, {agrees}), {found.boxes:,} nodes"
        print(f"{line}, {found.seconds:.1f} s, {checked}", flush=True)


def mnist(seconds: str = "10", images: str = "20") -> None:
    """Labels of 784-50-50-10 and conv-small within l∞ balls around images: decided, undecided, seconds."""
    for name, net, points in (_dense(), _convolutional()):
        labels = net(points.float()).argmax(1).tolist()
        for radius in (0.01, 0.02, 0.03, 0.04, 0.05):
            verdicts, start = [], time.perf_counter()
            for x, label in zip(points[: int(images)].double().numpy(), labels, strict=False):
                ball = tp.Box(np.clip(x.ravel() - radius, 0, 1), np.clip(x.ravel() + radius, 0, 1))
                verdicts.append(tp.verify(net, ball, tp.Property.label(label, 10), max_seconds=float(seconds)).status)
            counts = {s: verdicts.count(s) for s in ("holds", "violated", "undecided")}
            print(f"{name}, l∞ {radius}: {counts}, {time.perf_counter() - start:.0f} s", flush=True)


def _dense() -> tuple[str, tp.PiecewiseLinearNetwork, torch.Tensor]:
    """784-50-50-10, trained on MNIST for three epochs."""
    with np.load(Path(os.environ["TROPICA_DATA"]) / "mnist.npz") as data:
        x, y, test = (torch.from_numpy(data[n]) for n in ("x_train", "y_train", "x_test"))
    torch.manual_seed(0)
    linear = torch.nn.Linear
    model = torch.nn.Sequential(linear(784, 50), torch.nn.ReLU(), linear(50, 50), torch.nn.ReLU(), linear(50, 10))
    optimizer, inputs, labels = torch.optim.Adam(model.parameters(), 1e-3), x.float().reshape(-1, 784) / 255, y.long()
    for _ in range(3):
        for batch in torch.randperm(len(inputs)).split(128):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs[batch]), labels[batch]).backward()
            optimizer.step()
    return "784-50-50-10", tp.trace(model.eval(), torch.zeros(2, 784)), test[:20].float().reshape(-1, 784) / 255


def _convolutional() -> tuple[str, tp.PiecewiseLinearNetwork, torch.Tensor]:
    case = trained("conv-small", 1)
    return case.title, tp.trace(case.model, case.test.inputs[:2]), case.test.inputs[:20]


def radius(count: str = "20", seconds: str = "20") -> None:
    """Robust radii of 64-32-32-10 on digits, and the nearest of 1,000 searches by random directions."""
    case = trained("fcn-small", 2, data="digits")
    net = tp.trace(case.model, case.test.inputs[:2])
    double = net.to(torch.float64)
    below = 0
    for k in range(int(count)):
        x = case.test.inputs[k].double()
        found = tp.robust_radius(net, x, norm="linf", max_seconds=float(seconds))
        nearest = _nearest_adversarial(double, x)
        below += float(found.lower) <= nearest
        print(f"digit {k}: {float(found.lower):.6f} … {float(found.upper):.6f}, random searches {nearest:.6f}", flush=True)
    print(f"{below} of {count} lower bounds are below all adversarial examples of random searches")


def _nearest_adversarial(net: tp.PiecewiseLinearNetwork, x: torch.Tensor, searches: int = 1000) -> float:
    """The least l∞ distance to another label along random directions of signs, by bisection."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.randint(0, 2, (searches, *x.shape), generator=generator).double() * 2 - 1
    label = net(x[None]).argmax(1)
    low, high = torch.zeros(searches), torch.full((searches,), 4.0)
    shape = (-1, *(1,) * x.ndim)
    found = torch.full((searches,), torch.inf)
    for _ in range(40):
        middle = (low + high) / 2
        other = net(x + middle.double().reshape(shape) * directions).argmax(1) != label
        found = torch.where(other, middle, found)
        low, high = torch.where(other, low, middle), torch.where(other, middle, high)
    return float(found.min())


def attributions(count: str = "100") -> None:
    """Exact integrated gradients of MNIST images on ``conv``: seconds, the residual, how many have ties, and captum's error."""
    case = trained("conv", 1)
    net, x = tp.trace(case.model, case.test.inputs[:2]), case.test.inputs[: int(count)]
    start = time.perf_counter()
    found = tp.integrated_gradients(net, x)
    seconds = time.perf_counter() - start
    print(f"{case.title}: {found}, {seconds:.1f} s, residual ≤ {float(found.residual.max()):.1e}", flush=True)
    try:
        from captum.attr import IntegratedGradients  # pyright: ignore[reportMissingImports]
    except ImportError:
        print("captum is not installed: pip install captum")
        return
    model = case.model.double()
    size = found.values.flatten(1).abs().sum(1)
    for steps in (50, 500, 5000):
        start = time.perf_counter()
        other = IntegratedGradients(model).attribute(x.double(), target=found.target, n_steps=steps, internal_batch_size=1024)
        seconds = time.perf_counter() - start
        error = (other - found.values).flatten(1).abs().sum(1) / size
        about = f"median error {float(error.median()):.1e}, largest {float(error.max()):.1e} of the sum of |values|"
        print(f"captum, {steps:,} steps: {about}, {seconds:.1f} s", flush=True)


COMMANDS = {"acas": acas, "mnist": mnist, "radius": radius, "attributions": attributions}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
