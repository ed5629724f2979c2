"""The affine maps of cells, and which cells have one and the same: told apart by floating point where it can, else by proof.

1. Computed coefficients err by no more than a proven bound. Maps that differ by more are different.
2. A unit is live in a cell where the logits depend on its output. The map is made of the choices of live units alone: cells
   where these are the same have one map. (The gradient of a random combination of the logits tells which units are live; that
   it vanishes by chance has probability zero.)
3. What is left, maps of different choices whose coefficients are alike, is compared in rational arithmetic.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tropica.network.graph import NonlinearityNode
from tropica.regions.exact import Exact, TooLarge
from tropica.regions.functions import Folded
from tropica.regions.noise import UNIT, Rounding

FEW = 2000
"""Maps that are compared in rational arithmetic, at the most."""


def affine_maps(folded: Folded, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """t ↦ weight t + bias at points (C, d): (C, s, d) and (C, s)."""
    weights, biases = [], []
    for _, x in folded.batches(centers):
        found = folded.net.local_map(x)  # W x + b at x = origin + t · basis
        weights.append((found.weight.flatten(2) @ folded.basis.T).numpy())
        biases.append((found.weight.flatten(2) @ folded.origin + found.bias).numpy())
    return np.concatenate(weights), np.concatenate(biases)


def number_maps(
    folded: Folded, exact: Exact, logits: tuple[np.ndarray, np.ndarray], centers: np.ndarray
) -> tuple[np.ndarray, int]:
    """Number the maps of C cells, from their coefficients and a point (C, d) inside each.

    Returns:
        The number of each cell's map (C,), and how many maps had to be told apart by floating point alone.
    """
    weight, bias = logits
    rows = np.concatenate([weight.reshape(len(bias), -1), bias], 1)
    slope, shift = errors(folded, centers)
    error = np.concatenate([np.repeat(slope, weight.shape[2]), shift])
    number = np.arange(len(rows))
    close = _close(rows, error)
    _, first, same = np.unique(_live(folded, centers[close]), axis=0, return_index=True, return_inverse=True)
    number[close] = close[first[same.ravel()]]
    left = np.unique(number[close])
    left = left[_close(rows[left], error)]
    instead, undecided = _compared(exact, left, centers)
    number = instead[number] if len(left) else number
    return np.unique(number, return_inverse=True)[1].ravel(), undecided


def errors(folded: Folded, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far computed coefficients may be off, by logit: (s,) for weights and (s,) for biases.

    A weight is a sum over paths, computed with a relative error of k u a path, with k the terms of all sums on the way; the
    sizes of all paths add up to what |J| for J in every affine op makes of |basis|. A bias is N(x) − W x.
    """
    corners = torch.from_numpy(np.concatenate([np.abs(centers).max(0, initial=0), [1.0]])[None])
    rounding = Rounding(folded, corners, False)
    terms = folded.basis.shape[1] + len(folded.basis) + 2
    for node in folded.net.graph.nodes:
        if isinstance(node, NonlinearityNode):
            rounding.bend(node)
        else:
            terms += rounding.run((node,))
    x, error, slope = (part.reshape(-1).numpy() for part in rounding.alive[folded.net.graph.output])
    unit = 4 * UNIT * terms
    # X is made of |x| by the same |J|, and so bounds the sizes of W x, too.
    return unit * slope, error + unit * x


def _close(rows: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Rows that do not differ from every other one by more than both may be off; some more than these, perhaps."""
    if len(rows) < 2:
        return np.zeros(0, np.int64)
    scale = np.where(error > 0, error, 1)
    line = (rows / scale) @ (direction := np.random.default_rng(0).standard_normal(rows.shape[1]))
    reach = 2 * np.abs(direction).sum() + 4 * len(direction) * UNIT * np.abs(line).max()
    order = np.argsort(line)
    near = np.diff(line[order]) <= reach
    return np.sort(order[np.append(near, False) | np.append(False, near)])


def _live(folded: Folded, centers: np.ndarray) -> np.ndarray:
    """Hashes (C, 2) of the choices of the live units at points inside cells."""
    net = folded.net
    random = np.random.default_rng(0)
    names = [torch.from_numpy(random.integers(-(2**63), 2**63, (2, nonlinearity.units))) for nonlinearity in net.nonlinearities]
    mix = torch.from_numpy(random.standard_normal(net.num_outputs))
    found: list[np.ndarray] = []
    for _, x in folded.batches(centers):
        outs: list[Tensor] = []
        choices: list[Tensor] = []

        def visit(nonlinearity: NonlinearityNode, inputs: tuple[Tensor, ...], out: Tensor, outs=outs, choices=choices) -> None:
            outs.append(out)
            choices.append(nonlinearity.op.active_piece(*inputs, **nonlinearity.roles(net.constants)).detach())

        with torch.enable_grad():
            total = (net.graph.evaluate(x.requires_grad_(), net.constants, visit=visit).flatten(1) @ mix).sum()
            slopes = torch.autograd.grad(total, outs, allow_unused=True, materialize_grads=True) if outs else ()
        codes = torch.zeros(len(x), 2, dtype=torch.int64)
        for slope, choice, name in zip(slopes, choices, names, strict=True):
            live = slope.reshape(choice.shape) != 0
            code = torch.where(live, choice.long() + 1, 0).reshape(len(x), -1)
            codes += torch.stack([(code * part).sum(1) for part in name], 1)
        found.append(codes.numpy())
    return np.concatenate(found) if found else np.zeros((0, 2), np.int64)


def _compared(exact: Exact, cells: np.ndarray, centers: np.ndarray) -> tuple[np.ndarray, int]:
    """For every cell, the first of ``cells`` with the very same map where it is one of them, else itself; and how many of
    them could not be compared."""
    instead = np.arange(len(centers))
    if len(cells) > FEW:
        return instead, len(cells)
    known: dict[tuple[int, ...], int] = {}
    try:
        for cell in cells.tolist():
            instead[cell] = known.setdefault(exact.map(centers[cell]), cell)
    except TooLarge:
        return np.arange(len(centers)), len(cells)
    return instead, 0
