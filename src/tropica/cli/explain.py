"""``tropica explain``."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tropica.cli import options
from tropica.cli.command import CommandResult, command, png_of
from tropica.cli.output import print_line, print_table
from tropica.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    import tropica as tp

MODEL_HELP = f"The network that the terms were extracted from. {options.MODEL_HELP}"
TRAIN_HELP = "The data of the terms, in their order (the training points of --data by default)."
POINT_HELP = "The number of a point to explain; may be repeated. By default the first points that N^(X) gets wrong."
OUTPUT_HELP = "With terms of a regression of several outputs: the output to explain."
WRONG = 5


@command(
    "tropica train fcn-small --data digits --runs 1 --epochs 3",
    "tropica extract networks/fcn-small/seed-0 --data digits --out terms",
    "tropica explain terms --model networks/fcn-small/seed-0 --data digits --point 8 --out explained",
)
def explain(
    terms: options.Terms,
    model: Annotated[str, options.optional("--model", "MODEL", MODEL_HELP)],
    data: options.Data,
    subset: options.InSubset = options.Subset.test,
    limit: options.Limit = None,
    label: options.Label = None,
    train: Annotated[str | None, options.optional("--train", "SPEC", TRAIN_HELP)] = None,
    weights: options.Weights = None,
    arg: options.Arg = None,
    point: Annotated[list[int] | None, options.optional("--point", "N", POINT_HELP, min=0)] = None,
    k: Annotated[int, typer.Option("--terms", "-k", metavar="K", min=1, help="The number of terms for each point.")] = 5,
    output: Annotated[int | None, options.optional("--output", "N", OUTPUT_HELP, min=0)] = None,
    memory: options.Memory = None,
    device: options.Device = options.DeviceName.cpu,
    out: Annotated[
        Path | None,
        options.optional("--out", "DIR", "Write a figure for each point, and explain.csv, to this folder.", short="-o"),
    ] = None,
) -> CommandResult:
    """Explain the labels or values of N^(X): the active term, the runners-up, and the training points behind them."""
    import tropica as tp
    from tropica.cli.compared import load_compared
    from tropica.data.batches import as_batches
    from tropica.runtime.files import writable_folder

    folder = None if out is None else writable_folder(out)
    about = {"subset": subset.value, "limit": limit, "label": label, "weights": weights, "arg": arg, "memory": memory}
    found = load_compared(terms, model, data, train, device=device, **about)  # type: ignore[arg-type]
    chosen = _chosen(found.function, found.inputs, found.points, point)
    import torch

    batches = list(as_batches(found.inputs, 1024))
    x, y = torch.cat(batches)[chosen], None if found.points.labels is None else found.points.labels[chosen]
    regression = found.function.task == "regression"
    y = None if regression else y  # the labels of the data are no values
    names = {} if regression else {"class_names": found.points.class_names}
    names |= {"feature_names": found.points.feature_names} if x.ndim == 2 and found.inputs is found.points else {}
    explained = tp.explain(found.net, found.function, x, y, k, data=found.training, output=output, progress=True, **names)
    rows = [{"point": chosen[i], **row} for i, row in enumerate(_numbers(explained))]
    files: dict[Path, Callable[[], bytes | str]] = {}
    if folder is not None:
        files[folder / "explain.csv"] = lambda: _csv(explained, chosen)
        for i, number in enumerate(chosen):
            files[folder / f"point-{number}.png"] = functools.partial(png_of, functools.partial(_figure, explained, i))
    numbers = {"points": rows, "same_network": explained.same_network}
    return CommandResult(numbers, lambda: _print(explained, chosen), files=files)


def _csv(explained: tp.Explanation, chosen: list[int]) -> str:
    """The table of all points, by their numbers in the data."""
    frame = explained.to_dataframe()
    frame["point"] = [chosen[i] for i in frame["point"]]
    return frame.to_csv(index=False, lineterminator="\n")


def _chosen(f: tp.ExtractedFunction, inputs: object, points: tp.LabelledData, given: list[int] | None) -> list[int]:
    """The numbers of the points: those given, or the first that N^(X) gets wrong, or the first of all."""
    if given:
        outside = [number for number in given if number >= len(points)]
        if outside:
            raise InputError(f"--point {outside[0]}: {points.name} has the points 0 … {len(points) - 1}")
        return list(dict.fromkeys(given))
    if points.labels is None or f.task == "regression":
        return list(range(min(WRONG, len(points))))
    wrong = (f.predict(inputs, progress=True) != points.labels).nonzero().flatten()  # type: ignore[arg-type]
    return wrong[:WRONG].tolist() or list(range(min(WRONG, len(points))))


def _numbers(explained: tp.Explanation) -> list[dict[str, object]]:
    frame = explained.to_dataframe()
    return [
        {
            "network_label": int(explained.network_label[i]),
            "extracted_label": int(explained.extracted_label[i]),
            "true_label": None if explained.true_label is None else int(explained.true_label[i]),
            **_values(explained, i),
            "margin": float(explained.margin[i]),
            "second_label": int(explained.second_label[i]),
            "nearest": int(explained.nearest.index[i]),
            "terms": part.drop(columns="point").to_dict("records"),
        }
        for i in range(len(explained))
        for part in [frame[frame["point"] == i]]
    ]


def _values(explained: tp.Explanation, i: int) -> dict[str, float | None]:
    """The values of a regression."""
    if explained.output is None or explained.network_value is None:
        return {}
    true = None if explained.true_value is None else float(explained.true_value[i])
    extracted = float(explained.values[i, explained.output])
    return {"network_value": float(explained.network_value[i]), "extracted_value": extracted, "true_value": true}


def _print(explained: tp.Explanation, chosen: list[int]) -> None:
    frame, kind = explained.to_dataframe(), "label" if explained.output is None else "output"
    headings = ["term", kind, "value", "angle", "coefficients apart", "point apart", "shared activations"]
    for i, number in enumerate(chosen):
        title = explained.heading(i).replace(f"point {i}:", f"point {number}:", 1)
        part = frame[frame["point"] == i]
        shared = part[[name for name in part.columns if name.startswith("shared_")]].mean(axis=1)
        cells = [
            [
                row.term,
                getattr(row, kind),
                f"{row.value:.5g}",
                f"{row.angle:.1f}°",
                f"{row.coefficient_distance:.3g}",
                f"{row.point_distance:.3g}{' (nearest)' if row.is_nearest else ''}",
                "–" if math.isnan(share) else f"{share:.0%}",
            ]
            for row, share in zip(part.itertuples(), shared, strict=True)
        ]
        print_table(title, headings, cells, numbers=5)
    if explained.same_network is False:
        from tropica.compare.agreement import ANOTHER_NETWORK

        print_line(f"note: {ANOTHER_NETWORK}")


def _figure(explained: tp.Explanation, point: int) -> Figure:
    from tropica.plots import explain as draw
    from tropica.plots import style

    figure = style.figure(style.PAPER_WIDTH, 3.3 if len(explained.own.input_shape) == 1 else 3.8)
    draw(explained, point, ax=figure)
    return figure
