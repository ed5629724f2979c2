"""Networks from ONNX files: the batch axis is found, the graph is read, and the result is checked by ``onnx.reference``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tropica.errors import DataError, InputError, TraceError
from tropica.network.builder import EXAMPLE_POINTS, Builder, Value
from tropica.network.export import first_line
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.readers.onnx_check import check_network
from tropica.network.readers.onnx_file import OnnxFile, read_file, tensor_type
from tropica.network.readers.onnx_graph import build
from tropica.network.readers.per_point import Activation, view
from tropica.network.trace_checks import points_first

_MOST_INPUTS = 2**23
"""Largest number of entries of one point."""


@dataclass(frozen=True)
class Point:
    """What one point of a network is in a file.

    Attributes:
        name: name of the file's input.
        shape: shape of the file's input for one point, a batch axis of size 1 included.
        has_batch: whether the first axis of ``shape`` is the batch.
        free: whether the file takes any number of points.
        dtype: float32 or float64.
    """

    name: str
    shape: tuple[int, ...]
    has_batch: bool
    free: bool
    dtype: torch.dtype

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one point of the network."""
        return self.shape[1:] if self.has_batch else self.shape


def load_onnx(
    path: str, output: int | str | None, fixed: Mapping[str, Any] | None, flatten_output: bool
) -> PiecewiseLinearNetwork:
    """The network of an ONNX file; see :func:`tropica.load_network`."""
    return from_file(read_file(path, output), fixed or {}, flatten_output)


def from_file(file: OnnxFile, fixed: Mapping[str, Any], flatten_output: bool) -> PiecewiseLinearNetwork:
    """The network of the content of an ONNX file."""
    held = {name: _held(file, name, value) for name, value in fixed.items()}
    point = _point(file, held)
    net = _network(file, point, held, flatten_output)
    check_network(net, file, point.name, point.shape, {name: t.numpy() for name, t in held.items()}, free=point.free)
    _refuse_fixed_batch(net, point)
    return net


def _network(file: OnnxFile, point: Point, held: Mapping[str, Tensor], flatten_output: bool) -> PiecewiseLinearNetwork:
    generator = torch.Generator().manual_seed(0)
    example = torch.rand(EXAMPLE_POINTS, *point.input_shape, generator=generator, dtype=torch.float64).to(point.dtype)
    builder = Builder(example)
    out = build(builder, file.parts, {point.name: Activation(builder.input, point.shape), **held}, file.output)
    if not isinstance(out, Activation):
        raise TraceError(f"the output {file.output} does not depend on the input {point.name}, or on positions alone")
    logits = _logits(builder, out, flatten_output)
    graph = builder.graph(logits)
    used = {name for node in graph.nodes for name in node.constants.values()}
    constants = {name: tensor for name, tensor in builder.constants.items() if name in used}
    try:
        graph = points_first(graph, constants, example)
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:  # the file decides what the ops are called with
        raise DataError(
            f"PyTorch cannot compute what the file describes ({type(error).__name__}: {first_line(error)})"
        ) from error
    return PiecewiseLinearNetwork(graph, constants, point.input_shape, point.dtype, torch.device("cpu"), out.head)


def _logits(b: Builder, out: Activation, flatten_output: bool) -> Value:
    """The output as (B, s)."""
    if sum(n > 1 for n in out.shape) > 1 and not flatten_output:
        raise TraceError(
            f"the output has the shape {out.shape} for one point; logits (B, s) are needed, or flatten_output=True"
        )
    return view(b, out, (out.numel,))


def _held(file: OnnxFile, name: str, value: Any) -> Tensor:
    """The value of an input that is held, in the type and shape that the file states."""
    if name not in file.inputs:
        raise InputError(f"fixed= names {name!r}; the inputs of the output are {', '.join(file.inputs)}")
    dtype, sizes = tensor_type(file.inputs[name])
    array = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value)
    if array.ndim != len(sizes) or any(n not in (None, m) for n, m in zip(sizes, array.shape, strict=True)):
        wanted = ", ".join("any" if n is None else str(n) for n in sizes)
        raise InputError(f"the input {name!r} has the shape ({wanted}); the value given for it has {array.shape}")
    if not np.can_cast(array.dtype, dtype, "same_kind"):
        raise InputError(f"the input {name!r} is {dtype}; the value given for it is {array.dtype}")
    return torch.from_numpy(array.astype(dtype))


def _point(file: OnnxFile, held: Mapping[str, Tensor]) -> Point:
    """The one input that is not held, and its batch axis.

    A first axis that is free, or of size 1, is the batch, unless it is the only axis.
    """
    names = [name for name in file.inputs if name not in held]
    if len(names) != 1:
        found = f"{len(names)} ({', '.join(names)})" if names else "none"
        raise InputError(f"the output {file.output} needs exactly one input, and has {found}; hold the others with fixed=")
    dtype, sizes = tensor_type(file.inputs[names[0]])
    if str(dtype) not in ("float32", "float64"):
        raise DataError(f"its input {names[0]} is {dtype}; float32 or float64 is needed")
    described = "(" + ", ".join("any" if n is None else str(n) for n in sizes) + ")"
    if not sizes or None in sizes[1:] or sizes == [None] or any(n is not None and n < 1 for n in sizes):
        raise DataError(
            f"its input {names[0]} has the shape {described}; one free size, the first one, can be the batch, and the others "
            "must be fixed: export it with fixed sizes"
        )
    shape = tuple(1 if n is None else n for n in sizes)
    if math.prod(shape) > _MOST_INPUTS:
        raise DataError(f"its input {names[0]} has the shape {described}; up to {_MOST_INPUTS:,} entries are read")
    has_batch = len(shape) > 1 and shape[0] == 1
    return Point(names[0], shape, has_batch, sizes[0] is None, getattr(torch, str(dtype)))


def _refuse_fixed_batch(net: PiecewiseLinearNetwork, point: Point) -> None:
    """Refuse a file for n > 1 points at a time: its n outputs are one function of one row of the input each."""
    n = point.shape[0]
    if point.has_batch or len(point.shape) < 2 or net.num_outputs % n:
        return
    wide, generator = net.to(torch.float64), torch.Generator().manual_seed(1)
    x = torch.randn(1, *point.shape, generator=generator, dtype=torch.float64)
    other = torch.randn(1, *point.shape, generator=generator, dtype=torch.float64)
    mixed = x.clone()
    mixed[:, 0] = other[:, 0]
    with torch.no_grad():
        rows = {key: wide(z).reshape(n, -1) for key, z in (("x", x), ("mixed", mixed), ("rolled", x.roll(1, 1)))}
    near = torch.testing.assert_close
    try:
        near(rows["mixed"][1:], rows["x"][1:])
        near(rows["rolled"], rows["x"].roll(1, 0))
    except AssertionError:
        return
    raise TraceError(
        f"the file is for {n} points at a time: each of its {n} rows of outputs depends on one row of its input {point.name}; "
        "export it for a free number of points, or for one"
    )
