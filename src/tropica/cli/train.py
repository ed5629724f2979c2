"""``tropica train``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import tropica as tp
from tropica.cli import options, training_options
from tropica.cli.command import CommandResult, command
from tropica.cli.exit_codes import interruptible
from tropica.cli.output import print_line, print_table
from tropica.errors import DataError
from tropica.runtime.files import writable_folder

if TYPE_CHECKING:
    from tropica.studies.training.runs import TrainedRun


class ActivationName(StrEnum):
    """The activation functions."""

    relu = "relu"
    leaky = "leaky"


@command(
    "tropica train conv-small --data digits --runs 2 --epochs 3",
    "tropica trace networks/conv-small/seed-1 --data digits",
)
def train(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help=training_options.MODEL_HELP,
            show_default=False,
            autocompletion=training_options.complete_model,
        ),
    ],
    data: options.Data,
    limit: training_options.TrainLimit = None,
    label: options.Label = None,
    runs: training_options.Runs = 5,
    seed: training_options.Seed = 0,
    epochs: training_options.Epochs = None,
    batch_size: training_options.BatchSize = None,
    lr: training_options.Lr = None,
    optimizer: training_options.Optimizer = None,
    preset: training_options.Preset = None,
    activation: Annotated[ActivationName, typer.Option("--activation", help="leaky: LeakyReLU(0.3).")] = ActivationName.relu,
    every: Annotated[int, typer.Option("--every", metavar="N", min=1, help="Save the weights of every N-th epoch.")] = 1,
    device: options.Device = options.DeviceName.cpu,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Save weights as DIR/NAME/seed-K/epoch-0001.safetensors, ...")
    ] = Path("networks"),
) -> CommandResult:
    """Train networks of the paper with the paper's settings, and save their weights by epoch.

    The same command resumes an interrupted training; the result is that of an uninterrupted one. Other commands take the
    folder of a run, such as networks/fcn-small/seed-0, as their MODEL.
    """
    from tropica.runtime.progress import progress_callback
    from tropica.studies.training.runs import train_run

    folder = writable_folder(out)
    points = training_options.load_exactly(data, limit=limit, label=label)
    chosen = training_options.train_settings(points, epochs, batch_size, lr, optimizer, preset)
    settings = dataclasses.replace(chosen, activation=activation.value, every=every)
    done: list[TrainedRun] = []
    kind = name if activation is ActivationName.relu else f"{name}-{activation.value}"

    def kept() -> str:
        return f"{len(done)} of {runs} runs are finished in {folder / kind}; the same command resumes after the last epoch"

    with interruptible(kept), progress_callback(True) as report:
        for number in range(seed, seed + runs):
            title = f"training {kind}, seed {number}"
            progress = (lambda i, n, message, title=title: report(i, n, title)) if report else None
            place = folder / kind / f"seed-{number}"
            done.append(train_run(name, points, place, settings, seed=number, device=device.torch, progress=progress))
    test = _test_points(data, points, label)
    rows = [_row(run, test) for run in done]
    first = done[0].folder
    numbers = {"model": name, "data": points.name, "points": len(points), **vars(settings), "runs": rows}
    title = f"{kind} on {points.name}: {len(points):,} training points; accuracy"
    return CommandResult(numbers, lambda: _show(title, rows, f"next: tropica extract {first} --data {data} --out terms"))


def _show(title: str, rows: Sequence[Mapping[str, Any]], following: str) -> None:
    cells = [
        [r["seed"], r["epochs"], f"{r['loss']:.4f}", *(_percent(r[key]) for key in ("train", "test")), r["weights"]]
        for r in rows
    ]
    print_table(title, ["seed", "epochs", "loss", "train", "test", "weights"], cells)
    print_line(following)


def _test_points(data: str, points: tp.LabelledData, label: str | None) -> tp.LabelledData | None:
    """The test points, if the data has test points of the same shape with labels."""
    try:
        test = training_options.load_exactly(data, split="test", label=label)
    except DataError:
        return None
    return test if test.labels is not None and test.input_shape == points.input_shape else None


def _row(run: TrainedRun, test: tp.LabelledData | None) -> dict[str, Any]:
    import torch

    accuracy = None
    if test is not None:
        model = run.load()
        with torch.no_grad():
            labels = torch.cat([model(x).argmax(1) for x in test.inputs.split(256)])
        accuracy = float((labels == test.labels).double().mean())
    last = run.history[-1]
    return {
        "seed": run.seed,
        "epochs": run.settings.epochs,
        "loss": last["loss"],
        "train": last["accuracy"],
        "test": accuracy,
        "weights": str(run.weights()),
        "history": run.history,
    }


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.2%}"
