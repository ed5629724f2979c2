"""TropEx's Algorithm 3.1, layer by layer, in NumPy float64, written to be compared with the paper line by line.

    acts = forward(model, x)      # the forward pass, with records for the merge operations
    terms = merge(model, acts)    # lines 1 to 9 of the algorithm

`model` is an `nn.Sequential` of Flatten, Linear, Conv2d, BatchNorm1d/2d (in eval mode), MaxPool2d, ReLU and LeakyReLU
whose last layer is Linear. A final Softmax, Dropout and Identity are passed over. Torch supplies the weights only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from tests.oracles.table1 import BNorm, Conv, Dense, Flatten, Layer, MaxPool, Quotient, Record, ReLU, Shape
from tests.oracles.windows import Array, Pair, Windows

BLOCK_BYTES = 2**27
"""Roughly the largest temporary array; points are taken in blocks that keep to it."""


@dataclass(frozen=True)
class Activations:
    """The forward pass of D data points.

    logits (D, s); labels (D,), the first maximum of the logits. Per layer, the shape of its input without the batch
    axis, and what the activation-dependent rows of Table 1 look up (D, ...): preactivation > 0, or the position chosen
    in each window; None for the other rows.
    """

    logits: Array
    labels: NDArray[np.int64]
    shapes: list[Shape]
    records: list[Record]


class Terms(NamedTuple):
    """a+_k(x) = plus_weight[k] x + plus_bias[k], and a-_k likewise. Weights (D, d), biases (D,), labels (D,)."""

    plus_weight: Array
    plus_bias: Array
    minus_weight: Array
    minus_bias: Array
    labels: NDArray[np.int64]


def forward(model: nn.Sequential, x: torch.Tensor | ArrayLike) -> Activations:
    """Run `model` in float64 on x (D, *input) and record what `merge` needs."""
    layers = _read(model)
    data = x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)
    shapes = _input_shapes(layers, data.shape[1:])
    parts = [_forward_block(layers, data[block]) for block in _blocks(len(data), layers, shapes)]
    logits = np.concatenate([part[0] for part in parts])
    columns = zip(*(part[1] for part in parts), strict=True)
    records: list[Record] = [None if column[0] is None else np.concatenate(column) for column in columns]
    return Activations(logits, logits.argmax(axis=1), shapes, records)


def merge(model: nn.Sequential, acts: Activations) -> Terms:
    """Algorithm 3.1: the terms of every data point of `acts`, merged from the last layer to the first."""
    layers = _read(model)
    count = len(acts.labels)
    A = np.empty((2, count, int(np.prod(acts.shapes[0]))))
    a = np.empty((2, count))
    for block in _blocks(count, layers, acts.shapes):
        q = _merge_block(layers, acts, block)
        A[:, block], a[:, block] = q.A.reshape(2, len(acts.labels[block]), -1), q.a
    return Terms(A[0], a[0], A[1], a[1], acts.labels)


def _merge_block(layers: list[Layer], acts: Activations, block: slice) -> Quotient:
    """Lines 8 and 9 for one block of points."""
    q = _last_layer(layers, acts.labels[block])
    for index in reversed(range(len(layers) - 1)):
        record = acts.records[index]
        q = layers[index].merge(q, None if record is None else record[block], acts.shapes[index])
    return q


def _last_layer(layers: list[Layer], labels: NDArray[np.int64]) -> Quotient:
    """Lines 1 to 7. Point k takes row `labels[k]` of C+; A_max is over all s rows, also over labels without points."""
    last = layers[-1]
    assert isinstance(last, Dense)
    W, b = last.W, last.b
    C_minus, c_minus = np.maximum(-W, 0.0).sum(axis=0), np.maximum(-b, 0.0).sum()
    C_plus, c_plus = W + C_minus, b + c_minus
    A = np.stack([C_plus[labels], np.tile(C_minus, (len(labels), 1))])
    a = np.stack([c_plus[labels], np.full(len(labels), c_minus)])
    A_max = np.vstack([C_plus, C_minus]).max(axis=0)
    return Quotient(A, a, A_max)


def _forward_block(layers: list[Layer], x: NDArray) -> tuple[Array, list[Record]]:
    h: Array = x.astype(np.float64)
    records: list[Record] = []
    for layer in layers:
        h, record = layer.forward(h)
        records.append(record)
    return h, records


def _input_shapes(layers: list[Layer], shape: Shape) -> list[Shape]:
    """The shape of each layer's input, found by evaluating one point of zeros."""
    h, shapes = np.zeros((1, *shape)), []
    for layer in layers:
        shapes.append(h.shape[1:])
        h, _ = layer.forward(h)
    return shapes


def _blocks(count: int, layers: list[Layer], shapes: list[Shape]) -> Iterator[slice]:
    """Slices of the data axis, such that no temporary array of a block is much above BLOCK_BYTES."""
    windows = [layer.windows.count if isinstance(layer, Conv) else 1 for layer in layers]
    widest = max(int(np.prod(shape)) * count for shape, count in zip(shapes, windows, strict=True))
    step = max(1, BLOCK_BYTES // (2 * 8 * widest))
    return (slice(start, start + step) for start in range(0, count, step))


def _read(model: nn.Module) -> list[Layer]:
    """The rows of Table 1 that make up `model`, in forward order."""
    modules = list(_leaves(model))
    if modules and isinstance(modules[-1], nn.Softmax | nn.LogSoftmax):
        modules.pop()
    layers = [_row(module) for module in modules]
    if not layers or not isinstance(layers[-1], Dense):
        raise NotImplementedError("Algorithm 3.1 starts from a last layer that is Linear")
    return layers


def _leaves(model: nn.Module) -> Iterator[nn.Module]:
    if isinstance(model, nn.Sequential):
        for child in model:
            yield from _leaves(child)
    elif not isinstance(model, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Identity):
        yield model


def _row(module: nn.Module) -> Layer:
    match module:
        case nn.Linear():
            return Dense(_array(module.weight), _array(module.bias, module.out_features))
        case nn.Conv2d():
            return _conv(module)
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return _batch_norm(module)
        case nn.MaxPool2d():
            return _max_pool(module)
        case nn.ReLU():
            return ReLU(0.0)
        case nn.LeakyReLU() if 0.0 <= module.negative_slope <= 1.0:
            return ReLU(module.negative_slope)
        case nn.Flatten() if (module.start_dim, module.end_dim) == (1, -1):
            return Flatten()
    raise NotImplementedError(f"Table 1 has no row for {module}")


def _conv(module: nn.Conv2d) -> Conv:
    if module.padding_mode != "zeros":
        raise NotImplementedError(f"Table 1 has no row for padding_mode={module.padding_mode!r}")
    kernel, stride, dilation = _pair(module.kernel_size), _pair(module.stride), _pair(module.dilation)
    if module.padding == "same":
        total = (dilation[0] * (kernel[0] - 1), dilation[1] * (kernel[1] - 1))
        before = (total[0] // 2, total[1] // 2)
        after = (total[0] - before[0], total[1] - before[1])
    else:
        before = after = (0, 0) if isinstance(module.padding, str) else _pair(module.padding)
    windows = Windows(kernel, stride, dilation, before, after)
    return Conv(_array(module.weight), _array(module.bias, module.out_channels), windows, module.groups)


def _batch_norm(module: nn.BatchNorm1d | nn.BatchNorm2d) -> BNorm:
    if module.running_mean is None or module.running_var is None:
        raise NotImplementedError("batch norm without running statistics is not an affine map")
    gamma = np.ones(module.num_features) if module.weight is None else _array(module.weight)
    s = gamma / np.sqrt(_array(module.running_var) + module.eps)
    t = -_array(module.running_mean) * s + _array(module.bias, module.num_features)
    shape = (-1, 1, 1) if isinstance(module, nn.BatchNorm2d) else (-1,)
    return BNorm(s.reshape(shape), t.reshape(shape))


def _max_pool(module: nn.MaxPool2d) -> MaxPool:
    kernel, padding = _pair(module.kernel_size), _pair(module.padding)
    stride = _pair(module.stride)
    return MaxPool(Windows(kernel, stride, _pair(module.dilation), padding, padding, module.ceil_mode))


def _array(tensor: torch.Tensor | None, size: int = 0) -> Array:
    """A parameter as float64; `size` zeros where there is none (a layer without bias)."""
    return np.zeros(size) if tensor is None else tensor.detach().cpu().numpy().astype(np.float64)


def _pair(value: int | tuple[int, ...]) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
