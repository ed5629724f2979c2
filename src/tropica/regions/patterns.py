"""Activation patterns of cells, from a point inside each; proven, and checked against what the walk knows of the cell."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from tropica.network.graph import NonlinearityNode
from tropica.network.nonlinearities import ClampMin, Maximum
from tropica.network.patterns import pack_patterns
from tropica.regions.cells import Incidence, grouped
from tropica.regions.exact import TooLarge
from tropica.regions.functions import Folded
from tropica.regions.noise import E, L, Rounding
from tropica.regions.signs import Signs
from tropica.regions.solid import Solid

BLOCK = 2**14
"""Cells whose patterns are looked at together."""


def checked_patterns(solid: Solid, which: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, int]]:
    """Patterns of cells, in the middle of each, some at a time.

    A cell's key is a hash of the signs of the functions that have cut, which are the pattern where each nonlinearity has two
    choices. Where floating point finds other ones (the cell is too thin for it), or a choice between values that may be equal
    (as they are on all of some cells), exact arithmetic gives the pattern.

    Args:
        which: the numbers of the cells; all of them by default.

    Yields:
        Patterns (some, bytes), and how many were left to floating point.
    """
    folded, cells = solid.folded, solid.cells
    which = np.arange(len(cells)) if which is None else which
    matches = _Matches(solid) if all(nonlinearity.op.elementwise for nonlinearity in folded.net.nonlinearities) else None
    limits = _limits(folded, solid.centers)
    constant, always = _constant(folded, limits), None
    for low in range(0, len(which), BLOCK):
        block = which[low : low + BLOCK]
        centers = solid.centers[block]
        found = np.concatenate([folded.net.activation_pattern(x, floating="model").numpy() for _, x in folded.batches(centers)])
        doubtful = _doubtful(folded, centers, limits)
        if constant.any():  # what constants choose is decided once
            try:
                always = _exact(solid, _corners(cells, 0)) if always is None else always
                found = (found & ~constant) | (always & constant)
            except TooLarge:
                doubtful |= True
        if matches is not None:
            doubtful |= ~matches(found, cells.keys[block])
        lost = 0
        for i in np.flatnonzero(doubtful).tolist():
            try:
                found[i] = _exact(solid, _corners(cells, block[i]))
            except TooLarge:
                lost += 1
        yield found, lost


def equal_patterns(solid: Solid) -> tuple[Incidence, int]:
    """Cells of one pattern each, with the numbers of the parts that a tournament has cut it into; and how many patterns were
    left to floating point. Patterns are compared by hashes of 128 bits."""
    names = None
    keys, lost = [np.zeros((0, 2), np.uint64)], 0
    for found, some in checked_patterns(solid):
        if names is None:
            names = Signs(np.random.default_rng(2).integers(0, 2**64, (8 * found.shape[1], 2), dtype=np.uint64))
        keys.append(names.names(found, names.n))
        lost += some
    whole = np.concatenate(keys)
    return grouped(whole, np.arange(len(whole))), lost


def _limits(folded: Folded, t: np.ndarray) -> dict[str, torch.Tensor]:
    """Error bounds of each nonlinearity's functions at points (C, d), and the lengths of their gradients: (2, n), E and L."""
    rounding = Rounding(folded, torch.from_numpy(np.append(np.abs(t).max(0, initial=0), 1.0)[None]), False)
    limits: dict[str, torch.Tensor] = {}
    options = {bend.nonlinearity.name: options for bend, options in zip(folded.bends, folded.options, strict=True)}
    for node in folded.net.graph.nodes:
        if isinstance(node, NonlinearityNode):
            some = options[node.name]
            limits[node.name] = rounding.functions(node, some, 0 if some is None else some.m - 1)[[E, L]]
            rounding.bend(node)
        else:
            rounding.run((node,))
    return limits


def _constant(folded: Folded, limits: dict[str, torch.Tensor]) -> np.ndarray:
    """Which bits of a pattern are of units whose functions are constants, as packed bits."""
    chosen: list[tuple[NonlinearityNode, torch.Tensor, int]] = []
    for bend, options in zip(folded.bends, folded.options, strict=True):
        count = 2 if options is None else bend.nonlinearity.op.num_pieces(torch.Size((1, *options.shape)))
        every = (1 << max(1, (count - 1).bit_length())) - 1  # all digits of the unit
        chosen.append((bend.nonlinearity, torch.where(limits[bend.nonlinearity.name][1] == 0, every, 0).unsqueeze(0), count))
    return pack_patterns(chosen, 1).numpy()[0]


def _doubtful(folded: Folded, t: np.ndarray, limits: dict[str, torch.Tensor]) -> np.ndarray:
    """At which points (C, d) rounding does not let floating point tell the sign of every function that is not a constant."""
    bends = {bend.nonlinearity.name: (bend, options) for bend, options in zip(folded.bends, folded.options, strict=True)}
    found = [np.zeros(0, bool)]

    def visit(nonlinearity: NonlinearityNode, inputs: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
        bend, options = bends[nonlinearity.name]
        error, slope = limits[nonlinearity.name]
        if options is None:
            z = folded.functions(bend, dict(zip(nonlinearity.inputs, inputs, strict=True)), None)
            near = z.abs() <= error
        else:
            near = options.gap(inputs[0]) <= error
            if nonlinearity.inputs[0] in folded.floored:  # nothing but zeros: the first wins, also in floating point
                near &= out.reshape(near.shape) != 0
        found[-1] |= (near & (slope > 0)).any(1).numpy()

    with torch.no_grad():
        for _, x in folded.batches(t):
            found.append(np.zeros(len(x), bool))
            folded.net.graph.evaluate(x, folded.net.constants, visit=visit)
    return np.concatenate(found)


def _corners(cells: Incidence, cell: int) -> list[int]:
    """The vertices of a cell."""
    return cells.members[cells.starts[cell] : cells.starts[cell + 1]].tolist()


def _exact(solid: Solid, vertices: list[int]) -> np.ndarray:
    """The pattern in the middle of some vertices, in exact arithmetic."""
    chosen: list[tuple[NonlinearityNode, torch.Tensor, int]] = []
    folded = solid.folded
    for bend, options, found in zip(folded.bends, folded.options, solid.exact.choices(vertices), strict=True):
        kind = bend.nonlinearity.op
        if options is not None:
            choice, count = options.choices(found), kind.num_pieces(torch.Size((1, *options.shape)))
        else:
            second = found < 0 if isinstance(kind, Maximum) else found > 0
            if isinstance(kind, ClampMin) and kind.tie != 0:
                second = found >= 0
            choice, count = torch.from_numpy(second).unsqueeze(0), 2
        chosen.append((bend.nonlinearity, choice, count))
    return pack_patterns(chosen, 1).numpy()[0]


class _Matches:
    """Do patterns hash to the keys of cells?"""

    def __init__(self, solid: Solid) -> None:
        names, planes, functions = solid.state.names, solid.state.planes, solid.exact.functions
        bends = [bend.nonlinearity for bend in solid.folded.bends]
        starts = np.append(0, np.cumsum([nonlinearity.units for nonlinearity in bends])).astype(int)
        cuts = [functions[c] for c in range(functions.first, functions.stop)]
        self._column = np.array([starts[bend] + unit for bend, _, unit in cuts], dtype=int)
        self._second = np.array(
            [isinstance(bends[bend].op, Maximum) for bend, _, _ in cuts], dtype=bool
        )  # a − b < 0 is choice 1
        self._signs = Signs(names.positive[functions.first :])
        self._domain = names.positive[planes : functions.first].sum(0, dtype=np.uint64)

    def __call__(self, patterns: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Patterns (C, bytes), keys (C, 2): (C,)."""
        bits = np.unpackbits(patterns, axis=1)
        total = self._signs.names(np.packbits(bits[:, self._column] ^ self._second, axis=1), self._signs.n)
        return (total + self._domain == keys).all(1)
