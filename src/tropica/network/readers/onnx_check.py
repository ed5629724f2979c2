"""A network read from an ONNX file, checked against ``onnx.reference``, the evaluator in the package onnx."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from tropica.errors import TraceError, TraceMismatch
from tropica.network.export import first_line
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.readers.onnx_file import OnnxFile
from tropica.network.readers.onnx_reference import reference
from tropica.network.trace_checks import HEADS

_SCALES = (1.0, 16.0)
"""Sizes of the random points, besides those in the unit cube."""


def check_network(
    net: PiecewiseLinearNetwork,
    file: OnnxFile,
    name: str,
    shape: tuple[int, ...],
    held: Mapping[str, np.ndarray],
    free: bool,
) -> float:
    """Compare a network with ``onnx.reference`` on random points, one after the other; with a free batch also together.

    Returns the largest difference, relative to the largest output.

    Raises:
        TraceMismatch: the outputs differ, are not finite, or the reference cannot evaluate the file.
        TraceError: the file lets the points of a batch act on each other.
    """
    x = check_inputs(net)
    with torch.no_grad():
        found = HEADS[net.dropped](net(x)).double().numpy()
    evaluator = reference(file.model)

    def run(batch: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(evaluator.run([file.output], {name: batch, **held})[0])  # pyright: ignore[reportArgumentType]

    try:
        wanted = np.stack([run(point.reshape(shape).numpy()).reshape(-1) for point in x]).astype(np.float64)
    except Exception as error:  # the file decides what the reference is called with
        raise TraceMismatch(
            f"onnx.reference cannot evaluate the file, so it cannot be checked ({type(error).__name__}: {first_line(error)})"
        ) from error
    if not np.isfinite(wanted).all():
        raise TraceMismatch("the outputs of onnx.reference on random points are NaN or infinite")
    worst = _difference(found, wanted, net.dtype, "the network does not compute what onnx.reference computes")
    if free:
        _check_together(run, x, found, net.dtype)
    return worst


def check_inputs(net: PiecewiseLinearNetwork) -> Tensor:
    """Random points: in the unit cube, and Gaussian."""
    generator = torch.Generator().manual_seed(2)
    size = net.input_shape
    parts = [torch.rand(2, *size, generator=generator, dtype=torch.float64)]
    parts += [scale * torch.randn(1, *size, generator=generator, dtype=torch.float64) for scale in _SCALES]
    return torch.cat(parts).to(net.dtype)


def _check_together(run, x: Tensor, found: np.ndarray, dtype: torch.dtype) -> None:
    """Check that a batch of all points gives each point's own outputs; a file that takes one point alone passes."""
    try:
        together = run(x.numpy())
    except Exception:  # sizes written into the file: it is for one point at a time
        return
    if together.size != found.size or together.shape[:1] != found.shape[:1]:
        raise TraceError(
            f"the file gives outputs of the shape {together.shape} for {len(x)} points, so its first axis is not the batch"
        )
    why = "the points of a batch act on each other in the file, or its first axis is not the batch"
    _difference(found, together.reshape(found.shape).astype(np.float64), dtype, why)


def _difference(found: np.ndarray, wanted: np.ndarray, dtype: torch.dtype, why: str) -> float:
    """The largest difference relative to the largest output; TraceMismatch if it is more than rounding."""
    if found.shape != wanted.shape:
        raise TraceMismatch(f"{why}: {found.shape[1:]} outputs for a point, and {wanted.shape[1:]} of the reference")
    scale = float(np.abs(wanted).max(initial=0)) + 1e-30
    worst = float(np.abs(found - wanted).max(initial=0)) / scale
    if not worst <= (1e-4 if dtype == torch.float32 else 1e-9):
        raise TraceMismatch(f"{why}: the largest difference on random points is {worst:.3g} of the largest output")
    return worst
