"""The cell of a point: exactly, also where the point lies on a border."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tropica.network.graph import INPUT, AffineNode, Graph
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.patterns import pack_patterns
from tropica.network.point_signs import PointSigns, UnitPieces

EMBEDDING = "embedding"
BLOCK = 2**22
"""Pieces of units looked at together."""


def cells_of_points(
    net: PiecewiseLinearNetwork, origin: np.ndarray, basis: np.ndarray, patterns: np.ndarray, t: np.ndarray
) -> np.ndarray:
    """The lowest-numbered closed cell that holds each point x = origin + t · basis, −1 where there is none.

    A cell is the set of inputs with one activation pattern, so a point lies in the closed cell if and only if the cell's piece
    of every unit attains the unit's maximum at the point.

    Args:
        net: the network, in float64.
        origin, basis: (n,) and (d, n); x is exact, not rounded.
        patterns: (C, bytes), one row a cell, all different.
        t: (N, d), finite.
    """
    signs = _embedded(net, origin, basis)
    units = sum(node.units for node in net.nonlinearities)
    known = _first_rows(patterns)
    blocks = np.array_split(t, max(1, -(-len(t) * max(units, 1) // BLOCK)))
    return np.concatenate(
        [_located(signs(torch.from_numpy(block), ties=True), patterns, known, len(block)) for block in blocks]
    )


def _embedded(net: PiecewiseLinearNetwork, origin: np.ndarray, basis: np.ndarray) -> PointSigns:
    """The predicate of t ↦ N(origin + t · basis)."""
    shape = net.input_shape

    def embed(t: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return (t @ weight + bias).reshape(-1, *shape)

    constants = dict(net.constants)
    if not origin.any() and np.array_equal(basis, np.eye(len(origin))):
        first = AffineNode(EMBEDDING, (INPUT,), fn=lambda t: t.reshape(-1, *shape))
    else:
        first = AffineNode(EMBEDDING, (INPUT,), {"weight": "embedding weight", "bias": "embedding bias"}, fn=embed)
        constants["embedding weight"] = torch.from_numpy(basis).to(net.device)
        constants["embedding bias"] = torch.from_numpy(origin).to(net.device)
    rest = (replace(node, inputs=tuple(EMBEDDING if i == INPUT else i for i in node.inputs)) for node in net.graph.nodes)
    output = EMBEDDING if net.graph.output == INPUT else net.graph.output
    shapes = {**net.shapes, EMBEDDING: net.shapes[INPUT], INPUT: torch.Size((1, len(basis)))}
    return PointSigns(Graph((first, *rest), output), constants, shapes)


def _first_rows(rows: np.ndarray) -> dict[bytes, int]:
    """The first number of each row."""
    found: dict[bytes, int] = {}
    for i, row in enumerate(rows):
        found.setdefault(row.tobytes(), i)
    return found


def _located(found: Sequence[UnitPieces], patterns: np.ndarray, known: dict[bytes, int], points: int) -> np.ndarray:
    own = pack_patterns([(unit.node, unit.piece, unit.num_pieces) for unit in found], points).cpu().numpy()
    tied = pack_patterns([(unit.node, _all_bits_of_ties(unit), unit.num_pieces) for unit in found], points).cpu().numpy()
    number = np.array([known.get(row.tobytes(), -1) for row in own], dtype=np.int64)
    borders = np.flatnonzero(tied.any(1))
    masks, which = np.unique(tied[borders], axis=0, return_inverse=True)
    windows = [unit for unit in found if unit.piece.dtype != torch.bool]
    for i, mask in enumerate(masks):
        free = ~mask
        some = borders[which.reshape(-1) == i]
        if not windows:
            alike = _first_rows(patterns & free)
            number[some] = [alike.get(row.tobytes(), -1) for row in own[some] & free]
            continue
        cells = patterns & free
        for point in some:
            candidates = np.flatnonzero((cells == (own[point] & free)).all(1))
            number[point] = _first_attained(found, patterns, candidates, int(point))
    return number


def _all_bits_of_ties(unit: UnitPieces) -> Tensor:
    """All digits set of a unit whose maximum several pieces attain."""
    assert unit.attaining is not None
    every = (1 << max(1, (unit.num_pieces - 1).bit_length())) - 1
    return torch.where(unit.attaining.sum(0) > 1, every, 0)


def _first_attained(found: Sequence[UnitPieces], patterns: np.ndarray, cells: np.ndarray, point: int) -> int:
    """The first of some cells whose pieces all attain the maxima at a point; −1 if there is none."""
    bits = np.unpackbits(patterns[cells], axis=1)
    fits = np.ones(len(cells), bool)
    start = 0
    for unit in found:
        width = max(1, (unit.num_pieces - 1).bit_length())
        stop = start + width * unit.node.units
        if unit.piece.dtype != torch.bool:
            assert unit.attaining is not None
            digits = bits[:, start:stop].reshape(len(cells), unit.node.units, width)
            piece = (digits.astype(np.int64) << np.arange(width - 1, -1, -1)).sum(2)
            attaining = unit.attaining[:, point].reshape(len(unit.attaining), -1).cpu().numpy()
            piece = np.minimum(piece, len(attaining) - 1)
            fits &= attaining[piece, np.arange(unit.node.units)].all(1)
        start = stop
    return int(cells[fits.argmax()]) if fits.any() else -1
