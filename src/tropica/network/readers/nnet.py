"""Networks in the ``.nnet`` format of Stanford's ACAS Xu networks: a text file of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from tropica.errors import DataError
from tropica.network.builder import Builder, Value
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.ops import activations
from tropica.network.readers.dense import assemble

_MOST_NUMBERS = 2**27
_UNBOUNDED = float(torch.finfo(torch.float32).max)


@dataclass(frozen=True)
class NNet:
    """The content of a file: for inputs x, ``range · N((clip(x, minima, maxima) − means)/ranges) + mean``.

    Attributes:
        layers: pairs (W, b), with a relu between them.
        minima, maxima, means, ranges: of each input.
        mean, range: of the outputs.
    """

    layers: list[tuple[Tensor, Tensor]]
    minima: Tensor
    maxima: Tensor
    means: Tensor
    ranges: Tensor
    mean: float
    range: float


def load_nnet(path: str) -> PiecewiseLinearNetwork:
    """The network of a file, in float64, with its normalization.

    Raises DataError if the file is missing or does not have the format.
    """
    content = read_nnet(path)

    def clip(b: Builder, x: Value) -> Value:
        low, high = (t if bool((t.abs() < _UNBOUNDED).all()) else None for t in (content.minima, content.maxima))
        return activations.clamp(b, x, low, high)

    def normalize(b: Builder, x: Value) -> Value:
        return b.scale(b.shift(x, -content.means), 1 / content.ranges)

    def rescale(b: Builder, x: Value) -> Value:
        return b.shift(b.scale(x, content.range), content.mean)

    names = ["relu"] * (len(content.layers) - 1)
    return assemble(content.layers, names, torch.float64, first=(clip, normalize), last=(rescale,))


def read_nnet(path: str) -> NNet:
    """The numbers of a file. Raises as :func:`load_nnet`."""
    try:
        with open(path, encoding="utf8") as file:
            lines = [line for line in file if line.strip() and not line.startswith("//")]
    except FileNotFoundError:
        raise DataError("no such file") from None
    except IsADirectoryError:
        raise DataError("a folder; a .nnet file is needed") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"not a text file, or it cannot be read ({type(error).__name__})") from None
    rows = iter(lines)
    depth, inputs, outputs, _ = (_whole(n) for n in _numbers(rows, "the numbers of layers, inputs and outputs", 4))
    if depth < 1:
        raise DataError(f"it states {depth} layers")
    sizes = [_whole(n) for n in _numbers(rows, "the sizes of the layers", depth + 1)]
    if (sizes[0], sizes[-1]) != (inputs, outputs) or min(sizes) < 1:
        raise DataError(f"its layers have the sizes {sizes}, for {inputs} inputs and {outputs} outputs")
    if sum(n * m for n, m in pairwise(sizes)) > _MOST_NUMBERS:
        raise DataError(f"its layers have the sizes {sizes}, more than {_MOST_NUMBERS:,} weights")
    next(rows, None)  # a flag without a use
    minima, maxima = (_numbers(rows, f"the {what} of the inputs", inputs) for what in ("minima", "maxima"))
    means, ranges = (_numbers(rows, f"the {what} of inputs and outputs", inputs + 1) for what in ("means", "ranges"))
    if not (np.abs(ranges) > 0).all():
        raise DataError("a range of its normalization is 0")
    if (minima > maxima).any():
        raise DataError("a minimum of its inputs is above the maximum")
    layers = [(_matrix(rows, i, m, n), _matrix(rows, i, m, 1)[:, 0]) for i, (n, m) in enumerate(pairwise(sizes))]
    if next(rows, None) is not None:
        raise DataError("there are more numbers than its layers have")
    bounds = [torch.from_numpy(a) for a in (minima, maxima)]
    normal = [torch.from_numpy(a[:-1]) for a in (means, ranges)]
    return NNet(layers, bounds[0], bounds[1], normal[0], normal[1], float(means[-1]), float(ranges[-1]))


def _matrix(rows: Iterator[str], layer: int, height: int, width: int) -> Tensor:
    what = f"a row of layer {layer}"
    return torch.from_numpy(np.stack([_numbers(rows, what, width) for _ in range(height)]))


def _numbers(rows: Iterator[str], what: str, count: int) -> np.ndarray:
    """The first numbers of the next line."""
    row = next(rows, None)
    if row is None:
        raise DataError(f"it ends where {what} should be")
    try:
        found = np.array([float(n) for n in row.split(",") if n.strip()])
    except ValueError:
        raise DataError(f"the line for {what} is not {count} numbers: {row.strip()[:60]!r}") from None
    if len(found) != count or not np.isfinite(found).all():
        raise DataError(f"the line for {what} has {len(found)} numbers; {count} finite ones are needed")
    return found


def _whole(number: float) -> int:
    if number != int(number) or not 0 <= number < _MOST_NUMBERS:
        raise DataError(f"{number} is not a number of layers or units")
    return int(number)
