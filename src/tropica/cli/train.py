"""``tropica train``."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import tropica as tp
from tropica.cli import options, training_options
from tropica.cli.exit_codes import interruptible
from tropica.cli.output import check_writable, print_line, print_table, save_json
from tropica.errors import DataError
from tropica.runtime.files import writable_folder

if TYPE_CHECKING:
    from tropica.studies.training.runs import TrainedRun


class Activation(StrEnum):
    """The activation functions."""

    relu = "relu"
    leaky = "leaky"


def train(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A network of the papers, such as fcn4 or conv-small; an unknown name lists all.",
            show_default=False,
        ),
    ],
    data: options.Data,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Save weights as DIR/NAME/seed-K/epoch-0001.safetensors, ...")
    ] = Path("networks"),
    runs: training_options.Runs = 5,
    seed: training_options.Seed = 0,
    epochs: training_options.Epochs = None,
    batch_size: training_options.BatchSize = None,
    lr: training_options.Lr = None,
    optimizer: training_options.Optimizer = None,
    preset: training_options.Preset = None,
    activation: Annotated[Activation, typer.Option("--activation", help="leaky: LeakyReLU(0.3).")] = Activation.relu,
    every: Annotated[int, typer.Option("--every", metavar="N", min=1, help="Save the weights of every N-th epoch.")] = 1,
    limit: training_options.TrainLimit = None,
    label: options.Label = None,
    device: Annotated[
        str, typer.Option("--device", metavar="NAME", help="The PyTorch device to train on: cpu, cuda, ...")
    ] = "cpu",
    json: options.Json = None,
) -> None:
    """Train networks of the paper with the paper's settings, and save their weights by epoch.

    The same command resumes an interrupted training; the result is that of an uninterrupted one.
    """
    from tropica.runtime.progress import progress_callback
    from tropica.studies.training.runs import train_run

    check_writable(json)
    folder = writable_folder(out)
    _check_device(device)
    points = training_options.load_exactly(data, limit=limit, label=label)
    chosen = training_options.train_settings(points, epochs, batch_size, lr, optimizer, preset)
    settings = dataclasses.replace(chosen, activation=activation.value, every=every)
    done: list[TrainedRun] = []
    kind = name if activation is Activation.relu else f"{name}-{activation.value}"

    def kept() -> str:
        return f"{len(done)} of {runs} runs are finished in {folder / kind}; the same command resumes after the last epoch"

    with interruptible(kept), progress_callback(True) as report:
        for number in range(seed, seed + runs):
            title = f"training {kind}, seed {number}"
            progress = (lambda i, n, message, title=title: report(i, n, title)) if report else None
            place = folder / kind / f"seed-{number}"
            done.append(train_run(name, points, place, settings, seed=number, device=device, progress=progress))
    test = _test_points(data, points, label)
    rows = [_row(run, test) for run in done]
    print_table(
        f"{kind} on {points.name}: {len(points):,} training points; accuracy",
        ["seed", "epochs", "loss", "train", "test", "weights"],
        [
            [r["seed"], r["epochs"], f"{r['loss']:.4f}", *(_percent(r[key]) for key in ("train", "test")), r["weights"]]
            for r in rows
        ],
    )
    if activation is Activation.relu:
        print_line(f"next: tropica extract tropica:{name} --weights {done[0].weights()} --data {data} -o terms")
    save_json(json, "train", {"model": name, "data": points.name, "points": len(points), **vars(settings), "runs": rows})


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DataError(
            f"there is no device {device!r} here ({str(error).splitlines()[0]}); cpu is always available"
        ) from error


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
