"""``tropica verify``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tropica as tp
from tropica.cli import options, points
from tropica.cli.command import CommandResult, command
from tropica.cli.exit_codes import FAILED, UNDECIDED
from tropica.cli.output import print_facts, print_table, print_written
from tropica.cli.output_range import MaxBoxes
from tropica.errors import InputError
from tropica.runtime.files import writable_file

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

PROPERTY_HELP = (
    "label: the label of --point or --x everywhere on the box; label:K: output K is the largest; below:K:C, above:K:C: output "
    "K is below or above C; or a file *.vnnlib, which may have boxes of its own."
)
LIMITS = "--max-boxes or --max-seconds"
SAMPLES = 2048
"""Points of the box whose outputs are drawn."""


@command(
    "tropica train fcn-small --data digits --runs 1 --epochs 3",
    "tropica verify networks/fcn-small/seed-0 --property label --data digits --point 0 --radius 0.001 --clip 0 1 --out verdict",
    figure="Draw the outputs on the box, and a counterexample, to this PNG file.",
)
def verify(
    *,
    prop: Annotated[str, options.optional("--property", "PROPERTY", PROPERTY_HELP)],
    box: points.BoxOptions,
    source: points.PointOptions,
    max_boxes: MaxBoxes = None,
    max_seconds: options.SearchSeconds = 60.0,
    seed: options.Seed = 0,
    proof: Annotated[Path | None, options.optional("--proof", "FILE", "Write the proof of a property that holds.")] = None,
) -> CommandResult:
    """Verify a property of the outputs on a box: it holds, it is violated, or limits leave it undecided.

    The network is that of real numbers with the weights as they are. A counterexample is evaluated exactly, and beside that
    by the network's own float32 arithmetic. Ctrl-C ends the search as a limit does. Exit code 0: holds; 1: violated;
    3: undecided.
    """
    if proof is not None:
        writable_file(proof)
    at = source.load(needs_point=prop == "label")
    wanted = _property(prop, at)
    own = any(given is not None for given, _ in wanted.cases)
    domain, described = (None, {"kind": "property"})
    if not own:
        domain, described = points.make_box(at, box)
    elif box.box is not None or box.radius is not None:
        raise InputError(f"{prop} has boxes of its own: leave out --box and --radius")
    found = tp.verify(at.net, domain, wanted, max_boxes=max_boxes, max_seconds=max_seconds, seed=seed, progress=True)
    if proof is not None and found.holds:
        found.save(proof)
    numbers = _numbers(found) | {"property": wanted.name, "domain": described, "network": at.net.fingerprint}

    def show() -> None:
        _show(numbers, found)
        if proof is not None and found.holds:
            print_written(proof)

    failure, code = {
        "holds": ("", 0),
        "violated": ("the property is violated", FAILED),
        "undecided": (f"the property is undecided; {found.stopped or LIMITS} stopped the search", UNDECIDED),
    }[found.status]
    return CommandResult(numbers, show, picture=lambda: _figure(at.net, wanted, domain, found), failure=failure, code=code)


def _property(text: str, at: points.ModelAt) -> tp.Property:
    """The property of ``--property``."""
    import torch

    outputs = at.net.num_outputs
    kind, *parts = text.split(":")
    if text.endswith(".vnnlib"):
        return tp.load_property(text)
    try:
        if kind == "label" and not parts:
            assert at.x is not None
            return _label(int(at.net.predict(torch.from_numpy(at.x[None]).to(at.net.dtype))[0]), outputs)
        if kind == "label" and len(parts) == 1:
            return _label(int(parts[0]), outputs)
        if kind in ("below", "above") and len(parts) == 2:
            output = int(parts[0])
            if not 0 <= output < outputs:
                raise InputError(f"--property {text}: the outputs are 0 … {outputs - 1}")
            make = tp.Property.below if kind == "below" else tp.Property.above
            return make(output, parts[1] if "/" in parts[1] else _decimal(parts[1]), outputs)
    except InputError:
        raise
    except ValueError:
        pass
    raise InputError(f"--property {text!r}: label, label:K, below:K:C, above:K:C, or a file *.vnnlib is needed")


def _label(label: int, outputs: int) -> tp.Property:
    """The property that a label is given; of one output z its scores are −z and z."""
    if outputs > 1:
        return tp.Property.label(label, outputs)
    if label not in (0, 1):
        raise InputError(f"--property label:{label}: one output gives the labels 0 and 1")
    return tp.Property.above(0, 0, 1) if label else tp.Property.below(0, 0, 1)


def _decimal(text: str) -> Any:
    """A decimal number, exactly as it is written."""
    from fractions import Fraction

    return Fraction(text)


def _numbers(found: tp.Verdict) -> dict[str, Any]:
    return {
        "status": found.status,
        "counterexample": None if found.point is None else found.point.tolist(),
        "rational_counterexample": None if found.rational is None else [str(v) for v in found.rational],
        "outputs": None if found.outputs is None else [float(v) for v in found.outputs],
        "rational_outputs": None if found.outputs is None else [str(v) for v in found.outputs],
        "float32_outputs": None if found.float32_outputs is None else found.float32_outputs.tolist(),
        "boxes": found.boxes,
        "left": found.left,
        "stopped": found.stopped,
    }


def _show(numbers: Mapping[str, Any], found: tp.Verdict) -> None:
    more = f"; {found.left:.2%} of the box is left" if found.status == "undecided" else ""
    print_facts({"property": numbers["property"], "verdict": found.status + more, "boxes": f"{found.boxes:,} bounded"})
    if found.outputs is None:
        return
    single = [f"{v:.7g}" for v in numbers["float32_outputs"]] if found.float32_outputs is not None else None
    rows = [[k, f"{float(v):.9g}", single[k] if single else "–"] for k, v in enumerate(found.outputs)]
    what = "The counterexample's outputs" if single else "The outputs of a rational counterexample (no float32 point was found)"
    print_table(what, ["output", "exactly", "in float32"], rows, numbers=2)


def _figure(net: tp.PiecewiseLinearNetwork, prop: tp.Property, domain: tp.Box | None, found: tp.Verdict) -> Figure:
    """The outputs at random points of the box, and at the counterexample, with a picture of it."""
    import numpy as np
    import torch

    from tropica.plots import style
    from tropica.plots.pictures import draw_point

    lo, hi = (domain.lo, domain.hi) if domain is not None else _first_box(prop)
    x = np.random.default_rng(0).uniform(lo, hi, (SAMPLES, len(lo)))
    double = net.to(torch.float64)
    with torch.no_grad():
        y = double(torch.from_numpy(x).reshape(-1, *net.input_shape)).numpy()
    violated = found.rational is not None
    figure = style.figure(5.6 if violated else 3.8, 2.8)
    axes = figure.subplots(1, 2 if violated else 1, squeeze=False)[0]
    places = np.arange(y.shape[1])
    axes[0].vlines(places, y.min(0), y.max(0), color=style.BLUE, linewidth=5, alpha=0.4)
    axes[0].plot(places, y.mean(0), "_", color=style.BLUE, markersize=9, label=f"mean and range at {SAMPLES:,} random points")
    if found.outputs is not None and found.rational is not None:
        exact = [float(v) for v in found.outputs]
        axes[0].plot(places, exact, "x", color=style.VERMILION, label="at the counterexample")
        point = np.array([float(v) for v in found.rational]).reshape(net.input_shape)
        draw_point(axes[1], torch.from_numpy(point))
        axes[1].set_title("counterexample")
    style.set_value_axes(axes[0], xlabel="output", ylabel="value", title=f"{prop.name}: {found.status}")
    axes[0].set_xticks(places)
    axes[0].legend(fontsize=6)
    return figure


def _first_box(prop: tp.Property) -> tuple[np.ndarray, np.ndarray]:
    box = prop.cases[0][0]
    assert box is not None
    lo, hi = box.floats()
    return lo, hi
