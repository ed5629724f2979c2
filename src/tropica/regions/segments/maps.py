"""Which intervals of a segment have the same affine map: told apart by error bounds, found equal without rounding.

Maps that the bounds do not keep apart are equal if nothing that changes at the breakpoint between them reaches the output
(a forward pass of flags decides that), or if they are equal in exact arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tropica.regions.segments.exact import Dyadic, TooMuch
from tropica.regions.segments.lines import Lines
from tropica.regions.segments.nonlinearities import Threshold
from tropica.regions.segments.plan import INPUT, AffineStep, Plan
from tropica.regions.segments.walk import Walked

DIGITS = 1e-7
"""Bound of a line's error, as a share of it, beyond which the line is computed without rounding."""
PAIRS = 256
"""Breakpoints whose changes are followed at a time."""


def same_maps(plan: Plan, walked: Walked, exact: Callable[[Tensor], Dyadic]) -> tuple[Tensor, int]:
    """A number a map for each interval, in the order in which they are met; and how many intervals were not decided.

    Args:
        plan, walked: the network and its walk.
        exact: the output's lines on some intervals, without rounding; may raise TooMuch.
    """
    first = torch.from_numpy(np.unique(walked.row.numpy(), return_index=True)[1])  # of each row, its first interval
    group = _alike(walked.output)
    number = torch.arange(len(group))
    joins = torch.nonzero(group[1:] == group[:-1]).flatten() + 1
    for some in joins.split(PAIRS) if len(joins) else ():
        for row in some[~_changed(plan, walked, first[some])].tolist():
            number[row] = number[row - 1]
    firsts = torch.unique(number)
    group = group[firsts]
    several = torch.bincount(group, minlength=len(number))[group] > 1
    doubtful, undecided = firsts[several], 0
    if len(doubtful):
        try:
            found = exact(first[doubtful]).numbers
        except TooMuch:
            undecided = len(doubtful)  # the bounds allow that they are equal: taken as that
            keys = group[several].tolist()
        else:
            keys = [tuple(found[:, column].ravel().tolist()) for column in range(len(doubtful))]
        known: dict[object, int] = {}
        for row, key in zip(doubtful.tolist(), keys, strict=True):
            number[number == row] = known.setdefault(key, row)
    order = {n: k for k, n in enumerate(dict.fromkeys(number.tolist()))}
    return torch.tensor([order[n] for n in number.tolist()])[walked.row], undecided


def sharpened(lines: Lines, exact: Callable[[Tensor], Dyadic]) -> Lines:
    """Lines of which rounding left at least half of the digits; where it did not, they are computed without rounding.

    Args:
        lines: the output's, one for each interval.
        exact: as in :func:`same_maps`.
    """
    size = lines.slope.abs() + lines.start.abs()
    few = torch.nonzero(~(lines.errors.sum(0) <= DIGITS * size).all(1)).flatten()
    if not len(few):
        return lines
    try:
        found = exact(few)
    except TooMuch:
        return lines
    slope, start = lines.slope.clone(), lines.start.clone()
    numbers = torch.from_numpy(found.floats())
    slope[few], start[few] = numbers[..., 0].T, numbers[..., 1].T
    return Lines(slope, start, lines.errors, lines.exact)


def _alike(lines: Lines) -> Tensor:
    """Groups of intervals that the bounds do not keep apart, numbered from 0."""
    group = torch.zeros(len(lines.slope), dtype=torch.long)
    for values, errors in zip((lines.slope, lines.start), lines.errors, strict=True):
        for value, error in zip(values.T, errors.tolist(), strict=True):
            order = torch.argsort(value, stable=True)
            order = order[torch.argsort(group[order], stable=True)]
            new = torch.zeros(len(order), dtype=torch.long)
            new[1:] = (torch.diff(value[order]) > 2 * error) | (torch.diff(group[order]) > 0)
            group[order] = new.cumsum(0)
            if int(group.max()) == len(group) - 1:
                return group
    return group


def _changed(plan: Plan, walked: Walked, cells: Tensor) -> Tensor:
    """May the output's map be another one in these cells than in the cells before them? False is certain."""
    t = walked.grid.t
    places = torch.stack([t[cells - 1], t[cells]], 1).flatten()
    flags = {INPUT: torch.zeros(len(cells), plan.layouts[INPUT].units, dtype=torch.bool)}
    with torch.no_grad():
        for node, dead in zip(plan.net.graph.nodes, plan.dead, strict=True):
            step, inputs = plan.steps[node.name], [flags[name] for name in node.inputs]
            if isinstance(step, AffineStep):
                flags[node.name] = step.sizes([x.double() for x in inputs]) > 0
            else:
                moved = torch.cat(inputs, 1)
                choice = walked.changes[node.name].at(places)
                before, behind = choice[0::2].long(), choice[1::2].long()
                if isinstance(step, Threshold):
                    read = moved & ((behind == 1) | (step.lo != 0))
                else:
                    units = torch.arange(len(step.positions))
                    read = moved.gather(1, step.positions[units, behind])
                flags[node.name] = read | (before != behind)
            for name in dead:
                flags.pop(name, None)
    return flags[plan.net.graph.output].any(1)
