"""``tropica attributions``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

import tropica as tp
from tropica.cli import options
from tropica.cli.command import CommandResult, command
from tropica.cli.output import print_facts, print_table
from tropica.cli.points import NUMBERS_HELP, parse_numbers, shaped
from tropica.cli.reading import read_points
from tropica.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

POINT_HELP = "The number of a point; may be repeated. By default the first five points."
BASELINE_HELP = f"Where the paths begin: zero, mean (of these data), or a point: {NUMBERS_HELP}."
TARGET_HELP = "The output that is attributed; by default the label at each point."
FIRST = 5
DRAWN = 8
"""Points that are drawn."""


@command(
    "tropica train fcn-small --data digits --runs 1 --epochs 3",
    "tropica attributions networks/fcn-small/seed-0 --data digits --point 3 --point 8 --baseline mean --out attributions",
    figure=f"Draw the first {DRAWN} points and their attributions to this PNG file.",
)
def attributions(
    model: options.Model,
    data: options.Data,
    subset: options.InSubset = options.Subset.test,
    limit: options.Limit = None,
    label: options.Label = None,
    point: Annotated[list[int] | None, options.optional("--point", "N", POINT_HELP, min=0)] = None,
    baseline: Annotated[str, typer.Option("--baseline", metavar="POINT", help=BASELINE_HELP)] = "zero",
    target: Annotated[int | None, options.optional("--target", "K", TARGET_HELP, min=0)] = None,
    weights: options.Weights = None,
    arg: options.Arg = None,
) -> CommandResult:
    """Attribute an output to the inputs by integrated gradients, exactly: from all breakpoints of the path, without steps.

    The residual is what completeness misses, relative to the sum of all terms; tied is the share of the path inside a
    hyperplane, where attributions are not unique.
    """
    from tropica.cli.models import load_model

    points = read_points(data, subset.value, limit=limit, label=label, targets=True)
    net = load_model(model, points, weights, arg)
    chosen = list(dict.fromkeys(point or range(min(FIRST, len(points)))))
    outside = [number for number in chosen if number >= len(points)]
    if outside:
        raise InputError(f"--point {outside[0]}: {points.name} has the points 0 … {len(points) - 1}")
    if target is not None and target >= net.num_outputs:
        raise InputError(f"--target {target}: the outputs are 0 … {net.num_outputs - 1}")
    x = points.inputs[chosen]
    found = tp.integrated_gradients(net, x, _baseline(baseline, net, points), target=target, progress=True)
    rows = [
        {
            "point": number,
            "target": int(found.target[i]),
            "residual": float(found.residual[i]),
            "tied": float(found.tied[i]),
            "pieces": int(found.pieces[i]),
            "sum": float(found.values[i].sum()),
            "values": found.values[i].tolist(),
        }
        for i, number in enumerate(chosen)
    ]
    numbers = {"points": rows, "baseline": baseline, "data": points.name, "subset": subset.value, "network": net.fingerprint}
    return CommandResult(numbers, lambda: _show(numbers), picture=lambda: _figure(x, found, chosen))


def _baseline(text: str, net: tp.PiecewiseLinearNetwork, points: tp.LabelledData) -> Tensor | None:
    """The baseline of ``--baseline``; None is zero."""
    import torch

    if text == "zero":
        return None
    if text == "mean":
        return points.inputs.double().mean(0)
    return torch.from_numpy(shaped(parse_numbers(text, "--baseline"), net, "--baseline"))


def _show(numbers: Mapping[str, Any]) -> None:
    cells = [
        [one["point"], one["target"], f"{one['sum']:.5g}", f"{one['pieces']:,}", f"{one['residual']:.1e}", f"{one['tied']:.1%}"]
        for one in numbers["points"]
    ]
    title = f"Integrated gradients on {numbers['data']}, {numbers['subset']}, from the baseline {numbers['baseline']}"
    print_table(title, ["point", "output", "sum", "pieces", "residual", "tied"], cells, numbers=5)
    worst = max(one["residual"] for one in numbers["points"])
    print_facts({"largest residual": f"{worst:.1e} of the sum of all terms"})


def _figure(x: Tensor, found: tp.Attributions, chosen: list[int]) -> Figure:
    """The points above their attributions, on one scale."""
    from tropica.plots import style
    from tropica.plots.pictures import coefficient_limit, draw_coefficients, draw_point

    count = min(len(chosen), DRAWN)
    figure = style.figure(max(2.4, 1.15 * count), 2.8)
    axes = figure.subplots(2, count, squeeze=False)
    limit = coefficient_limit(*found.values[:count])
    for i in range(count):
        draw_point(axes[0, i], x[i])
        axes[0, i].set_title(f"point {chosen[i]}", fontsize=7)
        draw_coefficients(axes[1, i], found.values[i], limit)
        axes[1, i].set_title(f"output {int(found.target[i])}", fontsize=7)
    return figure
