"""``train_run``: one training in one folder, kept by epoch, which goes on where it stopped.

    FOLDER/epoch-0000.safetensors   weights of the untrained network
    FOLDER/epoch-0001.safetensors   after the first epoch, and so on
    FOLDER/state.safetensors        weights, optimizer and random generators after the last epoch done
    FOLDER/training.json            settings and history, to be read by people

Each file is written under another name and renamed: whole, or not there. What counts is ``state.safetensors``; it is written
last, so an epoch that was interrupted is done again, with the same outcome as if it had never been interrupted.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor, nn

from tropica.data.labelled import LabelledData
from tropica.errors import DataError, InputError
from tropica.runtime.files import write_file, write_json
from tropica.studies.networks import build
from tropica.studies.training.loop import Progress, TrainingState, train
from tropica.studies.training.settings import TrainSettings, check_training_data

STATE, SUMMARY = "state.safetensors", "training.json"
DESCRIPTION = "tropica"
"""The key of the state's description among the metadata of its file."""


@dataclass(frozen=True)
class TrainedRun:
    """A finished training.

    Attributes:
        model: a name of `tropica.studies.networks.MODELS`.
        shape, classes: what it was built for.
        settings, seed: how it was trained.
        folder: where its weights are.
        history: a dict an epoch, as :func:`tropica.training.train` returns it.
    """

    model: str
    shape: tuple[int, ...]
    num_classes: int
    settings: TrainSettings
    seed: int
    folder: Path
    history: list[dict[str, float]]

    @property
    def epochs(self) -> list[int]:
        """The epochs of which weights are kept, from 0 (untrained) to the last."""
        return [epoch for epoch in range(self.settings.epochs + 1) if self.settings.kept(epoch)]

    def weights(self, epoch: int | None = None) -> Path:
        """The file of the weights after an epoch, the last by default."""
        return self.folder / _file(self.settings.epochs if epoch is None else epoch)

    def load(self, epoch: int | None = None) -> nn.Sequential:
        """The network after an epoch, the last by default, in eval mode.

        Raises:
            DataError: the weights of that epoch are not there, or damaged.
        """
        model = build(self.model, self.shape, self.num_classes, seed=self.seed, activation=self.settings.activation)
        file = self.weights(epoch)
        tensors, _ = _read(file)
        try:
            model.load_state_dict(tensors)
        except RuntimeError as error:
            raise DataError(f"{file}: these are not the weights of {self.model} for points of shape {self.shape}") from error
        return model


def train_run(
    model: str,
    data: LabelledData,
    folder: Path,
    settings: TrainSettings,
    *,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> TrainedRun:
    """Train a network of `tropica.studies.networks` in a folder, or go on with it, or find that it is done.

    Args:
        model: a name of `MODELS`.
        data: the training points with their labels.
        folder: of this run alone.
        settings: of the training.
        seed: of the weights, and of the order of the points.
        device: where to train.
        progress: called with (steps done, steps in all, message).

    Raises:
        DataError: no labels, one class only, or a damaged state.
        InputError: an unknown model, data it cannot take, or a folder with another run; the message says what differs.

    >>> import tempfile
    >>> from tropica.studies.datasets.load import load_data
    >>> digits, settings = load_data("digits", limit=200), TrainSettings(epochs=2, batch_size=50, lr=1e-3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = train_run("fcn-small", digits, Path(folder), settings)
    ...     run.epochs, run.load()(digits.inputs).shape
    ([0, 1, 2], torch.Size([200, 10]))
    """
    classes = check_training_data(data)
    assert data.labels is not None
    made = build(model, data.input_shape, classes, seed=seed, activation=settings.activation)
    about = _identity(model, data, classes, settings, seed)
    state = _resume(folder, made, about)
    run = TrainedRun(model, data.input_shape, classes, settings, seed, folder, [] if state is None else state.history)
    if state is None:
        _write_weights(folder, 0, made)
    elif state.epoch >= settings.epochs:
        return run
    made.to(device)

    def keep(now: TrainingState) -> None:
        if settings.kept(now.epoch):
            _write_weights(folder, now.epoch, made)
        write_json(folder / SUMMARY, {**about, "history": now.history})
        tensors = {f"weights/{key}": value for key, value in made.state_dict().items()}
        tensors |= {f"state/{key}": value for key, value in now.tensors.items()}
        description = {DESCRIPTION: json.dumps({**about, "history": now.history})}
        write_file(folder / STATE, safetensors.torch.save(_plain(tensors), metadata=description))

    history = train(
        made,
        data.inputs,
        data.labels,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        lr=settings.lr,
        optimizer=settings.optimizer,
        seed=seed,
        progress=progress,
        start=state,
        after_epoch=keep,
    )
    return dataclasses.replace(run, history=history)


def fingerprint(data: LabelledData) -> str:
    """A digest of points and labels."""
    digest = hashlib.sha256(str(data.input_shape).encode())
    digest.update(data.inputs.contiguous().numpy().tobytes())
    if data.labels is not None:
        digest.update(data.labels.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _file(epoch: int) -> str:
    return f"epoch-{epoch:04}.safetensors"


def _identity(model: str, data: LabelledData, num_classes: int, settings: TrainSettings, seed: int) -> dict[str, Any]:
    """What must agree for a run to be gone on with."""
    points = {"data": data.name, "points": len(data), "fingerprint": fingerprint(data)}
    return {
        "model": model,
        "shape": list(data.input_shape),
        "num_classes": num_classes,
        "seed": seed,
        **points,
        **vars(settings),
    }


def _resume(folder: Path, model: nn.Module, about: Mapping[str, Any]) -> TrainingState | None:
    """The state that the folder holds, its weights put into the model; None where there is none."""
    file = folder / STATE
    if not file.exists():
        return None
    tensors, metadata = _read(file)
    try:
        found = json.loads(metadata[DESCRIPTION])
        history = found.pop("history")
    except (KeyError, ValueError) as error:
        raise DataError(f"{file}: not the state of a training; remove the folder to train anew") from error
    differing = [key for key in about if found.get(key) != about[key]]
    if differing:
        said = ", ".join(f"{key} {found.get(key)} there and {about[key]} here" for key in differing if key != "fingerprint")
        raise InputError(f"{folder} holds another run: {said or 'other points'}; choose another folder, or remove this one")
    weights = {key.removeprefix("weights/"): value for key, value in tensors.items() if key.startswith("weights/")}
    model.load_state_dict(weights)
    rest = {key.removeprefix("state/"): value for key, value in tensors.items() if key.startswith("state/")}
    return TrainingState(rest, history)


def _read(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """A file's tensors and metadata."""
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            return {key: opened.get_tensor(key) for key in opened.keys()}, opened.metadata() or {}  # noqa: SIM118
    except FileNotFoundError as error:
        raise DataError(f"{file}: no such file; train the network again in another folder") from error
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{file}: damaged ({error}); remove the folder to train anew") from error


def _write_weights(folder: Path, epoch: int, model: nn.Module) -> None:
    write_file(folder / _file(epoch), safetensors.torch.save(_plain(dict(model.state_dict()))))


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU, each in memory of its own."""
    return {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
