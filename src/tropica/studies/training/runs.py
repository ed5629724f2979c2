"""``train_run``: one training in one folder. Weights are saved by epoch, and an interrupted training resumes.

    FOLDER/epoch-0000.safetensors   weights of the untrained network
    FOLDER/epoch-0001.safetensors   after the first epoch, and so on
    FOLDER/state.safetensors        weights, optimizer and random generators after the last finished epoch
    FOLDER/training.json            settings and history, for people to read

Each file is written under a temporary name and renamed, so no file is ever incomplete. ``state.safetensors`` is written last:
an interrupted epoch is repeated, with the result of an uninterrupted training.
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
from tropica.runtime.progress import ProgressCallback
from tropica.studies.networks import build, family, initialize_as_keras
from tropica.studies.training.loop import TrainingState, train
from tropica.studies.training.presets import find_preset
from tropica.studies.training.settings import TrainSettings, check_training_data

STATE, SUMMARY = "state.safetensors", "training.json"
DESCRIPTION = "tropica"
"""The key of the state's description in the metadata of its file."""


@dataclass(frozen=True)
class TrainedRun:
    """A finished training.

    Attributes:
        model: a name in `tropica.studies.networks.MODELS`.
        input_shape, num_classes: the shape of one point, and the number of outputs.
        settings, seed: the settings of the training and its seed.
        folder: the folder of its files.
        history: an entry for each epoch, as :func:`tropica.studies.training.loop.train` returns it.
    """

    model: str
    input_shape: tuple[int, ...]
    num_classes: int
    settings: TrainSettings
    seed: int
    folder: Path
    history: list[dict[str, float]]

    @property
    def epochs(self) -> list[int]:
        """The epochs whose weights are saved, from 0 (untrained) to the last."""
        return [epoch for epoch in range(self.settings.epochs + 1) if self.settings.saves(epoch)]

    @property
    def milestones(self) -> list[int]:
        """The epochs after which the learning rate decreases."""
        return self.settings.milestones

    def weights(self, epoch: int | None = None) -> Path:
        """The file of the weights after an epoch, by default the last."""
        return self.folder / _weights_file(self.settings.epochs if epoch is None else epoch)

    def load(self, epoch: int | None = None) -> nn.Sequential:
        """The network after an epoch, by default the last, in eval mode.

        Raises:
            DataError: the weights of that epoch are missing or damaged.
        """
        model = build(self.model, self.input_shape, self.num_classes, seed=self.seed, activation=self.settings.activation)
        file = self.weights(epoch)
        tensors, _ = _read(file)
        try:
            model.load_state_dict(tensors)
        except RuntimeError as error:
            raise DataError(f"{file}: not the weights of {self.model} for points of shape {self.input_shape}") from error
        return model


def train_run(
    model: str,
    data: LabelledData,
    folder: Path,
    settings: TrainSettings,
    *,
    seed: int = 0,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
) -> TrainedRun:
    """Train a network of `tropica.studies.networks`, or resume the training in the folder; a finished training is not repeated.

    Args:
        model: a name in `MODELS`.
        data: the training points with their labels.
        folder: the folder of this run alone.
        settings: the settings of the training.
        seed: the seed of the weights and of the order of the points.
        device: the device to train on.
        progress: called with (finished steps, all steps, message).

    Raises:
        DataError: the data has no labels or one class only, or the state in the folder is damaged.
        InputError: an unknown model, data that it cannot take, or a folder with another run; the message says what differs.

    >>> import tempfile
    >>> from tropica.studies.datasets.load import load_data
    >>> digits, settings = load_data("digits", limit=200), TrainSettings(epochs=2, batch_size=50, lr=1e-3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = train_run("fcn-small", digits, Path(folder), settings)
    ...     run.epochs, run.load()(digits.inputs).shape
    ([0, 1, 2], torch.Size([200, 10]))
    """
    num_classes = check_training_data(data)
    assert data.labels is not None
    preset = find_preset(settings.preset)
    network = build(model, data.input_shape, num_classes, seed=seed, activation=settings.activation)
    if preset is not None:
        initialize_as_keras(network, he_last=preset.he_last, seed=seed)
    identity = _identity(model, data, num_classes, settings, seed)
    state = _resume(folder, network, identity)
    run = TrainedRun(model, data.input_shape, num_classes, settings, seed, folder, [] if state is None else state.history)
    if state is None:
        _write_weights(folder, 0, network)
    elif state.epoch >= settings.epochs:
        return run
    network.to(device)

    def save(now: TrainingState) -> None:
        if settings.saves(now.epoch):
            _write_weights(folder, now.epoch, network)
        write_json(folder / SUMMARY, {**identity, "history": now.history})
        tensors = {f"weights/{key}": value for key, value in network.state_dict().items()}
        tensors |= {f"state/{key}": value for key, value in now.tensors.items()}
        description = {DESCRIPTION: json.dumps({**identity, "history": now.history})}
        write_file(folder / STATE, safetensors.torch.save(_on_cpu(tensors), metadata=description))

    history = train(
        network,
        data.inputs,
        data.labels,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        lr=settings.lr,
        optimizer=settings.optimizer,
        preset=settings.preset,
        weight_decay=0.0 if preset is None else preset.decay(family(model)),
        seed=seed,
        progress=progress,
        start=state,
        after_epoch=save,
    )
    return dataclasses.replace(run, history=history)


def fingerprint(data: LabelledData) -> str:
    """The SHA-256 of points and labels."""
    digest = hashlib.sha256(str(data.input_shape).encode())
    digest.update(data.inputs.contiguous().numpy().tobytes())
    if data.labels is not None:
        digest.update(data.labels.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _weights_file(epoch: int) -> str:
    return f"epoch-{epoch:04}.safetensors"


def _identity(model: str, data: LabelledData, num_classes: int, settings: TrainSettings, seed: int) -> dict[str, Any]:
    """The values that a run and its continuation must share."""
    return {
        "model": model,
        "input_shape": list(data.input_shape),
        "num_classes": num_classes,
        "seed": seed,
        "data": data.name,
        "points": len(data),
        "fingerprint": fingerprint(data),
        **settings.to_dict(),
    }


def _resume(folder: Path, network: nn.Module, identity: Mapping[str, Any]) -> TrainingState | None:
    """The state in the folder, its weights loaded into the network; None where there is no state."""
    file = folder / STATE
    if not file.exists():
        return None
    tensors, metadata = _read(file)
    try:
        found = json.loads(metadata[DESCRIPTION])
        history = found.pop("history")
    except (KeyError, ValueError) as error:
        raise DataError(f"{file}: not the state of a training; remove the folder to train anew") from error
    differing = [key for key in identity if found.get(key) != identity[key]]
    if differing:
        named = ", ".join(f"{key} {found.get(key)} there and {identity[key]} here" for key in differing if key != "fingerprint")
        raise InputError(f"{folder} holds another run: {named or 'other points'}; choose another folder, or remove this one")
    network.load_state_dict(_with_prefix(tensors, "weights/"))
    return TrainingState(_with_prefix(tensors, "state/"), history)


def _with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _read(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a file."""
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            return {key: opened.get_tensor(key) for key in opened.keys()}, opened.metadata() or {}  # noqa: SIM118
    except FileNotFoundError as error:
        raise DataError(f"{file}: no such file; train the network again in another folder") from error
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{file}: damaged ({error}); remove the folder to train anew") from error


def _write_weights(folder: Path, epoch: int, network: nn.Module) -> None:
    write_file(folder / _weights_file(epoch), safetensors.torch.save(_on_cpu(network.state_dict())))


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU that share no memory, as safetensors needs them."""
    return {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
