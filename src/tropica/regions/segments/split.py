"""A nonlinearity splits the intervals at its units' breakpoints, and gives its output on each new one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tropica.regions.segments.followed import Followed, Thresholded, slip
from tropica.regions.segments.lines import Changes, Grid, Lines, changed, picked
from tropica.regions.segments.nonlinearities import NonlinearityForm, Threshold, Window
from tropica.regions.segments.roots import Roots, threshold_roots, window_choice, window_roots


@dataclass(frozen=True)
class Split:
    """What a nonlinearity makes of the intervals.

    Attributes:
        grid: the new intervals, and ``parent`` the old interval of each, (intervals,).
        aside: ends found across which the output does not change.
        changes: of the nonlinearity, or of the two that were taken together.
        output: gives the output's lines on some of the new intervals.
    """

    grid: Grid
    parent: Tensor
    aside: Grid
    changes: tuple[Changes, ...]
    output: Callable[[slice], Lines | Thresholded]


def nonlinearity(form: NonlinearityForm, grid: Grid, z: Lines | Followed) -> Split:
    """Split at one nonlinearity."""
    if isinstance(form, Window):
        return _window(form, grid, z.lines)
    roots, begin = threshold_roots(form, grid, z)
    fine, parent, place = refined(grid, roots)
    above = _above(begin, roots, fine, parent, place)
    where = changed(above)
    slipped = slip(form, z, grid, fine, parent, where)

    def output(rows: slice) -> Thresholded:
        first, last, _ = rows.indices(len(parent))
        low, high = torch.searchsorted(where[0], torch.tensor([first + 1, last])).tolist()
        here = where[0][low:high] - first, where[1][low:high]
        return Thresholded(form, z, parent[rows], fine.t[first : last + 1], above[rows], here, slipped)

    return Split(fine, parent, _no_ends(fine), (Changes.of(fine.t, above, where),), output)


def _above(begin: Tensor, roots: Roots, grid: Grid, parent: Tensor, place: Tensor) -> Tensor:
    """On which side each unit is on each new interval: as the old one begins, but behind the unit's root."""
    above = picked(begin, parent)
    first = torch.searchsorted(grid.t, place)
    count = (torch.searchsorted(parent, roots.row, right=True) - first).clamp(min=0)
    root = torch.repeat_interleave(count)
    row = first[root] + torch.arange(len(root)) - (count.cumsum(0) - count)[root]
    above[row, roots.unit[root]] = roots.option[root] > 0
    return above


def _window(form: Window, grid: Grid, z: Lines) -> Split:
    roots = window_roots(form, grid, z)
    fine, parent, place = refined(grid, roots)
    choice = _followed(form, fine, parent, z, roots, place)
    positions = form.positions
    errors = torch.where(positions >= 0, z.errors[:, positions.clamp(min=0)], 0.0).amax(2)

    def output(rows: slice) -> Lines:
        at = positions[torch.arange(len(positions)), choice[rows]]
        lines = z.rows(parent[rows])
        exact = None if lines.exact is None else lines.exact.gather(1, at)
        return Lines(lines.slope.gather(1, at), lines.start.gather(1, at), errors, exact)

    return Split(fine, parent, _no_ends(fine), (Changes.of(fine.t, choice),), output)


def rectified_window(relu: NonlinearityForm, pool: object, grid: Grid, z: Lines) -> Split:
    """A relu and the max-pooling of its output as one: the maximum of each window and 0.

    A unit of the relu that is not the largest of its window breaks without changing anything: such ends are put aside.
    """
    assert isinstance(relu, Threshold)
    assert isinstance(pool, Window)
    units = z.slope.shape[1]
    zero = torch.zeros(len(z.slope), 1, dtype=torch.float64)
    exact = z.exact if z.exact is not None else torch.zeros_like(z.slope, dtype=torch.bool)
    wide = Lines(
        torch.cat([z.slope, zero], 1),
        torch.cat([z.start, zero], 1),
        torch.cat([z.errors, torch.zeros(2, 1, dtype=torch.float64)], 1),
        torch.cat([exact, zero == 0], 1),
    )
    # 0 is the first option: where all are ≤ 0 the pooling sees zeros only, and takes its first.
    form = Window(torch.cat([torch.full((len(pool.positions), 1), units), pool.positions], 1), pool.options + 1)
    small, begin = threshold_roots(relu, grid, z)
    small = replace(small, pair=small.pair * (units + 1) + units)
    large = window_roots(form, grid, wide)
    both = Roots(
        torch.cat([small.row, large.row]),
        torch.cat([small.t, large.t]),
        torch.cat([small.spread, large.spread]),
        torch.cat([small.unsure, large.unsure]),
        torch.cat([small.pair, large.pair]),
        torch.cat([torch.full_like(small.unit, -1), large.unit]),
        torch.cat([torch.full_like(small.option, -1), large.option]),
        small.doubt | large.doubt,
        small.unclear | large.unclear,
    )
    fine, parent, place = refined(grid, both)
    first = _flips(grid, begin, small, place[: len(small.t)])
    # Only ends at which some window changes cut the rows.
    kept = torch.isin(fine.t, torch.cat([grid.t, place[len(small.t) :]]))
    coarse = fine.among(kept)
    parent = parent[torch.nonzero(kept[:-1]).flatten()]
    option = _followed(form, coarse, parent, wide, large, place[len(small.t) :])
    positions = form.positions
    errors = torch.where(positions >= 0, wide.errors[:, positions.clamp(min=0)], 0.0).amax(2)
    default = (pool.positions >= 0).int().argmax(1)
    choice = torch.where(option == 0, default, option - 1)

    def output(rows: slice) -> Lines:
        at = positions[torch.arange(len(positions)), option[rows]]
        lines = wide.rows(parent[rows])
        assert lines.exact is not None
        return Lines(lines.slope.gather(1, at), lines.start.gather(1, at), errors, lines.exact.gather(1, at))

    aside = Grid(fine.t[~kept], fine.spread[~kept], fine.doubt[~kept], fine.unclear[:0], fine.fresh[~kept])
    return Split(coarse, parent, aside, (first, Changes.of(coarse.t, choice)), output)


def _no_ends(grid: Grid) -> Grid:
    return Grid(grid.t[:0], grid.spread[:0], grid.doubt[:0], grid.unclear[:0], grid.fresh[:0])


def _flips(grid: Grid, begin: Tensor, roots: Roots, place: Tensor) -> Changes:
    """The changes of a relu on the intervals before they are split."""
    unit, rising = roots.unit, roots.option > 0
    end = begin.clone()
    end[roots.row, unit] = rising
    row, other = torch.nonzero(begin[1:] != end[:-1], as_tuple=True)
    t = torch.cat([grid.t[1:-1][row], place])
    units, choice = torch.cat([other, unit]), torch.cat([begin[row + 1, other], rising]).to(torch.int32)
    order = torch.argsort(t, stable=True)
    return Changes(begin[0].to(torch.int32), end[-1].to(torch.int32), t[order], units[order], choice[order])


def _followed(form: Window, grid: Grid, parent: Tensor, z: Lines, roots: Roots, place: Tensor) -> Tensor:
    """The option of every unit on every new interval: found on the first of each old one, then followed along the roots."""
    first = torch.ones(len(parent), dtype=torch.bool)
    first[1:] = parent[1:] != parent[:-1]
    start = torch.nonzero(first).flatten()
    base = window_choice(form, z.slope, z.start, grid.middle[start, None])
    row = torch.searchsorted(grid.t, place)  # a change at the end t[i] begins with interval i
    order = torch.argsort(place, stable=True)
    order = order[torch.argsort(roots.unit[order], stable=True)]
    order = order[torch.argsort(roots.row[order], stable=True)]
    order = order[(row[order] < len(parent)) & (row[order] > start[roots.row[order]])]
    unit, old, option = roots.unit[order], roots.row[order], roots.option[order]
    before = torch.roll(option, 1)
    new = torch.ones(len(unit), dtype=torch.bool)
    new[1:] = (unit[1:] != unit[:-1]) | (old[1:] != old[:-1])
    before[new] = base[old[new], unit[new]]
    if len(start) == len(parent):
        return base
    found = torch.zeros(len(parent), base.shape[1], dtype=torch.int64)
    found[start] = base
    found[start[1:]] -= base[:-1]
    inside = row[order] < torch.cat([start[1:], torch.tensor([len(parent)])])[old]
    found.index_put_((row[order][inside], unit[inside]), (option - before)[inside], accumulate=True)
    # What an interval's changes add up to is taken away where the next begins.
    gone = inside & (old + 1 < len(start))
    found.index_put_((start[(old + 1).clamp(max=len(start) - 1)][gone], unit[gone]), (before - option)[gone], accumulate=True)
    return found.cumsum_(0)


def refined(grid: Grid, roots: Roots) -> tuple[Grid, Tensor, Tensor]:
    """The grid with new ends at the roots, the old interval of each new one, and the end that each root has become.

    Roots that the bounds do not keep apart become one doubtful end.
    """
    doubt, unclear = grid.doubt | roots.doubt, grid.unclear | roots.unclear
    parent = torch.arange(len(grid.t) - 1)
    if not len(roots.t):
        return replace(grid, doubt=doubt, unclear=unclear), parent, roots.t
    order = _by_place(roots)
    t, spread, unsure = roots.t[order], roots.spread[order], roots.unsure[order]
    row, pair = roots.row[order], roots.pair[order]
    # Neighbors in one interval that may coincide are put together, with all their bounds; but units that look at the same
    # two affine functions change together.
    reach = torch.cummax(t + spread, 0).values
    apart = torch.ones(len(t), dtype=torch.bool)
    apart[1:] = (t[1:] - spread[1:] > reach[:-1]) | (row[1:] != row[:-1])
    other = torch.zeros(len(t), dtype=torch.bool)
    other[1:] = (t[1:] != t[:-1]) | (pair[1:] != pair[:-1])
    group = apart.cumsum(0) - 1
    groups = int(group[-1]) + 1
    start = torch.nonzero(apart).flatten()
    stop = torch.cat([start[1:], torch.tensor([len(t)])]) - 1
    several = torch.zeros(groups, dtype=torch.bool).scatter_reduce_(0, group, other & ~apart, "amax")
    new = torch.where(several, (t[start] + t[stop]) / 2, t[start])
    wide = torch.zeros(groups, dtype=torch.float64).scatter_reduce_(0, group, spread, "amax") + (t[stop] - t[start])
    unsure = torch.zeros(groups, dtype=torch.bool).scatter_reduce_(0, group, unsure, "amax") | several
    # An end that float64 cannot tell from an old one is that one.
    row = row[start]
    left, right = new <= grid.t[row], new >= grid.t[row + 1]
    doubt[row[left]] = True
    doubt[row[right] + 1] = True
    new = torch.where(left, grid.t[row], torch.where(right, grid.t[row + 1], new))
    kept = ~(left | right)
    both, place = torch.cat([grid.t, new[kept]]).sort(stable=True)
    merged = Grid(
        both,
        torch.cat([grid.spread, wide[kept]])[place],
        torch.cat([doubt, unsure[kept]])[place],
        unclear,
        torch.cat([grid.fresh, torch.ones(int(kept.sum()), dtype=torch.bool)])[place],
    )
    parent = (torch.searchsorted(grid.t, both[:-1], right=True) - 1).clamp(0, len(grid.t) - 2)
    where = torch.empty_like(roots.t)
    where[order] = new[group]
    return replace(merged, unclear=unclear[parent]), parent, where


def _by_place(roots: Roots) -> Tensor:
    """The roots' order by t, those at one t by interval and pair."""
    order = torch.argsort(roots.pair, stable=True)
    order = order[torch.argsort(roots.row[order], stable=True)]
    return order[torch.argsort(roots.t[order], stable=True)]
