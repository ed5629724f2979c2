"""``tropica compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tropica.cli import options
from tropica.cli.command import CommandResult, command
from tropica.cli.output import print_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@command(
    "tropica train fcn-small --data digits --runs 2 --epochs 3",
    "tropica compare networks/fcn-small/seed-0 networks/fcn-small/seed-1 --data digits --limit 300 --figure compared.png",
    figure="Draw angles and distances of the coefficients to this PNG file.",
)
def compare(
    model_a: Annotated[str, typer.Argument(metavar="MODEL_A", help=options.MODEL_HELP, show_default=False)],
    model_b: Annotated[str, typer.Argument(metavar="MODEL_B", help="The other network.", show_default=False)],
    data: options.Data,
    limit: options.TrainingLimit = None,
    test_limit: options.TestLimit = None,
    label: options.Label = None,
    weights_a: Annotated[Path | None, options.optional("--weights-a", "FILE", "The weights of MODEL_A.")] = None,
    weights_b: Annotated[Path | None, options.optional("--weights-b", "FILE", "The weights of MODEL_B.")] = None,
    arg_a: Annotated[list[str] | None, options.optional("--arg-a", "KEY=VALUE", "An argument of MODEL_A's factory.")] = None,
    arg_b: Annotated[list[str] | None, options.optional("--arg-b", "KEY=VALUE", "An argument of MODEL_B's factory.")] = None,
    decomposition: options.Decomposition = options.Method.calibrated,
    memory: options.Memory = None,
    device: options.Device = options.DeviceName.cpu,
) -> CommandResult:
    """Compare two networks and their extracted functions on the same data: labels, deciding points, coefficients (Figure 5)."""
    import tropica as tp
    from tropica.cli.compared import load_both
    from tropica.cli.models import load_model

    training, points = load_both(data, limit, test_limit, label)
    nets = [
        load_model(spec, training, weights, arg).to(device.torch)
        for spec, weights, arg in ((model_a, weights_a, arg_a), (model_b, weights_b, arg_b))
    ]
    settings = {"decomposition": decomposition.value, "memory": memory, "progress": True}
    found = tp.compare_models(nets[0], nets[1], training, points, **settings)

    def show() -> None:
        rows = [[name, _text(name, value)] for name, value in found.numbers.items() if value is not None]
        title = f"{points.name}: {len(training):,} training points, {len(points):,} test points"
        print_table(title, [f"a: {model_a}, b: {model_b}", ""], rows, numbers=1)

    def picture() -> Figure:
        from tropica.plots import style

        figure = style.figure(3.6, 2.9)
        pairs, names = (found.angle, found.distance, found.same_label), ("same label", "other label")
        tp.plots.angle_distance(*pairs, names=names, ax=figure.add_subplot())
        return figure

    return CommandResult(found.numbers, show, picture=picture)


def _text(name: str, value: float) -> str:
    if "angle" in name:
        return f"{value:.1f}°"
    return f"{value:.4g}" if "correlation" in name or "distance" in name else f"{value:.2%}"
