"""The places that float64 left in doubt, decided without rounding, as far as the budget goes.

A doubtful end is taken together with the nearest ends on both sides that are not in doubt. From the middle of the interval
before them to the middle of the one behind, the segment is walked again, first in float64 with sharp bounds, then, if there is
still a doubt, in exact arithmetic, and what was found there takes the place of what was said before. The choices at the two
middles must be the same in both; else the whole segment is walked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from tropica.regions.segments.exact import Budget, ExactStretch, ExactWalk, TooMuch
from tropica.regions.segments.lines import Changes, Grid, Lines
from tropica.regions.segments.plan import Plan
from tropica.regions.segments.walk import Walked, cropped, joined, walk


@dataclass(frozen=True)
class Resolved:
    """A walk with no doubt left but at ``undecided`` places."""

    walked: Walked
    undecided: int


def resolve(plan: Plan, a: Tensor, b: Tensor, walked: Walked, exact: ExactWalk) -> Resolved:
    """Decide the doubtful places of a walk."""
    spans = _spans(walked.grid)
    if not spans:
        return Resolved(walked, 0)
    parts: list[Walked] = []
    place, undecided = Fraction(0), 0
    for low, high, doubts in spans:
        sharp = _sharpened(plan, a, b, walked, float(low), float(high))
        if sharp is not None:
            parts += [_cut(walked, place, low)] if low > place else []
            parts.append(sharp)
            place = high
            continue
        try:
            stretch = exact.on(low, high)
            if not (_agree(walked, stretch, low, 0) and _agree(walked, stretch, high, -1)):
                whole, lost = as_walked(exact.on(Fraction(0), Fraction(1)))
                return Resolved(whole, lost)
        except TooMuch:
            undecided += doubts
            continue
        if low > place:
            parts.append(_cut(walked, place, low))
        part, lost = as_walked(stretch)
        parts.append(part)
        undecided += lost
        place = high
    if not parts:
        return Resolved(walked, undecided)
    if place < 1:
        parts.append(_cut(walked, place, Fraction(1)))
    return Resolved(joined(parts), undecided)


def _sharpened(plan: Plan, a: Tensor, b: Tensor, walked: Walked, low: float, high: float) -> Walked | None:
    """A stretch with sharp bounds; None where there is still a doubt."""
    found = walk(plan, a, b, low, high, sharp=True)
    if bool(found.grid.doubt.any() or found.grid.unclear.any()):
        return None
    for name, c in walked.changes.items():
        before, behind = c.at(torch.tensor([low, high], dtype=torch.float64))
        part = found.changes[name]
        if (low > 0 and not torch.equal(before, part.base)) or (high < 1 and not torch.equal(behind, part.last)):
            return None
    return found


def _spans(grid: Grid) -> list[tuple[Fraction, Fraction, int]]:
    """Stretches around the doubtful ends, apart from each other, and how many doubtful ends each has."""
    flagged = grid.doubt.clone()
    flagged[:-1] |= grid.unclear
    flagged[1:] |= grid.unclear
    last = len(grid.t) - 1
    runs: list[list[int]] = []
    for i in torch.nonzero(flagged).flatten().tolist():
        low, high = max(i - 2, -1), min(i + 1, last)
        if runs and low <= runs[-1][1]:
            runs[-1][1] = high
            runs[-1][2] += 1
        else:
            runs.append([low, high, 1])
    middle = grid.middle.tolist()
    return [
        (Fraction(0) if low < 0 else Fraction(middle[low]), Fraction(1) if high == last else Fraction(middle[high]), count)
        for low, high, count in runs
    ]


def _agree(walked: Walked, stretch: ExactStretch, place: Fraction, row: int) -> bool:
    """Are the choices at an end of the stretch those of the walk?"""
    if place in (0, 1):
        return True
    at = float(place)
    return all(
        np.array_equal(c.at(torch.tensor([at], dtype=torch.float64))[0].numpy(), stretch.choices[name][row])
        for name, c in walked.changes.items()
    )


def as_walked(stretch: ExactStretch) -> tuple[Walked, int]:
    """A stretch in float64, and how many of its intervals are too short to have two ends there."""
    t = torch.tensor([float(x) for x in stretch.t], dtype=torch.float64)
    kept = t[1:] > t[:-1]
    ends = torch.cat([t[:-1][kept], t[-1:]])
    rows = kept.numpy()
    changes = {name: Changes.of(ends, torch.from_numpy(c[rows])) for name, c in stretch.choices.items()}
    lines = stretch.output.floats()[:, rows].transpose(2, 1, 0)
    slope, start = torch.from_numpy(lines[0].copy()), torch.from_numpy(lines[1].copy())
    errors = 2.0**-53 * torch.stack([slope.abs().amax(0), start.abs().amax(0)])
    walked = Walked(Grid.plain(ends, 2.0**-53 * ends), changes, Lines(slope, start, errors), torch.arange(len(slope)))
    return walked, int((~kept).sum())


def _cut(walked: Walked, low: Fraction, high: Fraction) -> Walked:
    """A stretch of the walk, which may begin and end inside intervals."""
    first, last = float(low), float(high)
    g = walked.grid
    i, j = int(torch.searchsorted(g.t, first, right=True)) - 1, int(torch.searchsorted(g.t, last))
    inner = cropped(walked, float(g.t[i]), float(g.t[j]))
    grid = inner.grid
    t = grid.t.clone()
    t[0], t[-1] = first, last
    return replace(inner, grid=replace(grid, t=t))


def exact_walk(plan: Plan, a: Tensor, b: Tensor, work: float) -> ExactWalk:
    """Exact walks of the segment from a to b with a budget of products."""
    return ExactWalk(plan, a, b, Budget(work))
