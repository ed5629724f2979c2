"""Every breakpoint along a segment, nonlinearity by nonlinearity, in float64 with error bounds.

Behind every node of the graph each value is an affine function of t on each interval found so far: z(t) = s t + c, held as
rows, one an interval. A nonlinearity cuts the intervals where one of its units changes its piece, and hands on one row an
interval. However many intervals, they are worked on in chunks of ``CHUNK`` bytes. Rows do not see each other, but for those of
dense layers behind thresholds, which follow from each other (:mod:`~tropica.regions.segments.followed`).

Along with its rows every value has bounds, one a unit, on the errors of s and of c: an affine op J with k products a unit makes
of errors ε and sizes σ = |s| or |c| the error |J| ε + γ_k |J| σ (γ_k = k u / (1 − k u); Higham, Accuracy and Stability of
Numerical Algorithms, 3.1). Where a sign, or the order of two breakpoints, is smaller than its bound, the walk goes on with what
float64 says, and marks the place as doubtful; :mod:`tropica.regions.segments.resolve` decides it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from tropica.regions.segments.followed import Followed, Thresholded, followed
from tropica.regions.segments.lines import Changes, Grid, Lines, largest
from tropica.regions.segments.nonlinearities import Window
from tropica.regions.segments.plan import INPUT, UNIT, AffineStep, Plan, gamma
from tropica.regions.segments.split import nonlinearity, rectified_window

CHUNK = 2**23
"""Bytes of the slopes of a nonlinearity's input or output (whichever is more) that are worked on at a time."""
LEAST = 16
"""Intervals of a chunk, at least."""
Value = Lines | Followed | Thresholded
"""A value along the segment, as it was found."""


@dataclass(frozen=True)
class Walked:
    """A walked stretch.

    Attributes:
        grid: all ends.
        changes: those of each nonlinearity, by name.
        output: the output's lines, and ``row`` (intervals,) which of them each interval has; adjacent intervals with one
            row have one affine map.
    """

    grid: Grid
    changes: dict[str, Changes]
    output: Lines
    row: Tensor


def walk(plan: Plan, a: Tensor, b: Tensor, low: float = 0.0, high: float = 1.0, sharp: bool = False) -> Walked:
    """Walk from a to b, both (units,) in float64, or between two places on this way.

    ``sharp`` is for short stretches: bounds that are orders of magnitude smaller, at several times the work.
    """
    ends = torch.tensor([low, high], dtype=torch.float64)
    slope = b - a
    errors = torch.stack([2 * UNIT * slope.abs(), torch.zeros_like(a)])
    with torch.no_grad():
        walk = _Walk(plan, sharp)
        return walk.on(0, Grid.plain(ends, 0 * ends), [], {INPUT: Lines(slope[None], a[None], errors)})


class _Walk:
    def __init__(self, plan: Plan, sharp: bool) -> None:
        self.plan, self.sharp = plan, sharp
        self.nodes = plan.net.graph.nodes

    def on(self, at: int, grid: Grid, aside: list[Grid], values: dict[str, Value]) -> Walked:
        """From node ``at`` to the output, with the values alive there.

        ``aside`` holds ends across which no value alive changes: they are kept out of the rows.
        """
        values, changes = dict(values), {}
        while at < len(self.nodes):
            node, step = self.nodes[at], self.plan.steps[self.nodes[at].name]
            inputs = [values[name] for name in node.inputs]
            if isinstance(step, AffineStep):
                values[node.name] = affine(step, inputs, self.sharp)
                if not step.copies:
                    grid = replace(grid, fresh=torch.zeros_like(grid.fresh))
                self._bury(at, values)
                at += 1
                continue
            pool = self.plan.fused.get(at)
            names = [node.name] if pool is None else [node.name, self.nodes[pool].name]
            if pool is None:
                found = nonlinearity(step, grid, _side_by_side(inputs))
            else:
                found = rectified_window(step, self.plan.steps[self.nodes[pool].name], grid, inputs[0].lines)
            aside = [*aside, found.aside]
            last_read = {*self.plan.dead[at], *(self.plan.dead[pool] if pool is not None else ())}
            alive = {name: lines for name, lines in values.items() if name not in last_read}
            parts = self._chunks(at, len(found.grid.t) - 1)
            walked: list[Walked] = []
            for low, high in parts:
                # A chunk sees one interval more on both sides, which tells what is 0 at its ends.
                first, last = max(low - 1, 0), min(high + 1, len(found.grid.t) - 1)
                rows = slice(first, last)
                here: dict[str, Value] = {name: x.lines.rows(found.parent[rows]) for name, x in alive.items()}
                here[names[-1]] = found.output(rows)
                part = found.grid.part(first, last)
                part, dropped, here = coarser(part, here, isinstance(step, Window) or pool is not None)
                if len(parts) == 1:
                    grid, values = part, here
                    aside = [*aside, dropped]
                    break
                ends = [dropped, *(within(g, part.t[0], part.t[-1]) for g in aside)]
                whole = self.on(at + 1 if pool is None else pool + 1, part, ends, here)
                walked.append(cropped(whole, float(found.grid.t[low]), float(found.grid.t[high])))
            changes |= dict(zip(names, found.changes, strict=True))
            if walked:
                whole = joined(walked)
                return replace(whole, changes={**changes, **whole.changes})
            at = at + 1 if pool is None else pool + 1
        return finished(grid, aside, changes, values[self.plan.net.graph.output].lines)

    def _bury(self, at: int, values: dict[str, Value]) -> None:
        for name in self.plan.dead[at]:
            values.pop(name, None)

    def _chunks(self, at: int, intervals: int) -> list[tuple[int, int]]:
        rows = max(LEAST, CHUNK // (8 * self.plan.widths[at]))
        if intervals <= 2 * rows:
            return [(0, intervals)]
        return [(low, min(low + rows, intervals)) for low in range(0, intervals, rows)]


def within(grid: Grid, low: Tensor, high: Tensor) -> Grid:
    """The ends strictly between two places."""
    kept = (grid.t > low) & (grid.t < high)
    return Grid(grid.t[kept], grid.spread[kept], grid.doubt[kept], grid.unclear[:0], grid.fresh[kept])


def coarser(grid: Grid, values: dict[str, Value], lossy: bool) -> tuple[Grid, Grid, dict[str, Value]]:
    """Without the ends across which nothing alive changes; and those ends."""
    kept = torch.ones(len(grid.t), dtype=torch.bool)
    if lossy and bool(grid.fresh[1:-1].any()):
        same = grid.fresh[1:-1].clone()
        for value in values.values():
            for x in (value.lines.slope, value.lines.start):
                same &= (x[1:] == x[:-1]).all(1)
        kept[1:-1] = ~same
    empty = Grid(grid.t[:0], grid.spread[:0], grid.doubt[:0], grid.unclear[:0], grid.fresh[:0])
    if bool(kept.all()):
        return grid, empty, values
    dropped = Grid(grid.t[~kept], grid.spread[~kept], grid.doubt[~kept], grid.unclear[:0], grid.fresh[~kept])
    first = torch.nonzero(kept[:-1]).flatten()
    return grid.among(kept), dropped, {name: x.lines.rows(first) for name, x in values.items()}


def finished(grid: Grid, aside: list[Grid], changes: dict[str, Changes], output: Lines) -> Walked:
    """All ends in order, in doubt where the bounds do not keep them apart."""
    t = torch.cat([grid.t, *(g.t for g in aside)])
    t, back = torch.unique(t, return_inverse=True)
    spread = torch.zeros(len(t), dtype=torch.float64)
    spread.scatter_reduce_(0, back, torch.cat([grid.spread, *(g.spread for g in aside)]), "amax")
    flags = torch.cat([grid.doubt, *(g.doubt for g in aside)])
    doubt = torch.zeros(len(t), dtype=torch.bool).scatter_reduce_(0, back, flags, "amax")
    doubt |= torch.bincount(back, minlength=len(t)) > 1
    close = torch.diff(t) <= spread[:-1] + spread[1:]
    doubt[:-1] |= close
    doubt[1:] |= close
    row = (torch.searchsorted(grid.t, (t[:-1] + t[1:]) / 2, right=True) - 1).clamp(0, len(grid.t) - 2)
    full = Grid(t, spread, doubt, grid.unclear[row], torch.zeros_like(doubt))
    return Walked(full, changes, output, row)


def cropped(walked: Walked, low: float, high: float) -> Walked:
    """The part of a walk between two of its ends."""
    t = walked.grid.t
    i, j = int(torch.searchsorted(t, low)), int(torch.searchsorted(t, high))
    if (i, j) == (0, len(t) - 1):
        return walked
    changes: dict[str, Changes] = {}
    for name, c in walked.changes.items():
        inside = (c.t > low) & (c.t < high)
        base, last = c.at(torch.tensor([low, math.nextafter(high, -1)], dtype=torch.float64))
        changes[name] = Changes(base, last, c.t[inside], c.unit[inside], c.choice[inside])
    used, row = torch.unique(walked.row[i:j], return_inverse=True)
    return Walked(walked.grid.part(i, j), changes, walked.output.rows(used), row)


def joined(parts: list[Walked]) -> Walked:
    """Walks of adjacent stretches as one."""
    whole = parts[0]
    if len(parts) == 1:
        return whole
    changes: dict[str, Changes] = {}
    for name, first in whole.changes.items():
        total = [first]
        for before, part in pairwise(parts):
            total.append(part.changes[name].behind(before.changes[name], float(before.grid.t[-1])))
        changes[name] = Changes(
            first.base,
            total[-1].last,
            torch.cat([c.t for c in total]),
            torch.cat([c.unit for c in total]),
            torch.cat([c.choice for c in total]),
        )
    grids = [p.grid for p in parts]
    doubt = [g.doubt.clone() for g in grids]
    for before, behind in pairwise(doubt):
        before[-1] |= behind[0]
    grid = Grid(
        torch.cat([grids[0].t[:1], *(g.t[1:] for g in grids)]),
        torch.cat([grids[0].spread[:1], *(g.spread[1:] for g in grids)]),
        torch.cat([doubt[0][:1], *(d[1:] for d in doubt)]),
        torch.cat([g.unclear for g in grids]),
        torch.cat([grids[0].fresh[:1], *(g.fresh[1:] for g in grids)]),
    )
    outputs = [p.output for p in parts]
    errors = torch.stack([o.errors for o in outputs]).amax(0)
    output = Lines(torch.cat([o.slope for o in outputs]), torch.cat([o.start for o in outputs]), errors)
    starts = torch.tensor([0, *(len(o.slope) for o in outputs[:-1])]).cumsum(0)
    row = torch.cat([p.row + start for p, start in zip(parts, starts, strict=True)])
    return Walked(grid, changes, output, row)


def affine(step: AffineStep, inputs: list[Value], sharp: bool = False) -> Lines | Followed:
    """An affine op on slopes and on intercepts, with the bounds of both."""
    exact = _exact(step, inputs)
    # Sharp as well on a single interval, such as the first layer's: all later bounds hang on it.
    if step.short and (sharp or (isinstance(inputs[0], Lines) and len(inputs[0].slope) == 1)):
        return _sharp(step, inputs[0].lines, exact)
    if isinstance(inputs[0], Thresholded) and step.dense:
        return followed(step, inputs[0], exact)
    lines = [x.lines for x in inputs]
    moved, size = step.sizes([torch.cat([x.errors, x.sizes]) for x in lines]).split(2)
    rounding = gamma(step.terms)
    errors = (moved + rounding * size) * (1 + 2 * rounding)
    errors[1] += 2 * UNIT * step.constant.abs() * (size[1] > 0)
    if step.rest is not None:
        errors[0] += 2 * UNIT * step.rest.abs() * (size[0] > 0)
    return Lines(step.slopes([x.slope for x in lines]), step.intercepts([x.start for x in lines]), errors, exact)


def _sharp(step: AffineStep, x: Lines, exact: Tensor | None) -> Lines:
    """An affine op on few intervals."""
    out, rounding = step.sharply(torch.cat([x.slope, x.start]))
    slope, start = out.tensor_split(2)
    start = start + step.constant
    moved, size = step.sizes([torch.cat([x.errors, x.sizes])]).split(2)
    # What reads zeros only is zero.
    rounding = torch.stack([part.amax(0) for part in rounding.tensor_split(2)])
    errors = moved * (1 + 2 * gamma(step.terms)) + rounding * (size > 0)
    errors[1] += UNIT * largest(start)
    return Lines(slope, start, errors, exact)


def _exact(step: AffineStep, inputs: list[Value]) -> Tensor | None:
    """Where all that an output reads is exactly zero and nothing is added."""
    quiet = step.constant == 0
    if not bool(quiet.any()) or any(x.exact is None or not bool(x.exact.any()) for x in inputs):
        return None
    alive = step.sizes([(~x.exact).double() for x in inputs if x.exact is not None])
    return (alive == 0) & quiet


def _side_by_side(inputs: list[Value]) -> Lines | Followed:
    if len(inputs) == 1:
        return inputs[0] if isinstance(inputs[0], Followed) else inputs[0].lines
    lines = [x.lines for x in inputs]
    exact = [x.exact if x.exact is not None else torch.zeros_like(x.slope, dtype=torch.bool) for x in lines]
    return Lines(
        torch.cat([x.slope for x in lines], 1),
        torch.cat([x.start for x in lines], 1),
        torch.cat([x.errors for x in lines], 1),
        torch.cat(exact, 1),
    )
