"""``tropica train``."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from tropica.cli.failures import stopping
from tropica.cli.options import Data, Json
from tropica.cli.output import checked, console, save_json, show_table
from tropica.cli.training import BatchSize, Epochs, How, Rate, Runs, Seed, TrainLimit, chosen_settings, exactly
from tropica.data.labelled import LabelledData
from tropica.errors import DataError
from tropica.runtime.files import writable_folder
from tropica.runtime.progress import progress_callback
from tropica.studies.networks import MODELS
from tropica.studies.training.runs import TrainedRun, train_run


class Activation(StrEnum):
    """What is between the layers."""

    relu = "relu"
    leaky = "leaky"


Name = Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(MODELS)}.", show_default=False)]
Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", help="Weights go to DIR/NAME/seed-K/epoch-0001.safetensors and so on.")
]
Act = Annotated[Activation, typer.Option("--activation", help="leaky: LeakyReLU(0.3).")]
Every = Annotated[int, typer.Option("--every", metavar="N", min=1, help="Keep the weights of each so many epochs.")]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="Where to train, as torch names it: cpu, cuda, ...")]


def train(
    name: Name,
    data: Data,
    out: Out = Path("networks"),
    runs: Runs = 5,
    seed: Seed = 0,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: Rate = None,
    optimizer: How = None,
    activation: Act = Activation.relu,
    every: Every = 1,
    limit: TrainLimit = None,
    device: Device = "cpu",
    json: Json = None,
) -> None:
    """Train networks of the paper, with its settings, and keep their weights by epoch.

    What is interrupted goes on where it stopped when the command is given again, with the outcome of an uninterrupted run.
    """
    checked(json)
    folder = writable_folder(out)
    _check_device(device)
    points = exactly(data, limit=limit)
    settings = dataclasses.replace(
        chosen_settings(points, epochs, batch_size, lr, optimizer), activation=activation.value, every=every
    )
    done: list[TrainedRun] = []
    kind = name if activation is Activation.relu else f"{name}-{activation.value}"

    def left() -> str:
        return f"{len(done)} of {runs} runs are whole in {folder / kind}; the same command goes on from the last whole epoch"

    with stopping(left), progress_callback(True) as report:
        for number in range(seed, seed + runs):
            title = f"{kind}, seed {number}"
            progress = (lambda i, n, message, title=title: report(i, n, f"training {title}")) if report else None
            place = folder / kind / f"seed-{number}"
            done.append(train_run(name, points, place, settings, seed=number, device=device, progress=progress))
    test = _test_points(data, points)
    rows = [_row(run, test) for run in done]
    headings = ["seed", "epochs", "loss", "train", "test", "weights"]
    shown = [[r["seed"], r["epochs"], f"{r['loss']:.4f}", f"{r['train']:.2%}", _share(r["test"]), r["weights"]] for r in rows]
    show_table(f"{kind} on {points.name}: {len(points):,} training points; accuracy", headings, shown)
    use = f"tropica extract tropica:{name} --weights {done[0].weights()} --data {data} -o terms"
    if activation is Activation.relu:
        console().print(f"to go on: {use}", soft_wrap=True)
    save_json(json, "train", {"model": name, "data": points.name, "points": len(points), **vars(settings), "runs": rows})


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DataError(f"there is no device {device!r} here ({str(error).splitlines()[0]}); cpu is always there") from error


def _test_points(data: str, points: LabelledData) -> LabelledData | None:
    """The test points, where the data has some with labels that the networks can be asked about."""
    try:
        test = exactly(data, split="test")
    except DataError:
        return None
    return test if test.labels is not None and test.input_shape == points.input_shape else None


def _row(run: TrainedRun, test: LabelledData | None) -> dict[str, Any]:
    accuracy = None
    if test is not None:
        model = run.load()
        with torch.no_grad():
            found = torch.cat([model(x).argmax(1) for x in test.inputs.split(256)])
        accuracy = float((found == test.labels).double().mean())
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


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"
