"""``train``: minimize the cross-entropy of logits by Adam, or by SGD with a stepped learning rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Adam, Optimizer

from tropica.data.validate import validate_points
from tropica.errors import InputError, NonFiniteWeights
from tropica.runtime.progress import ProgressCallback
from tropica.studies.training.presets import find_preset

MOMENTUM = 0.9
MILESTONES, DECAY = (0.5, 0.75), 10
"""SGD divides its learning rate by DECAY after these shares of the epochs."""


@dataclass(frozen=True)
class TrainingState:
    """The state after an epoch that, together with the weights, resumes a training exactly.

    Attributes:
        tensors: the state of the optimizer and of the random generators, by name.
        history: an entry for each finished epoch, as `train` returns it.
    """

    tensors: Mapping[str, Tensor]
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        """The number of finished epochs."""
        return len(self.history)


def train(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    batch_size: int = 128,
    lr: float = 1e-3,
    optimizer: Literal["adam", "sgd"] = "adam",
    preset: str = "",
    weight_decay: float = 0.0,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    start: TrainingState | None = None,
    after_epoch: Callable[[TrainingState], object] | None = None,
) -> list[dict[str, float]]:
    """Train a classifier in place with the cross-entropy of its logits, and leave it in eval mode.

    Args:
        model: maps points (B, *shape) to logits (B, num_classes); its device and dtype are kept.
        inputs: (N, *shape), floating point; batches are moved to the model's device.
        labels: (N,) int64 in 0 … num_classes − 1.
        epochs: passes over the points, each in a new random order.
        batch_size: points in a batch.
        lr: the learning rate; `sgd` divides it by 10 after half and after three quarters of the epochs.
        optimizer: `adam`, or `sgd` with momentum 0.9.
        preset: a preset's name, whose drops of the learning rate are taken.
        weight_decay: the loss gains weight_decay/2 · ‖W‖² for every weight W, but not for biases and norms.
        seed: the seed of the random orders and of any dropout; torch's global generators are left as they were.
        progress: called with (finished steps, all steps, message).
        start: the state to resume from; the model must have the weights of that epoch.
        after_epoch: called with the state after each epoch. The tensors are not copies: copy or write them before returning.

    Returns:
        For each epoch a dict with `epoch` (from 1), and `loss` and `accuracy` in [0, 1] averaged over the epoch's steps.

    Raises:
        InputError: inputs, labels or settings do not fit the model.
        NonFiniteWeights: the loss is not finite.

    >>> from tropica.studies.networks import build
    >>> x = torch.tensor([[0.0], [1.0]]).repeat(50, 1)
    >>> history = train(build("fcn-small", (1,), 2, seed=0), x, x[:, 0].long(), epochs=40, batch_size=20)
    >>> history[-1]["accuracy"]
    1.0
    """
    parameter = next(model.parameters())
    _check_training(model.eval(), inputs, labels, epochs, batch_size, parameter)
    stepper = _optimizer(optimizer, model, lr, weight_decay)
    batches = -(-len(inputs) // batch_size)
    points = inputs.to(parameter.dtype)
    history = [] if start is None else list(start.history)

    def report(step: int) -> None:
        if progress is not None:
            last = f", loss {history[-1]['loss']:.4f}, accuracy {history[-1]['accuracy']:.1%}" if history else ""
            progress(len(history) * batches + step, epochs * batches, f"epoch {len(history) + 1}/{epochs}{last}")

    # Dropout draws from the global generator, so the random orders do too; its state is restored afterwards.
    with torch.random.fork_rng(devices=[parameter.device] if parameter.device.type == "cuda" else []):
        torch.manual_seed(seed)
        if start is not None:
            _restore(stepper, parameter.device, start)
        model.train()
        try:
            for epoch in range(len(history) + 1, epochs + 1):
                for group in stepper.param_groups:
                    group["lr"] = learning_rate(epoch, epochs, lr, optimizer, preset)
                loss, accuracy = _train_epoch(model, stepper, points, labels, batch_size, report)
                if not isfinite(loss):
                    raise NonFiniteWeights(f"training diverged in epoch {epoch}: the loss is {loss}; lower lr={lr}")
                history.append({"epoch": epoch, "loss": loss, "accuracy": accuracy})
                if after_epoch is not None:
                    after_epoch(TrainingState(_state_tensors(stepper, parameter.device), list(history)))
        finally:
            model.eval()
    return history


def learning_rate(epoch: int, epochs: int, lr: float, optimizer: str, preset: str = "") -> float:
    """The learning rate in an epoch (from 1).

    >>> [learning_rate(epoch, 8, 0.5, "sgd") for epoch in (4, 5, 7)]
    [0.5, 0.05, 0.005]
    """
    found = find_preset(preset)
    drops = found.drops_of(epochs) if found else [int(share * epochs) for share in MILESTONES if optimizer == "sgd"]
    return lr / DECAY ** sum(epoch > drop for drop in drops)


def _check_training(
    model: nn.Module, inputs: Tensor, labels: Tensor, epochs: int, batch_size: int, parameter: nn.Parameter
) -> None:
    validate_points(inputs, inputs.shape[1:], "training inputs")
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != inputs.shape[:1]:
        found = f"{tuple(labels.shape)} {labels.dtype}" if isinstance(labels, Tensor) else type(labels).__name__
        raise InputError(f"training labels must be an int64 tensor ({len(inputs)},); found {found}")
    if not all(isinstance(number, int) and number > 0 for number in (epochs, batch_size)):
        raise InputError(f"epochs and batch_size must be whole numbers, 1 or more; found {epochs!r}, {batch_size!r}")
    with torch.no_grad():
        outputs = model(inputs[:1].to(parameter)).shape[1]
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= outputs:
        raise InputError(f"the model has {outputs} outputs, so labels lie in 0 … {outputs - 1}; found {low} … {high}")


def _optimizer(name: str, model: nn.Module, lr: float, weight_decay: float = 0.0) -> Optimizer:
    groups: Any = model.parameters()
    if weight_decay:
        kernels, others = (
            [p for p in model.parameters() if (p.ndim > 1) == is_kernel] for is_kernel in (True, False)
        )  # biases and norms are vectors
        groups = [{"params": kernels, "weight_decay": weight_decay}, {"params": others}]
    if name == "adam":
        return Adam(groups, lr=lr)
    if name == "sgd":
        return SGD(groups, lr=lr, momentum=MOMENTUM)
    raise InputError(f"the optimizer must be 'adam' or 'sgd'; found {name!r}")


def _state_tensors(stepper: Optimizer, device: torch.device) -> dict[str, Tensor]:
    """The optimizer's tensors as ``number/name``, and the states of the random generators."""
    state = stepper.state_dict()["state"]
    tensors = {f"{i}/{key}": value for i, one in state.items() for key, value in one.items() if isinstance(value, Tensor)}
    tensors["generator"] = torch.get_rng_state()
    if device.type == "cuda":
        tensors["generator-cuda"] = torch.cuda.get_rng_state(device)
    return tensors


def _restore(stepper: Optimizer, device: torch.device, start: TrainingState) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in start.tensors.items():
        number, _, key = name.partition("/")
        if key:
            state.setdefault(int(number), {})[key] = value
    stepper.load_state_dict({**stepper.state_dict(), "state": state})
    torch.set_rng_state(start.tensors["generator"].cpu())
    if device.type == "cuda" and "generator-cuda" in start.tensors:
        torch.cuda.set_rng_state(start.tensors["generator-cuda"].cpu(), device)


def _train_epoch(
    model: nn.Module, stepper: Optimizer, inputs: Tensor, labels: Tensor, batch_size: int, report: Callable[[int], None]
) -> tuple[float, float]:
    """One pass in random order: mean loss and accuracy, each batch measured before its own step."""
    device = next(model.parameters()).device
    loss_sum, correct = torch.zeros((), device=device), torch.zeros((), device=device)
    for step, rows in enumerate(torch.randperm(len(inputs)).split(batch_size), start=1):
        x, y = inputs[rows].to(device), labels[rows].to(device)
        logits = model(x)
        loss = cross_entropy(logits, y)
        stepper.zero_grad()
        loss.backward()
        stepper.step()
        loss_sum += loss.detach() * len(rows)
        correct += (logits.argmax(1) == y).sum()
        report(step)
    return float(loss_sum) / len(inputs), float(correct) / len(inputs)
