"""The options of commands that train networks, and the settings and data that they choose."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

import tropica as tp
from tropica.cli.options import optional
from tropica.cli.reading import read_points
from tropica.errors import DataError, InputError
from tropica.studies.architectures import MODELS

if TYPE_CHECKING:
    from tropica.studies.training.settings import TrainSettings


class OptimizerName(StrEnum):
    """The optimizers."""

    adam = "adam"
    sgd = "sgd"


class PresetName(StrEnum):
    """The presets of a training."""

    paper = "paper"


LEARNING_RATES = {OptimizerName.adam: 0.001, OptimizerName.sgd: 0.01}

MODEL_NAMES = ", ".join(MODELS)
MODEL_HELP = f"A network of the papers: {MODEL_NAMES}."
RUNS_HELP = "Train N networks of each kind, each with its own seed."
SEED_HELP = "The seed of the first run; later runs have the next seeds."
EPOCHS_HELP = "Epochs of training. By default 20; 50 for color images."
BATCH_HELP = "Points in a batch. By default 128; 32 for fewer than 10,000 points."
OPTIMIZER_HELP = "By default adam; for color images sgd with momentum 0.9 and two decreases of the learning rate."

Runs = Annotated[int, typer.Option("--runs", metavar="N", min=1, help=RUNS_HELP)]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help=SEED_HELP)]
StudyRuns = Annotated[int | None, optional("--runs", "N", f"{RUNS_HELP} By default 5.", min=1)]
StudySeed = Annotated[int | None, optional("--seed", "N", f"{SEED_HELP} By default 0.", min=0)]
Epochs = Annotated[int | None, optional("--epochs", "N", EPOCHS_HELP, min=1)]
BatchSize = Annotated[int | None, optional("--batch-size", "N", BATCH_HELP, min=1)]
Lr = Annotated[float | None, optional("--lr", "X", "The learning rate. By default 0.001 for adam, 0.01 for sgd.")]
Optimizer = Annotated[OptimizerName | None, optional("--optimizer", None, OPTIMIZER_HELP)]
PRESET_HELP = (
    "paper: the training of the authors' scripts, with their weight decay, schedule and initialization (200 epochs; fewer "
    "--epochs compress the schedule of color images, and are the first epochs of the other)."
)
Preset = Annotated[PresetName | None, optional("--preset", None, PRESET_HELP)]
TrainLimit = Annotated[int | None, optional("--limit", "N", "Take the first N training points only.", min=2)]


def complete_model(incomplete: str) -> list[tuple[str, str]]:
    """The names of networks that begin so, with their layers, for the shell."""
    return [(name, layers) for name, layers in MODELS.items() if name.startswith(incomplete)]


def load_exactly(data: str, *, split: str = "train", limit: int | None = None, label: str | None = None) -> tp.LabelledData:
    """Load data; with a limit, exactly that many points.

    Raises:
        DataError: the data has fewer points.
    """
    found = read_points(data, split, limit=limit, label=label)
    if limit is not None and len(found) < limit:
        raise DataError(f"{found.name} has {len(found):,} {split} points; {limit:,} were asked for")
    return found


def train_settings(
    data: tp.LabelledData,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    optimizer: OptimizerName | None = None,
    preset: PresetName | None = None,
) -> TrainSettings:
    """The settings for the data, those of the authors' scripts with ``preset``, with the given settings in their place."""
    from dataclasses import replace

    from tropica.studies.training.settings import paper_preset, paper_settings

    if preset is not None:
        given = {"--batch-size": batch_size, "--lr": lr, "--optimizer": optimizer}
        changed = [name for name, value in given.items() if value is not None]
        if changed:
            raise InputError(f"--preset paper has its own {changed[0]}; of its settings only --epochs can be changed")
        return paper_preset(data, epochs)
    settings = paper_settings(data)
    if optimizer is not None and optimizer.value != settings.optimizer:
        settings = replace(settings, optimizer=optimizer.value, lr=LEARNING_RATES[optimizer])
    changes = {"epochs": epochs, "batch_size": batch_size, "lr": lr}
    return replace(settings, **{key: value for key, value in changes.items() if value is not None})
