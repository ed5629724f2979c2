"""``tropica output-range``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

import tropica as tp
from tropica.cli import options, points
from tropica.cli.command import CommandResult, command
from tropica.cli.output import print_facts, print_table, shape_text
from tropica.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OBJECTIVE_HELP = (
    "What is minimized and maximized: the number of an output, or the coefficients of a sum of outputs, separated by commas: "
    "1,-1,0 is output 0 minus output 1; or lipschitz, the norm of the Jacobian (--norm), on boxes of up to 8 inputs."
)
NORM_HELP = "The norm for lipschitz, of inputs and outputs; l2 needs --output, and gives squares."
MaxBoxes = Annotated[int | None, options.optional("--max-boxes", "N", "Stop after about this many boxes.", min=1)]

LIPSCHITZ = "lipschitz"


class Norm(StrEnum):
    """Norms of the Jacobian."""

    l1 = "l1"
    l2 = "l2"
    linf = "linf"


@command(
    "tropica output-range tropica.studies.networks:build --arg name=fcn-small --arg input_shape=[2] --arg num_classes=2 "
    "--arg seed=0 --inputs 2 --box -1 1 --objective 1,-1 --figure range.png",
    figure="Draw the outputs on the way from the minimum to the maximum to this PNG file.",
)
def output_range(
    *,
    box: points.BoxOptions,
    objective: Annotated[str, typer.Option("--objective", metavar="OUTPUT", help=OBJECTIVE_HELP)] = "0",
    norm: Annotated[Norm | None, options.optional("--norm", None, NORM_HELP)] = None,
    output: Annotated[int | None, options.optional("--output", "N", "One output for lipschitz; by default all.", min=0)] = None,
    source: points.PointOptions,
    max_boxes: MaxBoxes = None,
    max_seconds: options.SearchSeconds = 60.0,
    seed: options.Seed = 0,
) -> CommandResult:
    """Find the exact minimum and maximum of an output, a sum of outputs, or the norm of the Jacobian, on a box.

    Extremes are rational numbers with the points that attain them. Within --max-boxes or --max-seconds (of each of the two,
    60 by default), and on many boxes of more than 8 inputs, the best value found comes with a proven bound. Ctrl-C ends the
    search as a limit does.
    """
    at = source.load(needs_point=False)
    domain, described = points.make_box(at, box)
    wanted = _objective(objective)
    limits = {"max_boxes": max_boxes, "max_seconds": max_seconds}
    of = {"norm": None if norm is None else norm.value, "output": output}
    found = tp.output_range(at.net, domain, wanted, **of, **limits, seed=seed, progress=True)  # type: ignore[arg-type]
    numbers = {
        "domain": described | {"dimension": domain.dimension},
        "objective": wanted,
        **of,
        "minimum": _extreme(found.minimum),
        "maximum": _extreme(found.maximum),
        "exact": found.exact,
        "stopped": found.stopped,
        "boxes": found.boxes,
        "cells": found.cells,
        "input_shape": list(at.net.input_shape),
        "network": at.net.fingerprint,
    }
    return CommandResult(numbers, lambda: _show(numbers), picture=lambda: _figure(at.net, found))


def _objective(text: str) -> int | list[float] | str:
    """An output by number, coefficients, or "lipschitz"."""
    if text == LIPSCHITZ:
        return text
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(
            f"--objective {text!r}: the number of an output, numbers separated by commas, or {LIPSCHITZ} is needed"
        ) from None


def _extreme(extreme: Any) -> dict[str, Any]:
    return {
        "value": float(extreme.value),
        "rational": str(extreme.value),
        "bound": float(extreme.bound),
        "exact": extreme.exact,
        "point": extreme.point.tolist(),
        "rational_point": [str(v) for v in extreme.rational],
    }


def _show(numbers: Mapping[str, Any]) -> None:
    rows = [
        [
            name,
            f"{one['value']:.9g}",
            "exact" if one["exact"] else f"bound {one['bound']:.9g}",
            ", ".join(f"{float(v):.5g}" for v in _flat(one["point"])),
        ]
        for name in ("minimum", "maximum")
        for one in [numbers[name]]
    ]
    shape = shape_text(numbers["input_shape"])
    title = f"The range of {_text(numbers['objective'])} on a box of dimension {numbers['domain']['dimension']}, inputs {shape}"
    print_table(title, ["", "value", "proven", "at"], rows)
    stopped = f"; {numbers['stopped']} stopped the search" if numbers["stopped"] else ""
    print_facts({"boxes": f"{numbers['boxes']:,} bounded, {numbers['cells']:,} cells visited{stopped}"})


def _flat(nested: Any) -> list[float]:
    return [v for part in nested for v in _flat(part)] if isinstance(nested, list) else [nested]


def _text(objective: int | list[float] | str) -> str:
    if isinstance(objective, str):
        return "the norm of the Jacobian"
    if isinstance(objective, int):
        return f"output {objective}"
    return " ".join(f"{c:+g}·y{k}" for k, c in enumerate(objective) if c) or "0"


def _figure(net: tp.PiecewiseLinearNetwork, found: tp.OutputRange) -> Figure:
    from tropica.plots import style

    figure = style.figure(5.2, 3.0)
    ax = figure.add_subplot()
    ends = [one.point.ravel() for one in (found.minimum, found.maximum)]
    if (ends[0] == ends[1]).all():
        ax.text(0.5, 0.5, "the function is constant on the box", ha="center", transform=ax.transAxes)
        return figure
    tp.plots.segment(
        tp.linear_regions(net, tp.Segment(*ends)), ax=ax, title=f"{float(found.minimum):.6g} … {float(found.maximum):.6g}"
    )
    ax.set_xlabel("from the minimum (0) to the maximum (1)")
    return figure
