"""Where the units of a nonlinearity change their affine piece between the ends of an interval, as far as float64 decides.

All in rows, one an interval; z(t) = s t + c on each. A sign counts where |z| is above its bound
ε = ε_s + ε_c + 4u (|s| + |c|) + |s|·(the bound on the end's own error); below it, z counts as zero there, in doubt
unless it is known to be exactly zero (a dead unit on either side of the end).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tropica.regions.segments.followed import Followed
from tropica.regions.segments.lines import Grid, Lines, where_set
from tropica.regions.segments.nonlinearities import Threshold, Window
from tropica.regions.segments.plan import UNIT


@dataclass(frozen=True)
class Roots:
    """Changes inside intervals: interval ``row``, place ``t``, bound ``spread``, ``unsure`` where more may meet there.

    ``pair`` numbers the two affine functions that meet: units that look at the same two change together. ``unit`` of the
    nonlinearity and the ``option`` that it takes behind the place.

    ``doubt`` (ends,) and ``unclear`` (intervals,) are what float64 does not decide at ends and on whole intervals.
    """

    row: Tensor
    t: Tensor
    spread: Tensor
    unsure: Tensor
    pair: Tensor
    unit: Tensor
    option: Tensor
    doubt: Tensor
    unclear: Tensor


def threshold_roots(form: Threshold, grid: Grid, z: Lines | Followed) -> tuple[Roots, Tensor]:
    """Where z crosses its level; and whether it is above at the beginning of each interval, (intervals, units)."""
    t, spread, exact, bound, level = grid.t, grid.spread, z.exact, z.bound, form.level
    if bool(level.any()):
        exact, bound = None, bound + 4 * UNIT * level.abs()
    doubt, unclear = torch.zeros(len(t), dtype=torch.bool), torch.zeros(len(t) - 1, dtype=torch.bool)
    # First one bound for all units of an end, then, for the few that fall below it, each unit's own.
    # An end is in truth as far away as its spread; across it slopes differ by twice the steepest.
    steep = 3 * (z.sizes[0] + z.errors[0])
    above, below = z.signs(t, bound.max() + spread * steep.max(), level)
    near = ~(above | below)
    end, unit = where_set(near)
    begin = above[:-1]
    if len(end):
        value = z.at(t, end, unit) - level[unit]
        near[end, unit] = value.abs() <= bound[unit] + spread[end] * steep[unit]
        above[end, unit], below[end, unit] = (value > 0) & ~near[end, unit], (value < 0) & ~near[end, unit]
        row, unit = where_set(near[:-1] | near[1:])
        a, b = near[row, unit], near[row + 1, unit]
        left, right = z.at(t, row, unit) - level[unit], z.at(t, row + 1, unit) - level[unit]
        zero_a, zero_b, dead = _known_zero(exact, row, unit, bound[unit] == 0, left, right)
        doubt[row[a & ~zero_a]] = True
        doubt[row[b & ~zero_b] + 1] = True
        unclear[row[a & b & ~dead]] = True
        # An end's value is that of the interval behind it, which need not be exactly 0 where the one before it is.
        side = torch.where(a, torch.where(b, left + right, right), left).masked_fill(dead, 0.0)
        begin = begin.clone()
        begin[row, unit] = side >= 0 if form.above_at_tie else side > 0
    row, unit = where_set((above[:-1] & below[1:]) | (below[:-1] & above[1:]))
    s, c = z.slope[row, unit], z.starts(row, unit) - level[unit]
    wide = bound[unit] / s.abs()
    place = torch.minimum(torch.maximum(-c / s, t[row]), t[row + 1])
    unsure = torch.zeros_like(row, dtype=torch.bool)
    return Roots(row, place, wide, unsure, unit, unit, (s > 0).long(), doubt, unclear), begin


def _known_zero(
    exact: Tensor | None, row: Tensor, unit: Tensor, sharp: Tensor, left: Tensor, right: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Exactly zero at the left end, at the right end, and on all of the interval; ``sharp``: there are no errors."""
    ends = sharp & (left == 0), sharp & (right == 0)
    sure = ends[0] & ends[1]
    if exact is None:
        return ends[0], ends[1], sure
    here = exact[row, unit]
    before = exact[(row - 1).clamp(min=0), unit] & (row > 0)
    after = exact[(row + 1).clamp(max=len(exact) - 1), unit] & (row + 1 < len(exact))
    return ends[0] | here | before, ends[1] | here | after, sure | here


def window_roots(form: Window, grid: Grid, z: Lines) -> Roots:
    """Where the largest of a window's affine functions changes: their upper envelope on each interval.

    An option that is largest at both ends of an interval is largest on all of it. Only where no option is, the envelope
    is walked from the left, to the next option that overtakes.
    """
    t, spread, slope, start, errors, sizes, exact = grid.t, grid.spread, z.slope, z.start, z.errors, z.sizes, z.exact
    rows = len(slope)
    doubt, unclear = torch.zeros(rows + 1, dtype=torch.bool), torch.zeros(rows, dtype=torch.bool)
    bound = errors.sum(0) + 4 * UNIT * sizes.sum(0)
    flat = sizes[0] + errors[0] == 0  # constant all along
    left, right = torch.addcmul(start, slope, t[:-1, None]), torch.addcmul(start, slope, t[1:, None])
    known_left = known_right = here = torch.zeros((), dtype=torch.bool)
    if exact is not None and bool(exact.any()):
        here = exact
        known_left, known_right = exact.clone(), exact.clone()
        known_left[1:] |= exact[:-1]
        known_right[:-1] |= exact[1:]
        left, right = left.masked_fill(known_left, 0.0), right.masked_fill(known_right, 0.0)
    steep = sizes[0] + errors[0]
    wide_left, wide_right = bound + spread[:-1, None] * steep, bound + spread[1:, None] * steep
    if known_left.ndim:
        wide_left, wide_right = wide_left.masked_fill(known_left, 0.0), wide_right.masked_fill(known_right, 0.0)
    near_left, sure_left = _largest(form, left, wide_left, flat)
    near_right, sure_right = _largest(form, right, wide_right, flat)
    both = near_left & near_right
    several = both.sum(1) > 1
    if bool(several.any()):
        tied = gathered(form, here.expand_as(slope) | flat, True)
        unclear |= (several & ~(tied | ~both).all(1) & ~(sure_left & sure_right)).any(1)
    doubt[:-1] |= (~sure_left).any(1)
    doubt[1:] |= (~sure_right).any(1)
    row, unit = torch.nonzero(~both.any(1), as_tuple=True)
    at = form.positions[unit]
    return _envelope(row, unit, at.clamp(min=0), at < 0, near_left[row, :, unit], t, slope, start, bound, doubt, unclear)


def gathered(form: Window, x: Tensor, none: float | bool) -> Tensor:
    """What each option of each unit is in rows x (intervals, inputs): (intervals, options, units); ``none`` in the padding."""
    at = form.positions.T
    found = x.index_select(1, at.reshape(-1).clamp(min=0)).view(len(x), *at.shape)
    return found.masked_fill_(at < 0, none) if bool((at < 0).any()) else found


def _largest(form: Window, value: Tensor, wide: Tensor, flat: Tensor) -> tuple[Tensor, Tensor]:
    """Which options may be the largest at an end, and whether that is decided: one is, or several are exactly equal."""
    value, wide = gathered(form, value, -torch.inf), gathered(form, wide, 0.0)
    top = value.amax(1, keepdim=True)
    best = value == top
    wide_top = wide.gather(1, first_set(best).unsqueeze(1))
    near = value + wide >= top - wide_top
    several = near.sum(1) > 1
    if not bool(several.any()):
        return near, ~several
    exact = (((wide == 0) & best) | ~near).all(1)
    still = (gathered(form, flat[None], True) | ~near).all(1)
    return near, ~several | exact | still


def first_set(mask: Tensor) -> Tensor:
    """The first option that is set in (intervals, options, units)."""
    count = mask.shape[1]
    rank = torch.arange(count, 0, -1, dtype=torch.float32)[:, None]
    return count - (mask * rank).amax(1).long().clamp(min=1)


def window_choice(form: Window, slope: Tensor, start: Tensor, at: Tensor) -> Tensor:
    """The first largest option of every unit at one place an interval, (intervals, 1): (intervals, units)."""
    value = gathered(form, torch.addcmul(start, slope, at), -torch.inf)
    return first_set(value == value.amax(1, keepdim=True))


def _envelope(
    row: Tensor,
    unit: Tensor,
    at: Tensor,
    none: Tensor,
    near: Tensor,
    t: Tensor,
    slope: Tensor,
    start: Tensor,
    bound: Tensor,
    doubt: Tensor,
    unclear: Tensor,
) -> Roots:
    """Walk the upper envelopes of the units ``at`` (pairs, options) on their intervals ``row``."""
    found: list[tuple[Tensor, ...]] = []
    s, c, wide = slope[row[:, None], at], start[row[:, None], at], bound[at]
    s_max = s.masked_fill(~near, -torch.inf)
    now = s_max.argmax(1, keepdim=True)
    here, stop = t[row], t[row + 1]
    pairs = torch.arange(len(row))
    while len(pairs):
        gain = s - s.gather(1, now)
        cross = (c.gather(1, now) - c) / gain
        cross = cross.masked_fill((gain <= 0) | none, torch.inf).clamp(min=0)
        cross = torch.where(cross < here[:, None], here[:, None], cross)
        place, best = cross.min(1)
        # Of those that meet there, the steepest goes on.
        meets = cross <= place[:, None]
        best = torch.where(meets, s, -torch.inf).argmax(1)
        on = place < stop
        if not bool(on.any()):
            break
        s, c, wide, none, at, now, best, place, stop, here, pairs = (
            x[on] for x in (s, c, wide, none, at, now, best, place, stop, here, pairs)
        )
        old, new = now.squeeze(1), best
        steps = torch.arange(len(pairs))
        rise = s[steps, new] - s[steps, old]
        spread = (wide[steps, new] + wide[steps, old]) / rise
        value = torch.addcmul(c, s, place[:, None]).masked_fill(none, -torch.inf)
        reach = wide + wide[steps, new][:, None] + spread[:, None] * s.abs()
        unsure = (value >= value[steps, new][:, None] - reach).sum(1) > 2
        one, two = at[steps, old], at[steps, new]
        pair = torch.minimum(one, two) * slope.shape[1] + torch.maximum(one, two)
        found.append((row[pairs], place, spread, unsure, pair, unit[pairs], new))
        here, now = place, best[:, None]
    if not found:
        empty = row[:0]
        return Roots(empty, t[:0], t[:0], empty.bool(), empty, empty, empty, doubt, unclear)
    rows, places, spreads, unsure, pair, units, options = (torch.cat(x) for x in zip(*found, strict=True))
    return Roots(rows, places, spreads, unsure, pair, units, options, doubt, unclear)
