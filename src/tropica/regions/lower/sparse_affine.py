"""The matrix of an affine map with few entries in a row, exactly, without one column after the other.

Columns that reach no common row are probed together: of a convolution, every channel with the positions of a grid that is wider
than its kernel. Which column an entry belongs to is read off the same map with all weights 1, whose values at the probe's
numbers 1, i and i² are those of one column i exactly if no other reaches the row. Random integers confirm the result.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from tropica.exact.rational_arrays import RationalArray, compact
from tropica.network.graph import AffineNode, Node
from tropica.regions.lower.composed_affine import ComposedAffine
from tropica.regions.lower.exact_rows import ExactRows

_SMALL = 1 << 18
"""Entries of a matrix that is multiplied out as a whole."""
_DIRECT = 1 << 22
"""The same where no entry is a sum or a product: weights that are read."""
_AT_ONCE = 1 << 22
"""Entries of the outputs of probes at once."""
_GRIDS = (1, 2, 3, 5, 7, 11)
"""Distances of the positions that are probed together."""


def exact_rows(op: ComposedAffine, source: int, small: int = _SMALL) -> ExactRows:
    """The matrix of one source; with up to ``small`` entries it is multiplied out.

    >>> import torch, tropica as tp
    >>> from tropica.regions.lower.lowering import lower
    >>> model = torch.nn.Sequential(torch.nn.Conv1d(1, 1, 3), torch.nn.ReLU(), torch.nn.Flatten()).eval()
    >>> stage = lower(tp.trace(model, torch.zeros(2, 1, 5))).stages[0]
    >>> exact_rows(stage.affine, -1).columns.tolist()
    [0, 1, 2, 1, 2, 3, 2, 3, 4]
    """
    if small != _SMALL:
        return _made(op, source, small)
    if source not in op.rows:
        op.rows[source] = _made(op, source, small)
    return op.rows[source]


def _made(op: ComposedAffine, source: int, small: int) -> ExactRows:
    name = op.names[source]
    n, m = op.size, op.source_size(source)
    if op.target == name:
        return ExactRows.identity(n)
    if n * m <= small or (op.direct and n * m <= _DIRECT):
        return ExactRows.of(op.exact_weight(source))
    shape = tuple(op.context.shapes[name])[1:]
    for grid in _GRIDS if len(shape) > 1 else ():
        if all(grid >= extent for extent in shape[1:]):
            break
        found = _probed(op, source, list(_grid_probes(shape, grid)))
        if found is not None and _confirmed(op, source, found):
            return found
    return _columns(op, source)


def _grid_probes(shape: Sequence[int], grid: int) -> Iterator[np.ndarray]:
    """The columns of each probe: one channel, and every ``grid``-th position in each direction."""
    index = np.arange(int(np.prod(shape))).reshape(shape)
    for offset in itertools.product(*(range(min(grid, extent)) for extent in shape[1:])):
        places = tuple(slice(o, None, grid) for o in offset)
        for channel in range(shape[0]):
            yield index[(channel, *places)].ravel()


def _probed(op: ComposedAffine, source: int, probes: Sequence[np.ndarray]) -> ExactRows | None:
    """The matrix from these probes; None where two columns of one reach the same row."""
    n, m = op.size, op.source_size(source)
    step = max(1, _AT_ONCE // max(n, m))
    if _owners(op, source, [max(probes, key=len)]) is None:  # fail early
        return None
    rows, columns, values = [], [], []
    for start in range(0, len(probes), step):
        block = probes[start : start + step]
        owner = _owners(op, source, block)
        if owner is None:
            return None
        found = _at_probes(op, source, block)
        probe, row = np.nonzero(found.numerators)
        if (owner[probe, row] < 0).any():
            return None
        rows.append(row)
        columns.append(owner[probe, row])
        values.append(RationalArray(found.numerators[probe, row], found.denominator))
    return _gathered(rows, columns, values, (n, m))


def _at_probes(op: ComposedAffine, source: int, probes: Sequence[np.ndarray]) -> RationalArray:
    """The sums (P, n) of the columns of each probe, exactly."""
    given = np.zeros((len(probes), op.source_size(source)), np.int64)
    for i, probe in enumerate(probes):
        given[i, probe] = 1
    values = {k: RationalArray(np.zeros((len(probes), op.source_size(k)), np.int64)) for k in op.names}
    return op.apply_exact({**values, source: RationalArray(given)}, linear=True)


def _gathered(
    rows: Sequence[np.ndarray], columns: Sequence[np.ndarray], values: Sequence[RationalArray], shape: tuple[int, int]
) -> ExactRows:
    """A matrix from its entries, block by block."""
    common = math.lcm(1, *(v.denominator for v in values))
    tops = [v.numerators_over(common) for v in values]
    entries = compact(np.concatenate(tops)) if tops else np.zeros(0, np.int64)
    return ExactRows.from_entries(np.concatenate(rows), np.concatenate(columns), entries, common, shape)


def _owners(op: ComposedAffine, source: int, probes: Sequence[np.ndarray]) -> np.ndarray | None:
    """The column (P, n) of each probe that reaches each row, −1 for none; None where there may be two."""
    m = op.source_size(source)
    powers = np.zeros((3, len(probes), m))
    for i, probe in enumerate(probes):
        number = np.arange(1.0, len(probe) + 1)
        powers[:, i, probe] = [np.ones(len(probe)), number, number * number]
    ones, first, second = _with_ones(op, source, powers.reshape(-1, m)).reshape(3, len(probes), -1)
    if not np.array_equal(first * first, ones * second):
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        place = np.where(ones > 0, np.rint(first / ones), 0).astype(np.int64)
    length = np.array([len(p) for p in probes])[:, None]
    if (place * ones != first).any() or (place > length).any() or (place < 0).any():
        return None
    offsets = np.cumsum([0, *(len(p) for p in probes)])[:-1]
    every = np.concatenate(probes)
    return np.where(place > 0, every[np.minimum(offsets[:, None] + np.maximum(place - 1, 0), len(every) - 1)], -1)


def _with_ones(op: ComposedAffine, source: int, values: np.ndarray) -> np.ndarray:
    """The map's linear part at rows of one source, with 1 for every weight."""
    context = op.context

    def step(node: Node, inputs: Sequence[Tensor]) -> Tensor:
        assert isinstance(node, AffineNode)
        if not node.weighted:
            return context.linear(node, inputs).abs()
        roles = {
            role: torch.ones_like(c) if role == "weight" else torch.zeros_like(c) if c.is_floating_point() else c
            for role, c in node.roles(context.constants).items()
        }
        return node.fn(*inputs, **roles)

    given: dict[str, Tensor] = {}
    for k, name in op.names.items():
        rows = values if k == source else np.zeros((len(values), op.source_size(k)))
        given[name] = context.tensor(name, torch.from_numpy(rows))
    with torch.no_grad():
        found = context.graph.interpret(given, step, stop=op.target)[op.target]
        return context.rows(op.target, found, len(values)).numpy()


def _confirmed(op: ComposedAffine, source: int, found: ExactRows) -> bool:
    """Whether the matrix is the map's at two vectors of random integers, exactly."""
    random = np.random.default_rng(0)
    given = random.integers(1, 1 << 20, (2, op.source_size(source)))
    values: Mapping[int, RationalArray] = {
        k: RationalArray(given if k == source else np.zeros((2, op.source_size(k)), np.int64)) for k in op.names
    }
    right = op.apply_exact(values, linear=True)
    own = found.times(given.T.astype(object)).T
    return bool((own * right.denominator == right.numerators.astype(object) * found.denominator).all())


def _columns(op: ComposedAffine, source: int) -> ExactRows:
    """The matrix column by column, in blocks."""
    n, m = op.size, op.source_size(source)
    step = max(1, _AT_ONCE // max(n, m))
    rows, columns, values = [], [], []
    for start in range(0, m, step):
        found = _at_probes(op, source, list(np.arange(start, min(start + step, m))[:, None]))
        column, row = np.nonzero(found.numerators)
        rows.append(row)
        columns.append(start + column)
        values.append(RationalArray(found.numerators[column, row], found.denominator))
    return _gathered(rows, columns, values, (n, m))
