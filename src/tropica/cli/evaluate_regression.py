"""``tropica evaluate`` for the terms of a regression: errors and R² instead of labels."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tropica as tp
from tropica.cli.command import CommandResult
from tropica.cli.evaluation_source import EvaluationSource
from tropica.cli.output import print_facts, print_table, torchrun_rank
from tropica.errors import InputError
from tropica.runtime.files import csv_text

if TYPE_CHECKING:
    from torch import Tensor


def evaluate_regression(
    source: EvaluationSource,
    net: tp.PiecewiseLinearNetwork | None,
    points: tp.LabelledData,
    targets: Path | None,
) -> CommandResult | None:
    """The errors between N, N^(X) and the true values of ``targets``, a .npy file."""
    from tropica.compare.regression import compare_values, network_values

    f = source.function
    true = None if targets is None else _true_values(targets, len(points), f.num_classes)
    values, active = f(source.inputs, progress=True), f.active_term(source.inputs, progress=True)
    if torchrun_rank():  # the first process reports
        return None
    network = None if net is None else network_values(net.for_task("regression"), points)
    found = compare_values(network, values, true)
    table = found.to_dataframe()
    numbers: dict[str, Any] = {
        "points": found.points,
        "outputs": f.num_classes,
        **{name: None if (errors := getattr(found, name)) is None else asdict(errors) for name in _NAMES},
        "terms": source.terms,
        "active_points": len(active.unique()),
        "same_network": source.same_network,
    }
    facts: dict[str, str] = {"terms": f"{source.terms:,}; {numbers['active_points']:,} points decide a value"}
    notes = {
        "no --model: the network's values are not known": network is None,
        "no --targets: the true values are not known": true is None,
        "the terms were extracted from another network": source.same_network is False,
    }
    if any(notes.values()):
        facts["note"] = "; ".join(note for note, applies in notes.items() if applies)

    def show() -> None:
        if len(table):
            rows = [
                [str(cell) if i < 3 else f"{cell:.4g}" for i, cell in enumerate(row)] for row in table.itertuples(index=False)
            ]
            print_table(f"Errors on {points.name}, {points.split}", list(table.columns), rows, numbers=6)
        print_facts(facts)

    return CommandResult(numbers, show, csv=lambda: _csv(values, active, network, true))


_NAMES = ("network_extracted", "network_true", "extracted_true")


def _true_values(path: Path, points: int, outputs: int) -> Tensor:
    """The true values in a .npy file, (B, s) or (B,), of which more than the points asked for may be there."""
    import numpy as np

    from tropica.compare.regression import as_values

    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"--targets {path}: not a .npy file of numbers ({error})") from None
    if not isinstance(values, np.ndarray) or values.ndim == 0:
        raise InputError(f"--targets {path}: one row of numbers for each point is needed")
    return as_values(values[:points], points, outputs)


def _csv(values: Tensor, active: Tensor, network: Tensor | None, true: Tensor | None) -> str:
    """The values of each point, a column for each output."""
    outputs = range(values.shape[1])
    columns: dict[str, list[Any]] = {}
    for name, found in (("extracted", values), ("active_term", active), ("network", network), ("true", true)):
        columns |= {f"{name}_{i}": [""] * len(values) if found is None else found[:, i].tolist() for i in outputs}
    return csv_text(("point", *columns), list(zip(range(len(values)), *columns.values(), strict=True)))
