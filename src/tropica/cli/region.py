"""``tropica region``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

import tropica as tp
from tropica.cli import options, points
from tropica.cli.command import CommandResult, command
from tropica.cli.output import print_facts, print_table, shape_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NORMS = ("l1", "l2", "linf")
SECONDS_HELP = "Seconds for the facets, in more than 8 dimensions."


@command(
    "tropica train fcn-small --data digits --runs 1 --epochs 3",
    "tropica region networks/fcn-small/seed-0 --data digits --point 0 --max-seconds 1 --out region",
    figure="Draw the cell to this PNG file.",
)
def region(
    source: points.PointOptions,
    max_seconds: Annotated[float, typer.Option("--max-seconds", metavar="S", help=SECONDS_HELP)] = 10.0,
    seed: options.Seed = 0,
) -> CommandResult:
    """Show the region of one point: its affine map, its facets, and how far its border and another label are.

    The region is the cell of the point: all inputs with the same sign vector. Nothing is enumerated, so networks of any size
    and any number of inputs can be asked. Distances lie within the bounds that are written; facets are proven.
    """
    at = source.load(needs_point=True)
    r = tp.cell(at.net, at.x)
    numbers = {"point": at.about, "input_shape": list(at.net.input_shape), "network": at.net.fingerprint}
    numbers |= _measured(r, max_seconds, seed)
    return CommandResult(numbers, lambda: _show(numbers), picture=lambda: _figure(r))


def _measured(r: tp.Cell, max_seconds: float, seed: int) -> dict[str, Any]:
    """The numbers of a cell, one part after the other with a bar."""
    from tropica.runtime.progress import progress_callback

    def facets() -> dict[str, Any]:
        found = r.find_facets(max_seconds=max_seconds, seed=seed)
        return {"count": len(found), "complete": found.complete, "undecided": len(found.undecided), "units": list(found.units)}

    def faces() -> dict[str, Any] | None:
        return {"vertices": r.vertices.reshape(-1, r.dimension).tolist(), "volume": r.volume} if r.small else None

    steps = {
        "map": lambda: {"weight": r.map.weight[0].tolist(), "bias": r.map.bias[0].tolist()},
        "to_facet": lambda: {norm: described(r.distance(norm=norm)) for norm in NORMS},
        "to_label": lambda: {norm: described(r.distance(norm=norm, to="label")) for norm in NORMS},
        "ball": lambda: {"center": r.center.tolist(), "radius": r.radius},
        "facets": facets,
        "faces": faces,
    }
    x, found = r.point.ravel(), {}
    with progress_callback(True) as report:
        for i, (name, step) in enumerate(steps.items()):
            if report is not None:
                report(i, len(steps), "measuring the region")
            found[name] = step()
    out = r.outputs
    return {
        "x": r.point.tolist(),
        "label": out.label(x),
        "outputs": (out.weight @ x + out.bias).tolist(),
        "dimension": r.dimension,
        "inequalities": len(r.borders),
        **found,
    }


def described(found: Any) -> dict[str, Any]:
    """The numbers of a distance."""
    point = None if found.point is None else found.point.tolist()
    return {"value": float(found), "lower": found.lower, "upper": found.upper, "to": found.to, "point": point}


def _show(numbers: Mapping[str, Any]) -> None:
    facets, faces = numbers["facets"], numbers["faces"]
    state = "all of them" if facets["complete"] else f"{facets['undecided']:,} inequalities undecided"
    facts: dict[str, object] = {
        "region": f"{numbers['inequalities']:,} inequalities on inputs of {shape_text(numbers['input_shape'])}",
        "label": f"{numbers['label']}; outputs {', '.join(f'{v:.4g}' for v in numbers['outputs'][:10])}"
        + (" …" if len(numbers["outputs"]) > 10 else ""),
        "facets": f"{facets['count']:,} ({state})",
        "largest ball": f"radius {numbers['ball']['radius']:.6g}",
    }
    if faces is not None:
        facts["vertices"] = f"{len(faces['vertices']):,}; volume {faces['volume']:.6g}"
    rows = [
        [norm, *_texts(numbers["to_facet"][norm]), *_texts(numbers["to_label"][norm], "no other label in the region")]
        for norm in NORMS
    ]
    print_facts(facts)
    headings = ["norm", "to the border", "unit", "to another label in the region", "label"]
    print_table("Distances of the point", headings, rows)


def _texts(found: Mapping[str, Any], none: str = "no border") -> tuple[str, str]:
    return (none, "–") if math.isinf(found["value"]) else (f"{found['value']:.6g}", str(found["to"]))


def _figure(r: tp.Cell) -> Figure:
    from tropica.plots import style

    figure = style.figure(3.8, 3.6) if r.dimension == 2 else style.figure(style.PAPER_WIDTH, 2.4)
    tp.plots.cell(r, ax=figure)
    return figure
