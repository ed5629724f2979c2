"""``tropica regions``."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Annotated, Any, Optional

import torch
import typer

from tropica.cli.models import ModelChoice
from tropica.cli.options import DATA_HELP, Args, DataSplit, Model, Split, Weights
from tropica.cli.output import checked, save_json, say_written, shape_text, show_facts
from tropica.data.labelled import LabelledData
from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.regions.complex import RegionComplex
from tropica.regions.domains import Box, Plane, Space
from tropica.regions.linear_regions import linear_regions
from tropica.runtime.files import writable_folder, write_file
from tropica.studies.datasets.load import load_data

Points = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--data", metavar="SPEC", help=f"For --plane: {DATA_HELP}", show_default=False),
]
Inputs = Annotated[
    int, typer.Option("--inputs", metavar="N", min=1, help="How many numbers the model takes, where no --data say so.")
]
InBox = Annotated[
    Optional[tuple[float, float]],  # noqa: UP045
    typer.Option("--box", metavar="LO HI", help="On the box LO ≤ x ≤ HI, the same for all inputs.", show_default=False),
]
InSpace = Annotated[bool, typer.Option("--space", help="On all of the input space.")]
InPlane = Annotated[
    Optional[tuple[int, int, int]],  # noqa: UP045
    typer.Option("--plane", metavar="I J K", help="On the plane through three points of --data.", show_default=False),
]
Margin = Annotated[
    float, typer.Option("--margin", metavar="T", min=0, help="Of the plane around its points, times J − I, K − I.")
]
Out = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--out", "-o", metavar="DIR", help="Write regions.json and, in two dimensions, regions.png.", show_default=False
    ),
]


def regions(
    model: Model,
    box: InBox = None,
    space: InSpace = False,
    plane: InPlane = None,
    data: Points = None,
    data_split: DataSplit = Split.train,
    margin: Margin = 0.25,
    inputs: Inputs = 2,
    weights: Weights = None,
    arg: Args = None,
    out: Out = None,
) -> None:
    """Count the linear regions of a model on a box, on all of space, or on the plane through three data points, exactly.

    Cells have one activation pattern each, regions are connected sets on which the model is one affine function, and maps are
    these functions. Meant for few inputs, or a plane: in more than a few dimensions there are too many cells.
    """
    if sum((box is not None, space, plane is not None)) != 1:
        raise InputError("one domain is needed: --box LO HI, --space, or --plane I J K")
    if plane is not None and data is None:
        raise InputError("--plane I J K takes three points of --data")
    if out is not None:
        writable_folder(out)
        if out.is_dir():
            checked(out / "regions.json", out / "regions.png")
    chosen = ModelChoice(model, weights, arg or ())
    points = load_data(data, split=data_split.value) if data is not None else None
    net = chosen.network(points if points is not None else LabelledData(torch.zeros(2, inputs), None, f"--inputs {inputs}"))
    domain, corners = _domain(net, box, plane, margin, points)
    start = time.perf_counter()
    cx = linear_regions(net, domain)
    numbers = _numbers(net, cx) | {"seconds": time.perf_counter() - start}
    numbers["domain"] = _described(box, plane, margin, points) | {"dimension": cx.dimension}
    _show(numbers)
    if out is not None:
        if cx.dimension == 2 and not space:
            say_written(write_file(out / "regions.png", _figure(cx, points, corners)))
        out.mkdir(parents=True, exist_ok=True)
        save_json(out / "regions.json", "regions", numbers)


def _domain(
    net: PiecewiseLinearNetwork,
    box: tuple[float, float] | None,
    plane: tuple[int, int, int] | None,
    margin: float,
    points: LabelledData | None,
) -> tuple[Box | Plane | Space, list[int]]:
    """The domain, and the data points in it."""
    size = torch.Size(net.input_shape).numel()
    if plane is not None:
        assert points is not None
        beyond = [i for i in plane if not 0 <= i < len(points)]
        if beyond:
            raise InputError(f"--plane: there is no point {beyond[0]}; {points.name} has points 0 … {len(points) - 1}")
        a, b, c = (points.inputs[i] for i in plane)
        return Plane.through(a, b, c, margin), list(plane)
    return (Box(*box, d=size) if box is not None else Space(size)), []


def _described(box: Any, plane: Any, margin: float, points: LabelledData | None) -> dict[str, Any]:
    if box is not None:
        return {"kind": "box", "lo": box[0], "hi": box[1]}
    if plane is None:
        return {"kind": "space"}
    assert points is not None
    return {"kind": "plane", "points": list(plane), "margin": margin, "data": points.name}


def _numbers(net: PiecewiseLinearNetwork, cx: RegionComplex) -> dict[str, Any]:
    """Counts, boundary, bounds."""
    from tropica.bounds.table import bounds_of

    boundary = cx.boundary()
    bounds: dict[str, int] = {}
    if cx.dimension == torch.Size(net.input_shape).numel():  # on a plane the bounds of the whole space say little
        with contextlib.suppress(InputError):  # not a chain of dense layers
            bounds = {name: value for name, (kind, value) in bounds_of(net).items() if kind == "upper"}
    return {
        "cells": len(cx.cells),
        "regions": len(cx.regions),
        "maps": len(cx.maps),
        "certified": cx.certified and boundary.undecided == 0 and cx.undecided_maps == 0,
        "undecided": cx.undecided + boundary.undecided,
        "undecided_maps": cx.undecided_maps,
        "boundary": {"size": boundary.measure, "pieces": len(boundary)},
        "upper_bounds": bounds,
        "input_shape": list(net.input_shape),
        "network": net.fingerprint,
    }


def _show(numbers: dict[str, Any]) -> None:
    domain, bounds = numbers["domain"], numbers["upper_bounds"]
    where = {
        "box": f"{domain.get('lo')} ≤ x ≤ {domain.get('hi')}",
        "space": "all of space",
        "plane": f"the plane through points {', '.join(map(str, domain.get('points', ())))} of {domain.get('data')}",
    }[domain["kind"]]
    word = {1: "points", 2: "length"}.get(domain["dimension"], "area" if domain["dimension"] == 3 else "size")
    size, pieces = numbers["boundary"]["size"], numbers["boundary"]["pieces"]
    facts: dict[str, object] = {
        "domain": f"{where}, dimension {domain['dimension']} (inputs {shape_text(numbers['input_shape'])})",
        "activation cells": f"{numbers['cells']:,}",
        "linear regions": f"{numbers['regions']:,}",
        "affine maps": f"{numbers['maps']:,}",
        "certified": "yes" if numbers["certified"] else _open(numbers),
        "decision boundary": f"{word} {size:.6g}, {pieces:,} pieces" if pieces else "none: one label throughout",
    }
    if bounds:
        smallest = min(bounds, key=lambda name: bounds[name])
        facts["upper bound"] = f"{bounds[smallest]:,} ({smallest}), of {len(bounds)}"
    show_facts(facts | {"seconds": f"{numbers['seconds']:.2f}"})


def _open(numbers: dict[str, Any]) -> str:
    """What was not proven."""
    signs, maps = numbers["undecided"], numbers["undecided_maps"]
    found = [f"{signs:,} signs"] if signs else []
    found += [f"{maps:,} maps"] if maps else []
    return f"no: {' and '.join(found)} were left to floating point"


def _figure(cx: RegionComplex, points: LabelledData | None, corners: list[int]) -> bytes:
    import io

    from tropica.plots import regions as draw  # brings matplotlib
    from tropica.plots import style

    labels = points.labels[corners] if points is not None and corners and points.labels is not None else None
    with style.applied():
        figure = style.figure(6.0, 4.2)
        at = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]] if corners else None
        draw(cx, data=at, labels=labels, ax=figure.add_subplot())
        raw = io.BytesIO()
        figure.savefig(raw, format="png")
    return raw.getvalue()
