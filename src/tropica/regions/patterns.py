"""Activation patterns of cells, from a point inside each; proven, and checked against what the walk knows of the cell."""

from __future__ import annotations

import numpy as np
import torch

from tropica.network import Kink
from tropica.network.kinds import Floor, Maximum
from tropica.network.pattern import pack_patterns
from tropica.regions.exact import TooLarge
from tropica.regions.functions import BATCH, Folded
from tropica.regions.noise import E, Rounding
from tropica.regions.refine import Signs
from tropica.regions.solid import Solid


def patterns_at(folded: Folded, t: np.ndarray) -> np.ndarray:
    """Patterns (C, bytes) at points (C, d)."""
    found = [folded.net.activation_pattern(x).numpy() for _, x in folded.batches(t)]
    return np.concatenate(found) if found else np.zeros((0, 0), np.uint8)


def checked_patterns(solid: Solid) -> tuple[np.ndarray, int]:
    """Patterns of cells, in the middle of each.

    A cell's key is a hash of the signs of the functions that have cut, which are the pattern where each kink has two
    choices. Where floating point finds other ones (the cell is too thin for it), or a choice between values that may be equal
    (as they are on all of some cells), exact arithmetic gives the pattern.

    Returns:
        Patterns (C, bytes), and how many were left to floating point.
    """
    folded, cells = solid.folded, solid.cells
    found = patterns_at(folded, solid.centres)
    doubtful = _doubtful(folded, solid.centres)
    if all(kink.kind.elementwise for kink in folded.net.kinks):
        doubtful |= ~_matches(solid, found)
    wrong = np.flatnonzero(doubtful)
    lost = 0
    for c in wrong.tolist():
        members = cells.members[cells.starts[c] : cells.starts[c + 1]]
        try:
            found[c] = _exact(solid, members.tolist())
        except TooLarge:
            lost += 1
    return found, lost


def _doubtful(folded: Folded, t: np.ndarray) -> np.ndarray:
    """At which points (C, d) rounding does not let floating point tell the sign of every function."""
    rounding = Rounding(folded, torch.from_numpy(np.append(np.abs(t).max(0, initial=0), 1.0)[None]), False)
    limits: dict[str, torch.Tensor] = {}
    bends = {bend.kink.name: (bend, options) for bend, options in zip(folded.bends, folded.options, strict=True)}
    for node in folded.net.graph.nodes:
        if isinstance(node, Kink):
            options = bends[node.name][1]
            limits[node.name] = rounding.functions(node, options, 0 if options is None else options.m - 1)[E]
            rounding.bend(node)
        else:
            rounding.run((node,))
    found = [np.zeros(0, bool)]

    def visit(kink: Kink, inputs: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
        bend, options = bends[kink.name]
        if options is None:
            z = folded.functions(bend, dict(zip(kink.inputs, inputs, strict=True)), None)
            near = z.abs() <= limits[kink.name]
        else:
            near = options.gap(inputs[0]) <= limits[kink.name]
            if kink.inputs[0] in folded.floored:  # nothing but zeros: the first wins, also in floating point
                near &= out.reshape(near.shape) != 0
        found[-1] |= near.any(1).numpy()

    with torch.no_grad():
        for _, x in folded.batches(t):
            found.append(np.zeros(len(x), bool))
            folded.net.run(x, visit)
    return np.concatenate(found)


def _exact(solid: Solid, vertices: list[int]) -> np.ndarray:
    """The pattern in the middle of some vertices, in exact arithmetic."""
    chosen: list[tuple[Kink, torch.Tensor, int]] = []
    folded = solid.folded
    for bend, options, found in zip(folded.bends, folded.options, solid.exact.choices(vertices), strict=True):
        kind = bend.kink.kind
        if options is not None:
            choice, count = options.choices(found), kind.options(torch.Size((1, *options.shape)))
        else:
            second = found < 0 if isinstance(kind, Maximum) else found > 0
            if isinstance(kind, Floor) and kind.tie != 0:
                second = found >= 0
            choice, count = torch.from_numpy(second).unsqueeze(0), 2
        chosen.append((bend.kink, choice, count))
    return pack_patterns(chosen, 1).numpy()[0]


def _matches(solid: Solid, patterns: np.ndarray) -> np.ndarray:
    """Do patterns (C, bytes) hash to the keys of the cells?"""
    names, planes, functions = solid.state.names, solid.state.planes, solid.exact.functions
    keys = solid.cells.keys
    bends = [bend.kink for bend in solid.folded.bends]
    starts = np.append(0, np.cumsum([kink.units for kink in bends])).astype(int)
    cuts = [functions[c] for c in range(functions.first, functions.stop)]
    column = np.array([starts[bend] + unit for bend, _, unit in cuts], dtype=int)
    second = np.array([isinstance(bends[bend].kind, Maximum) for bend, _, _ in cuts], dtype=bool)  # a − b < 0 is choice 1
    signs = Signs(names.positive[functions.first :])
    domain = names.positive[planes : functions.first].sum(0, dtype=np.uint64)
    same = np.zeros(len(patterns), bool)
    for low in range(0, len(patterns), BATCH):
        bits = np.unpackbits(patterns[low : low + BATCH], axis=1)
        total = signs.names(np.packbits(bits[:, column] ^ second, axis=1), signs.n) + domain
        same[low : low + BATCH] = (total == keys[low : low + BATCH]).all(1)
    return same
