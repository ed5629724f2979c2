"""The options of commands that train networks, and the settings and data that they choose."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

import tropica as tp
from tropica.errors import DataError

if TYPE_CHECKING:
    from tropica.studies.training.settings import TrainSettings


class Optimizer(StrEnum):
    """The optimizers."""

    adam = "adam"
    sgd = "sgd"


LEARNING_RATES = {Optimizer.adam: 0.001, Optimizer.sgd: 0.01}

RunsOption = Annotated[
    int, typer.Option("--runs", metavar="N", min=1, help="Train N networks of each kind, each with its own seed.")
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="The seed of the first run; others count on.")]
EpochsOption = Annotated[
    int | None,
    typer.Option("--epochs", metavar="N", min=1, help="Epochs of training (20; 50 for color images).", show_default=False),
]
BatchSizeOption = Annotated[
    int | None,
    typer.Option(
        "--batch-size", metavar="N", min=1, help="Points in a step (128; 32 for fewer than 10,000 points).", show_default=False
    ),
]
LrOption = Annotated[
    float | None,
    typer.Option("--lr", metavar="X", help="The learning rate (adam 0.001, sgd 0.01).", show_default=False),
]
OptimizerOption = Annotated[
    Optimizer | None,
    typer.Option(
        "--optimizer",
        help="adam; for color images sgd with momentum 0.9 and two decreases of the learning rate.",
        show_default=False,
    ),
]
TrainLimitOption = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=2, help="Take the first N training points only.", show_default=False),
]


def load_exactly(data: str, *, split: str = "train", limit: int | None = None) -> tp.LabelledData:
    """Load data with exactly as many points as the limit, where there is one.

    Raises:
        DataError: the data has fewer points.
    """
    found = tp.load_data(data, split=split, limit=limit)  # type: ignore[arg-type]
    if limit is not None and len(found) < limit:
        raise DataError(f"{found.name} has {len(found):,} {split} points; {limit:,} were asked for")
    return found


def train_settings(
    data: tp.LabelledData,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    optimizer: Optimizer | None = None,
) -> TrainSettings:
    """The paper's settings for the data, except for the settings that are given."""
    from dataclasses import replace

    from tropica.studies.training.settings import paper_settings

    settings = paper_settings(data)
    if optimizer is not None and optimizer.value != settings.optimizer:
        settings = replace(settings, optimizer=optimizer.value, lr=LEARNING_RATES[optimizer])
    changes = {"epochs": epochs, "batch_size": batch_size, "lr": lr}
    return replace(settings, **{key: value for key, value in changes.items() if value is not None})
