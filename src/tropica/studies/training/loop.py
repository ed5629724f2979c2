"""``train``: the cross-entropy of logits, by Adam or by SGD with a stepped rate, and what is needed to go on with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Adam, Optimizer

from tropica.data.validate import validate_points
from tropica.errors import InputError, NonFiniteWeights

Progress: TypeAlias = Callable[[int, int, str], object]

MOMENTUM, RATE_STEPS, RATE_FALL = 0.9, (0.5, 0.75), 10
"""Of SGD: the rate falls tenfold at these shares of the epochs."""


@dataclass(frozen=True)
class TrainingState:
    """What a training needs beside the weights to go on after an epoch, as if it had never stopped.

    Attributes:
        tensors: the optimizer's state and those of the random generators, by name.
        history: as `train` returns it, an entry for each epoch done.
    """

    tensors: Mapping[str, Tensor]
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        """Epochs done."""
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
    seed: int = 0,
    progress: Progress | None = None,
    start: TrainingState | None = None,
    after_epoch: Callable[[TrainingState], object] | None = None,
) -> list[dict[str, float]]:
    """Train a classifier in place with the cross-entropy of its logits, and leave it in eval mode.

    Args:
        model: points (B, *shape) to logits (B, classes); its device and dtype are kept.
        inputs: (N, *shape), floating point; batches are moved to the model's device.
        labels: (N,) int64 in 0 … classes − 1.
        epochs, batch_size: passes over the points, shuffled in each, and points a step.
        lr: the learning rate; with `sgd` it falls tenfold after half and after three quarters of the epochs.
        optimizer: `adam`, or `sgd` with momentum 0.9.
        seed: of the shuffles and of dropout; the same seed, machine and number of threads give the same weights.
        progress: called with (steps done, steps in all, message) after each step.
        start: the state after some epoch, to go on from there; the model must have that epoch's weights.
        after_epoch: called with the state after each epoch (its tensors are the live ones: copy or write them at once).

    Returns:
        One dict an epoch: `epoch` (from 1), mean `loss` and `accuracy` in [0, 1] over the epoch's steps.

    Raises:
        InputError: inputs, labels or settings that do not fit.
        NonFiniteWeights: the loss is no longer finite.

    >>> from tropica.studies.networks import build
    >>> x = torch.tensor([[0.0], [1.0]]).repeat(50, 1)
    >>> history = train(build("fcn-small", (1,), 2, seed=0), x, x[:, 0].long(), epochs=40, batch_size=20)
    >>> history[-1]["accuracy"]
    1.0
    """
    parameter = next(model.parameters())
    _check_training(model.eval(), inputs, labels, epochs, batch_size, parameter)
    steps = _optimizer(optimizer, model, lr)
    batches = -(-len(inputs) // batch_size)
    points = inputs.to(parameter.dtype)
    history = [] if start is None else list(start.history)

    def report(step: int) -> None:
        if progress is not None:
            last = f", loss {history[-1]['loss']:.4f}, accuracy {history[-1]['accuracy']:.1%}" if history else ""
            progress(len(history) * batches + step, epochs * batches, f"epoch {len(history) + 1}/{epochs}{last}")

    # The global generator serves the shuffles and any dropout in the model, and is given back as it was.
    with torch.random.fork_rng(devices=[parameter.device] if parameter.device.type == "cuda" else []):
        torch.manual_seed(seed)
        if start is not None:
            _restore(steps, parameter.device, start)
        model.train()
        try:
            for epoch in range(len(history) + 1, epochs + 1):
                for group in steps.param_groups:
                    group["lr"] = rate_at(epoch, epochs, lr, optimizer)
                loss, accuracy = _epoch(model, steps, points, labels, batch_size, report)
                if not isfinite(loss):
                    raise NonFiniteWeights(f"training diverged in epoch {epoch}: the loss is {loss}; lower lr={lr}")
                history.append({"epoch": epoch, "loss": loss, "accuracy": accuracy})
                if after_epoch is not None:
                    after_epoch(TrainingState(_tensors(steps, parameter.device), list(history)))
        finally:
            model.eval()
    return history


def rate_at(epoch: int, epochs: int, lr: float, optimizer: str) -> float:
    """The learning rate in an epoch (from 1).

    >>> [rate_at(epoch, 8, 0.5, "sgd") for epoch in (4, 5, 7)]
    [0.5, 0.05, 0.005]
    """
    falls = sum(epoch > int(share * epochs) for share in RATE_STEPS) if optimizer == "sgd" else 0
    return lr / RATE_FALL**falls


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
        classes = model(inputs[:1].to(parameter)).shape[1]
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise InputError(f"the model has {classes} outputs, so labels lie in 0 … {classes - 1}; found {low} … {high}")


def _optimizer(name: str, model: nn.Module, lr: float) -> Optimizer:
    if name == "adam":
        return Adam(model.parameters(), lr=lr)
    if name == "sgd":
        return SGD(model.parameters(), lr=lr, momentum=MOMENTUM)
    raise InputError(f"the optimizer must be 'adam' or 'sgd'; found {name!r}")


def _tensors(steps: Optimizer, device: torch.device) -> dict[str, Tensor]:
    """The optimizer's tensors as ``number/name``, and the generators' states."""
    state = steps.state_dict()["state"]
    found = {f"{i}/{key}": value for i, one in state.items() for key, value in one.items() if isinstance(value, Tensor)}
    found["generator"] = torch.get_rng_state()
    if device.type == "cuda":
        found["generator-cuda"] = torch.cuda.get_rng_state(device)
    return found


def _restore(steps: Optimizer, device: torch.device, start: TrainingState) -> None:
    whole = steps.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in start.tensors.items():
        number, _, key = name.partition("/")
        if key:
            state.setdefault(int(number), {})[key] = value
    steps.load_state_dict({**whole, "state": state})
    torch.set_rng_state(start.tensors["generator"].cpu())
    if device.type == "cuda" and "generator-cuda" in start.tensors:
        torch.cuda.set_rng_state(start.tensors["generator-cuda"].cpu(), device)


def _epoch(
    model: nn.Module, steps: Optimizer, inputs: Tensor, labels: Tensor, batch_size: int, report: Callable[[int], None]
) -> tuple[float, float]:
    """One pass in random order: mean loss and accuracy, each batch as it was before its own step."""
    device = next(model.parameters()).device
    loss_sum, right = torch.zeros((), device=device), torch.zeros((), device=device)
    for step, rows in enumerate(torch.randperm(len(inputs)).split(batch_size), start=1):
        x, y = inputs[rows].to(device), labels[rows].to(device)
        logits = model(x)
        loss = cross_entropy(logits, y)
        steps.zero_grad()
        loss.backward()
        steps.step()
        loss_sum += loss.detach() * len(rows)
        right += (logits.argmax(1) == y).sum()
        report(step)
    return float(loss_sum) / len(inputs), float(right) / len(inputs)
