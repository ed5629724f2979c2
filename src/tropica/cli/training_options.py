"""The options of commands that train networks, and what they mean."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from typing import Annotated, Optional

import typer

from tropica.data.labelled import LabelledData
from tropica.errors import DataError
from tropica.studies.datasets.load import load_data
from tropica.studies.training.settings import TrainSettings, paper_settings


class Optimizer(StrEnum):
    """What trains."""

    adam = "adam"
    sgd = "sgd"


Runs = Annotated[int, typer.Option("--runs", metavar="N", min=1, help="Networks of each kind, each with a seed of its own.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the first run; the others count on from it.")]
Epochs = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--epochs", metavar="N", min=1, help="Passes of training (20; for color images 50).", show_default=False),
]
BatchSize = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        "--batch-size", metavar="N", min=1, help="Points a step (128; of fewer than 10,000 points 32).", show_default=False
    ),
]
Rate = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option("--lr", metavar="X", help="Learning rate (adam 0.001, sgd 0.01).", show_default=False),
]
How = Annotated[
    Optional[Optimizer],  # noqa: UP045
    typer.Option("--optimizer", help="adam; for color images sgd, stepped, with momentum 0.9.", show_default=False),
]
TrainLimit = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--limit", metavar="N", min=2, help="So many training points, the first ones.", show_default=False),
]


def exactly(data: str, *, split: str = "train", limit: int | None = None) -> LabelledData:
    """Data with as many points as asked for.

    Raises:
        DataError: there are fewer.
    """
    found = load_data(data, split=split, limit=limit)  # type: ignore[arg-type]
    if limit is not None and len(found) < limit:
        raise DataError(f"{found.name} has {len(found):,} {split} points; {limit:,} were asked for")
    return found


def chosen_settings(
    data: LabelledData,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    optimizer: Optimizer | None = None,
) -> TrainSettings:
    """The paper's settings for the data, but for what the user chose."""
    settings = paper_settings(data)
    if optimizer is not None and optimizer.value != settings.optimizer:
        settings = dataclasses.replace(settings, optimizer=optimizer.value, lr={"adam": 0.001, "sgd": 0.01}[optimizer.value])
    changes = {"epochs": epochs, "batch_size": batch_size, "lr": lr}
    return dataclasses.replace(settings, **{key: value for key, value in changes.items() if value is not None})
