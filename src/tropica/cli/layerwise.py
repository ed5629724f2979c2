"""``tropica layerwise``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from tropica.cli import options
from tropica.cli.output import (
    check_writable,
    print_facts,
    print_table,
    resources,
    resources_text,
    save_json,
)

AT_HELP = "A tensor to cut at, as for extract --at; may be repeated. By default one before each layer."


def layerwise(
    model: options.Model,
    data: options.Data,
    weights: options.Weights = None,
    arg: options.Arg = None,
    label: options.Label = None,
    limit: options.TrainingLimit = None,
    test_limit: options.TestLimit = None,
    at: Annotated[list[str] | None, options.optional("--at", "NAME", AT_HELP)] = None,
    decomposition: options.Decomposition = options.Method.calibrated,
    dtype: options.Dtype = None,
    memory: options.Memory = None,
    device: options.Device = options.DeviceName.cpu,
    figure: Annotated[Path | None, options.optional("--figure", "FILE", "Draw the curves to this PNG file.")] = None,
    json: options.Json = None,
) -> None:
    """Merge layer after layer, from the output on, into an extracted function: accuracy and agreement (Figure 3)."""
    import tropica as tp
    from tropica.cli.compared import draw, load_both
    from tropica.cli.models import load_model

    check_writable(json, figure)
    start = time.perf_counter()
    training, points = load_both(data, limit, test_limit, label)
    net = load_model(model, training, weights, arg).to(device.torch)
    net = net if dtype is None else net.to(dtype.torch)
    settings = {"at": at, "decomposition": decomposition.value, "memory": memory, "progress": True}
    found = tp.layerwise(net, training, points, **settings)
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
    numbers = {"rows": [vars(row) for row in found.rows], "terms": found.terms, "points": found.points, **resources(start)}
    print_facts(resources_text(numbers))
    if figure is not None:
        draw(figure, (4.2, 2.8), lambda ax: tp.plots.layers(found, title=points.name, ax=ax))
    save_json(json, "layerwise", numbers)
