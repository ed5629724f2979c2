"""``tropica regions``."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import tropica as tp
from tropica.cli import options
from tropica.cli.command import CommandResult, command
from tropica.cli.output import print_facts, shape_text
from tropica.cli.reading import read_points
from tropica.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN_HELP = "The plane's margin around its points, in units of J − I, K − I."


@command(
    "tropica train fcn-small --data digits --runs 1 --epochs 3",
    "tropica regions networks/fcn-small/seed-0 --data digits --plane 0 1 2 --out regions",
    figure="Draw the cells and their labels to this PNG file; in two dimensions.",
)
def regions(
    model: options.Model,
    box: Annotated[
        tuple[float, float] | None, options.optional("--box", "LO HI", "The box LO ≤ x ≤ HI, the same for all inputs.")
    ] = None,
    space: Annotated[bool, typer.Option("--space", help="All of the input space.")] = False,
    plane: Annotated[
        tuple[int, int, int] | None, options.optional("--plane", "I J K", "The plane through three points of --data.")
    ] = None,
    margin: Annotated[float, typer.Option("--margin", metavar="T", min=0, help=MARGIN_HELP)] = 0.25,
    data: options.DataIfAny = None,
    subset: options.InSubset = options.Subset.train,
    label: options.Label = None,
    inputs: options.Inputs = None,
    weights: options.Weights = None,
    arg: options.Arg = None,
    max_cells: Annotated[int | None, options.optional("--max-cells", "N", "Stop after about this many cells.", min=1)] = None,
    max_seconds: options.MaxSeconds = None,
    threads: int | None = None,
    figure: Path | None = None,
) -> CommandResult:
    """Count the linear regions of a model on a box, on all of space, or on the plane through three data points, exactly.

    A cell is a set with one sign vector, a linear region a connected set on which the model is one affine function, an
    affine map such a function. The command is for few inputs or a plane: in more dimensions there are too many cells.
    """
    from tropica.cli.models import load_model
    from tropica.runtime.progress import waiting

    if sum((box is not None, space, plane is not None)) != 1:
        raise InputError("one domain is needed: --box LO HI, --space, or --plane I J K")
    if plane is not None and data is None:
        raise InputError("--plane I J K takes three points of --data")
    if label is not None and data is None:
        raise InputError("--label names a column of --data")
    points = read_points(data, subset.value, label=label, targets=True) if data is not None else None
    net = load_model(model, points, weights, arg, inputs)
    if plane is not None and points is not None:
        domain, described = _plane(plane, margin, points)
    elif box is not None:
        domain, described = tp.Box(*box, d=math.prod(net.input_shape)), {"kind": "box", "lo": box[0], "hi": box[1]}
    else:
        domain, described = tp.Space(math.prod(net.input_shape)), {"kind": "space"}
    if figure is not None and (domain.dimension != 2 or space):
        found = "all of space" if space else f"dimension {domain.dimension}"
        raise InputError(f"--figure: cells are drawn on a box or a plane of dimension 2; this domain is {found}")
    start = time.perf_counter()
    cx = tp.linear_regions(net, domain, threads=threads, max_cells=max_cells, max_seconds=max_seconds, progress=True)
    seconds = time.perf_counter() - start
    with waiting("the decision boundary"):
        numbers = _numbers(net, cx) | {"seconds": seconds}
    numbers["domain"] = described | {"dimension": cx.dimension}
    picture = (lambda: _figure(cx, points, plane)) if cx.dimension == 2 and not space else None
    return CommandResult(numbers, lambda: _print(numbers), picture=picture)


def _plane(plane: tuple[int, int, int], margin: float, points: tp.LabelledData) -> tuple[tp.Plane, dict[str, Any]]:
    """The plane through three points, and its description."""
    missing = [i for i in plane if not 0 <= i < len(points)]
    if missing:
        raise InputError(f"--plane: there is no point {missing[0]}; {points.name} has points 0 … {len(points) - 1}")
    i, j, k = plane
    domain = tp.Plane.through(points.inputs[i], points.inputs[j], points.inputs[k], margin)
    return domain, {"kind": "plane", "points": list(plane), "margin": margin, "data": points.name}


def _numbers(net: tp.PiecewiseLinearNetwork, cx: tp.RegionComplex) -> dict[str, Any]:
    """Counts, the decision boundary, and upper bounds on the number of regions."""
    from tropica.bounds.table import bounds_of

    boundary = cx.boundary()
    bounds: dict[str, int] = {}
    if cx.dimension == math.prod(net.input_shape):  # the bounds are for all of the input space, not for a plane in it
        with contextlib.suppress(InputError):  # not a chain of dense layers
            bounds = {name: value for name, (kind, value) in bounds_of(net).items() if kind == "upper"}
    return {
        "cells": len(cx.cells),
        "regions": len(cx.regions),
        "maps": len(cx.maps),
        "complete": cx.complete,
        "stopped": cx.stopped,
        "certified": cx.certified and boundary.undecided == 0,
        "undecided": cx.undecided + boundary.undecided,
        "undecided_maps": cx.undecided_maps,
        "boundary": {"size": boundary.measure, "pieces": len(boundary)},
        "upper_bounds": bounds,
        "input_shape": list(net.input_shape),
        "network": net.fingerprint,
    }


def _print(numbers: Mapping[str, Any]) -> None:
    domain, bounds = numbers["domain"], numbers["upper_bounds"]
    described = {
        "box": f"{domain.get('lo')} ≤ x ≤ {domain.get('hi')}",
        "space": "all of space",
        "plane": f"the plane through points {', '.join(map(str, domain.get('points', ())))} of {domain.get('data')}",
    }[domain["kind"]]
    measure = {1: "points", 2: "length", 3: "area"}.get(domain["dimension"], "size")
    size, pieces = numbers["boundary"]["size"], numbers["boundary"]["pieces"]
    facts: dict[str, object] = {
        "domain": f"{described}, dimension {domain['dimension']} (inputs {shape_text(numbers['input_shape'])})",
        "cells": f"{numbers['cells']:,}" if numbers["complete"] else f"{numbers['cells']:,}, not all: {numbers['stopped']}",
        "linear regions": f"{numbers['regions']:,}",
        "affine maps": f"{numbers['maps']:,}",
        "certified": "yes" if numbers["certified"] else "no" if not numbers["complete"] else _undecided(numbers),
        "decision boundary": f"{measure} {size:.6g}, {pieces:,} pieces" if pieces else "none: one label everywhere",
    }
    if bounds:
        smallest = min(bounds, key=lambda name: bounds[name])
        facts["upper bound"] = f"{bounds[smallest]:,} ({smallest}), the smallest of {len(bounds)}"
    print_facts(facts)


def _undecided(numbers: Mapping[str, Any]) -> str:
    counts = {"signs": numbers["undecided"], "maps": numbers["undecided_maps"]}
    return f"no: {' and '.join(f'{count:,} {name}' for name, count in counts.items() if count)} were left to floating point"


def _figure(cx: tp.RegionComplex, points: tp.LabelledData | None, plane: tuple[int, int, int] | None) -> Figure:
    """The cells, with the three points of a plane."""
    from tropica.plots import style

    corners = None if plane is None else [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    labels = None if plane is None or points is None or points.labels is None else points.labels[list(plane)]
    figure = style.figure(6.0, 4.2)
    tp.plots.regions(cx, data=corners, labels=labels, ax=figure.add_subplot())
    return figure
