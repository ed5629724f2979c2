"""``tropica layerwise``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from tropica.cli import options
from tropica.cli.command import CommandResult, command
from tropica.cli.output import print_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AT_HELP = "A tensor to cut at, as for extract --at; may be repeated. By default one before each layer."


@command(
    "tropica train fcn-small --data digits --runs 1 --epochs 3",
    "tropica layerwise networks/fcn-small/seed-0 --data digits --limit 300 --figure layers.png",
    figure="Draw the curves to this PNG file.",
)
def layerwise(
    model: options.Model,
    data: options.Data,
    limit: options.TrainingLimit = None,
    test_limit: options.TestLimit = None,
    label: options.Label = None,
    weights: options.Weights = None,
    arg: options.Arg = None,
    at: Annotated[list[str] | None, options.optional("--at", "NAME", AT_HELP)] = None,
    decomposition: options.Decomposition = options.Method.calibrated,
    dtype: options.Dtype = None,
    memory: options.Memory = None,
    device: options.Device = options.DeviceName.cpu,
) -> CommandResult:
    """Merge layer after layer, from the output on, into an extracted function: accuracy and agreement (Figure 3)."""
    import tropica as tp
    from tropica.cli.compared import load_both
    from tropica.cli.models import load_model

    training, points = load_both(data, limit, test_limit, label)
    net = load_model(model, training, weights, arg).to(device.torch)
    net = net if dtype is None else net.to(dtype.torch)
    settings = {"at": at, "decomposition": decomposition.value, "memory": memory, "progress": True}
    found = tp.layerwise(net, training, points, **settings)

    def show() -> None:
        rows = [
            [
                row.merged,
                row.layer or "none",
                row.at,
                f"{row.agreement:.2%}",
                "–" if row.accuracy is None else f"{row.accuracy:.2%}",
            ]
            for row in found.rows
        ]
        title = f"{points.name}: {found.terms:,} terms, {decomposition.value} decomposition, {found.points:,} test points"
        print_table(title, ["merged", "last layer", "function of", "agreement with N", "accuracy"], rows, numbers=2)

    def picture() -> Figure:
        from tropica.plots import style

        figure = style.figure(4.2, 2.8)
        tp.plots.layers(found, title=points.name, ax=figure.add_subplot())
        return figure

    numbers = {"rows": [vars(row) for row in found.rows], "terms": found.terms, "points": found.points}
    return CommandResult(numbers, show, picture=picture)
