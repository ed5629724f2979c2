"""``tropica compare``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from tropica.cli import options
from tropica.cli.output import (
    check_writable,
    print_facts,
    print_table,
    resources,
    resources_text,
    save_json,
)


def compare(
    model_a: Annotated[str, typer.Argument(metavar="MODEL_A", help=options.MODEL_HELP, show_default=False)],
    model_b: Annotated[str, typer.Argument(metavar="MODEL_B", help="The other network.", show_default=False)],
    data: options.Data,
    weights_a: Annotated[Path | None, options.optional("--weights-a", "FILE", "The weights of MODEL_A.")] = None,
    weights_b: Annotated[Path | None, options.optional("--weights-b", "FILE", "The weights of MODEL_B.")] = None,
    arg_a: Annotated[list[str] | None, options.optional("--arg-a", "KEY=VALUE", "An argument of MODEL_A's factory.")] = None,
    arg_b: Annotated[list[str] | None, options.optional("--arg-b", "KEY=VALUE", "An argument of MODEL_B's factory.")] = None,
    label: options.Label = None,
    limit: options.TrainingLimit = None,
    test_limit: options.TestLimit = None,
    decomposition: options.Decomposition = options.Method.calibrated,
    memory: options.Memory = None,
    device: options.Device = options.DeviceName.cpu,
    figure: Annotated[
        Path | None, options.optional("--figure", "FILE", "Draw angles and distances of the coefficients to this PNG file.")
    ] = None,
    json: options.Json = None,
) -> None:
    """Compare two networks and their extracted functions on the same data: labels, deciding points, coefficients (Figure 5)."""
    import tropica as tp
    from tropica.cli.compared import draw, load_both
    from tropica.cli.models import load_model

    check_writable(json, figure)
    start = time.perf_counter()
    training, points = load_both(data, limit, test_limit, label)
    nets = [
        load_model(spec, training, weights, arg).to(device.torch)
        for spec, weights, arg in ((model_a, weights_a, arg_a), (model_b, weights_b, arg_b))
    ]
    settings = {"decomposition": decomposition.value, "memory": memory, "progress": True}
    found = tp.compare_models(nets[0], nets[1], training, points, **settings)
    numbers = found.numbers
    rows = [[name, _text(name, value)] for name, value in numbers.items() if value is not None]
    title = f"{points.name}: {len(training):,} training points, {len(points):,} test points"
    print_table(title, ["a: " + model_a + ", b: " + model_b, ""], rows, numbers=1)
    used = resources(start)
    print_facts(resources_text(used))
    if figure is not None:
        pairs, names = (found.angle, found.distance, found.same_label), ("same label", "other label")
        draw(figure, (3.6, 2.9), lambda ax: tp.plots.angle_distance(*pairs, names=names, ax=ax))
    save_json(json, "compare", numbers | used)


def _text(name: str, value: float) -> str:
    if "angle" in name:
        return f"{value:.1f}°"
    return f"{value:.4g}" if "correlation" in name or "distance" in name else f"{value:.2%}"
