"""Networks of dense layers, given as arrays: ``tp.from_layers``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from tropica.errors import InputError, NonFiniteWeights
from tropica.network.builder import Builder, Value
from tropica.network.graph import Origin
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.ops import activations, linear, nonlinearities
from tropica.network.trace_checks import check_points
from tropica.runtime.arithmetic import own_settings

ACTIVATIONS: dict[str, Callable[[Builder, Value], Value]] = {
    "identity": lambda b, x: x,
    "relu": nonlinearities.relu,
    "leaky_relu": nonlinearities.leaky_relu,
    "relu6": activations.relu6,
    "hardtanh": activations.hardtanh,
    "abs": nonlinearities.absolute,
}
"""Activations by name, with PyTorch's default slopes and bounds."""
Step: TypeAlias = Callable[[Builder, Value], Value]


@own_settings()
def from_layers(
    layers: Sequence[tuple[Any, Any]], *, activation: str | Sequence[str] = "relu", dtype: torch.dtype | None = None
) -> PiecewiseLinearNetwork:
    """Make a network of dense layers: N(x) = W_L σ(… σ(W_1 x + b_1) …) + b_L.

    Args:
        layers: pairs (W, b) in order: W (outputs, inputs), as in ``torch.nn.Linear`` (a Keras kernel is its transpose), b
            (outputs,) or None. Arrays, tensors or lists of numbers.
        activation: σ behind every layer but the last, "relu", "leaky_relu", "relu6", "hardtanh", "abs" or "identity"; or one
            for each layer but the last.
        dtype: dtype of the network; by default float32 if all arrays are float32 or smaller, else float64.

    Returns:
        The network, with inputs (B, inputs of the first layer).

    Raises:
        InputError: shapes do not fit each other, or an activation is not known.
        NonFiniteWeights: a number is NaN or infinite.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], [0.5])])
    >>> net(torch.tensor([[-2.0], [3.0]], dtype=net.dtype))
    tensor([[2.5000],
            [3.5000]], dtype=torch.float64)
    """
    pairs = [_pair(i, layer) for i, layer in enumerate(_listed(layers))]
    given = [activation] if isinstance(activation, str) or not isinstance(activation, Sequence) else list(activation)
    for name in given:
        if not isinstance(name, str) or name not in ACTIVATIONS:
            raise InputError(f"activation {name!r} is not known; {', '.join(ACTIVATIONS)} are")
    names = given * (len(pairs) - 1) if isinstance(activation, str) else given
    if len(names) != len(pairs) - 1:
        raise InputError(
            f"{len(names)} activations are given for {len(pairs)} layers; one for each layer but the last is needed"
        )
    _check_chain(pairs)
    return assemble(pairs, names, dtype or common_dtype([t for pair in pairs for t in pair]))


def _listed(layers: Any) -> list[Any]:
    found = list(layers) if isinstance(layers, Sequence) else []
    if not found:
        raise InputError("layers must be a list of at least one pair (W, b)")
    return found


def _pair(i: int, layer: Any) -> tuple[Tensor, Tensor]:
    """The weight (out, in) and the bias (out,) of a layer."""
    if not isinstance(layer, Sequence) or len(layer) != 2:
        raise InputError(f"layer {i} must be a pair (W, b); for a layer without bias, b is None")
    weight = as_tensor(layer[0], f"W of layer {i}", 2)
    if layer[1] is None:
        return weight, torch.zeros(len(weight), dtype=weight.dtype)
    bias = as_tensor(layer[1], f"b of layer {i}", 1)
    if len(bias) != len(weight):
        turned = "; W is (outputs, inputs): transpose a Keras kernel" if len(bias) == weight.shape[1] else ""
        raise InputError(f"layer {i} has W of shape {tuple(weight.shape)} and b of shape {tuple(bias.shape)}{turned}")
    return weight, bias


def _check_chain(pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
    for i, ((before, _), (after, _)) in enumerate(pairwise(pairs)):
        if len(before) != after.shape[1]:
            raise InputError(
                f"layer {i} has {len(before)} outputs, and layer {i + 1} takes {after.shape[1]} inputs; W is (outputs, inputs)"
            )


def as_tensor(numbers: Any, name: str, ndim: int) -> Tensor:
    """Numbers as a floating-point tensor of its own memory; integers become float64."""
    try:
        array = np.array(numbers.detach().cpu().numpy() if isinstance(numbers, Tensor) else numbers)
        if array.dtype.kind not in "fiu":
            raise TypeError
        tensor = torch.from_numpy(array if array.dtype.kind == "f" and array.itemsize <= 8 else array.astype(np.float64))
    except (TypeError, ValueError):
        raise InputError(f"{name} is not an array of real numbers") from None
    if tensor.ndim != ndim or not tensor.numel():
        raise InputError(f"{name} has the shape {tuple(tensor.shape)}; {ndim} axes with entries are needed")
    if not bool(torch.isfinite(tensor).all()):
        raise NonFiniteWeights(f"{name} has {int((~torch.isfinite(tensor)).sum())} values that are NaN or infinite")
    return tensor


def common_dtype(tensors: Sequence[Tensor]) -> torch.dtype:
    """float32 if no tensor has more digits, else float64."""
    return torch.float64 if any(t.dtype == torch.float64 for t in tensors) else torch.float32


def assemble(
    pairs: Sequence[tuple[Tensor, Tensor]],
    names: Sequence[str],
    dtype: torch.dtype,
    *,
    inputs: int | None = None,
    first: Sequence[Step] = (),
    last: Sequence[Step] = (),
    dropped: str | None = None,
) -> PiecewiseLinearNetwork:
    """The network of checked layers, between further steps before the first and behind the last one.

    ``inputs`` is the number of inputs of the network where the steps before the first layer change it.
    """
    generator = torch.Generator().manual_seed(0)
    example = torch.rand(2, inputs or pairs[0][0].shape[1], generator=generator, dtype=torch.float64).to(dtype)
    b = Builder(example)
    value = b.input
    for i, step in enumerate(first):
        b.origin, b.stem = Origin("layers.scale", f"input.{i}"), f"input{i}"
        value = step(b, value)
    for i, (weight, bias) in enumerate(pairs):
        b.origin, b.stem = Origin("layers.linear", f"{i}"), f"linear{i}"
        value = linear.linear(b, value, weight, bias)
        if i < len(names):
            b.origin, b.stem = Origin(f"layers.{names[i]}", f"{i}"), f"{names[i]}{i}"
            value = ACTIVATIONS[names[i]](b, value)
    for i, step in enumerate(last):
        b.origin, b.stem = Origin("layers.scale", f"output.{i}"), f"output{i}"
        value = step(b, value)
    graph = b.graph(value)
    graph = check_points(graph, b.constants, example)
    return PiecewiseLinearNetwork(graph, b.constants, tuple(example.shape[1:]), dtype, torch.device("cpu"), dropped)
