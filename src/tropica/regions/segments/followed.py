"""Dense layers behind thresholds: rows that differ from their neighbors in one unit are followed, not computed anew.

Where a unit of a threshold breaks, its slope changes by δ, and those of the dense layer behind it by δ·(its column of W). So of
all the intervals into which an old one was cut only the first needs a product with W. And what a layer gives is continuous:
with its slopes s_i on the intervals [t_i, t_{i+1}] known, the values at the ends follow from one of them,
v_{i+1} = v_i + s_i (t_{i+1} − t_i). Every ``BLOCK``-th is computed in full, so that rounding adds up over ``BLOCK`` steps only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from tropica.regions.segments.lines import Grid, Lines, any_set, largest, picked, picked_units, where_set
from tropica.regions.segments.nonlinearities import Threshold
from tropica.regions.segments.plan import UNIT, AffineStep, gamma

BLOCK = 32
"""Steps that are followed from a value that was computed in full."""
ROWS = 512
"""Rows of a product, about: the fewer, the more units are off in all of them."""
NARROW = 64
"""Columns of a product for which looking for such units does not pay."""


@dataclass(frozen=True)
class Followed:
    """What a dense layer gives, in blocks of ``BLOCK`` intervals: all slopes s, and the value at the beginning of each block.

    Where a unit is so far from zero there that its slopes do not take it across, nothing else of it is looked at in the block.

    Attributes:
        blocks: s, (blocks, BLOCK, units), the last block filled up with zeros.
        anchor: the values at their beginnings, (blocks, units).
        t: the ends of the intervals, (intervals + 1,).
        steep: the largest |s| in each block, (blocks, units).
        errors: bounds on the errors of s in any interval and of the value at any end, (2, units).
        sizes: bounds on |s| and on the values, (2, units).
        slip: see :class:`Thresholded`; ``exact``: as of :class:`Lines`.
    """

    blocks: Tensor
    anchor: Tensor
    t: Tensor
    steep: Tensor
    errors: Tensor
    sizes: Tensor
    slip: Tensor
    exact: Tensor | None

    @property
    def slope(self) -> Tensor:
        """s, (intervals, units)."""
        return self.blocks.flatten(0, 1)[: len(self.t) - 1]

    @cached_property
    def lines(self) -> Lines:
        """As s t + c, c = v − s t."""
        value = torch.empty_like(self.blocks)
        value[:, 0] = self.anchor
        for i in range(1, BLOCK):
            torch.addcmul(value[:, i - 1], self.blocks[:, i - 1], self.lengths[:, i - 1, None], out=value[:, i])
        slope = self.slope
        start = value.flatten(0, 1)[: len(slope)].addcmul_(slope, self.t[:-1, None], value=-1)
        if self.exact is not None:
            start.masked_fill_(self.exact, 0.0)
        errors = torch.stack([self.errors[0], self.errors.sum(0) + 4 * UNIT * self.sizes.sum(0)])
        return Lines(slope, start, errors, self.exact)

    @cached_property
    def lengths(self) -> Tensor:
        """Of the intervals, (blocks, BLOCK)."""
        return lengths(self.t)

    @cached_property
    def bound(self) -> Tensor:
        """As of :class:`Lines`: from the next end there is at most the longest interval."""
        return self.errors[1] + torch.diff(self.t).amax() * self.errors[0] + 4 * UNIT * self.sizes.sum(0)

    @property
    def peak(self) -> Tensor:
        """A bound on |z| anywhere, (units,)."""
        return self.sizes[1]

    def signs(self, t: Tensor, limit: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Where z − level is above the limit of the end (ends,), and where below minus that: (ends, units) each."""
        count, (blocks, _, units) = len(t), self.blocks.shape
        limit = torch.cat([limit, limit[-1:].expand(blocks * BLOCK + 1 - count)])
        largest_limit = torch.maximum(limit[:-1].view(blocks, BLOCK).amax(1), limit[BLOCK::BLOCK])
        away = self.anchor - level
        reach = self.steep * (1.001 * self.lengths.sum(1))[:, None]
        block, unit = where_set(away.abs() <= reach + largest_limit[:, None])
        above, below = (torch.empty(blocks * BLOCK + 1, units, dtype=torch.bool) for _ in range(2))
        value = self._walked(block, unit) - level[unit, None]
        row = block[:, None] * BLOCK + torch.arange(BLOCK)
        for found, sign in ((above, 1), (below, -1)):
            found[:-1].view(blocks, BLOCK, units)[:] = (sign * away > 0)[:, None]
            found[-1] = found[-2]
            found[row, unit[:, None]] = sign * value[:, :-1] > limit[row]
            last = block == blocks - 1
            found[-1, unit[last]] = sign * value[last, -1] > limit[-1]
        return above[:count], below[:count]

    def _walked(self, block: Tensor, unit: Tensor) -> Tensor:
        """The values of some units at all ends of some blocks, (k, BLOCK + 1)."""
        steps = self.blocks[block, :, unit] * self.lengths[block]
        return torch.cat([self.anchor[block, unit, None], steps], 1).cumsum_(1)

    def at(self, t: Tensor, end: Tensor, unit: Tensor) -> Tensor:
        """z of some units at some of its ends."""
        block = (end // BLOCK).clamp(max=len(self.anchor) - 1)
        return self._walked(block, unit).gather(1, (end - block * BLOCK)[:, None]).squeeze(1)

    def starts(self, row: Tensor, unit: Tensor) -> Tensor:
        """Some of the c."""
        return self.at(self.t, row, unit) - self.slope[row, unit] * self.t[row]

    def values(self, row: Tensor, t: Tensor) -> Tensor:
        """z at places t (k,) of the intervals ``row`` (k,): (k, units)."""
        block, inside = row // BLOCK, row % BLOCK
        spans = torch.where(torch.arange(BLOCK) < inside[:, None], self.lengths[block], 0.0)
        spans[torch.arange(len(row)), inside] = t - self.t[row]
        steps = [span @ self.blocks[b] for span, b in zip(spans, block.tolist(), strict=True)]
        return self.anchor[block] + torch.stack(steps)


def lengths(t: Tensor) -> Tensor:
    """Of the intervals between ends, (blocks, BLOCK), filled up with zeros."""
    found = torch.zeros(-(-(len(t) - 1) // BLOCK) * BLOCK, dtype=torch.float64)
    found[: len(t) - 1] = torch.diff(t)
    return found.view(-1, BLOCK)


@dataclass(frozen=True)
class Thresholded:
    """What a threshold gives on the intervals that it has cut, not written out.

    Attributes:
        form, z: the nonlinearity and its input on the old intervals.
        parent: the old interval of each new one, (intervals,); ``t`` the new ends.
        above: is the unit above its level? (intervals, units).
        where: where that is not as on the interval before: intervals and units, (changes,) each.
        slip: a slope that jumps by δ at an end that is in truth ε away makes values behind it wrong by |δ| ε, where they are
            followed over the end: a bound on the sum of these over all ends, (units,).
    """

    form: Threshold
    z: Lines | Followed
    parent: Tensor
    t: Tensor
    above: Tensor
    where: tuple[Tensor, Tensor]
    slip: Tensor

    @cached_property
    def ever(self) -> Tensor:
        """Units with a slope other than 0 on some interval, (units,)."""
        return self._ever(self.above)

    def _ever(self, above: Tensor) -> Tensor:
        form = self.form
        return ((form.hi != 0) & any_set(above)) | ((form.lo != 0) & any_set(~above))

    @cached_property
    def errors(self) -> Tensor:
        """Bounds on the errors of s and of the values at left ends, (2, units); what is flat everywhere has none."""
        return self._scaled(torch.stack([self.z.errors[0], self.z.bound]), torch.stack([self.z.sizes[0], self.z.peak]))

    def _scaled(self, errors: Tensor, sizes: Tensor) -> Tensor:
        form = self.form
        scale = torch.maximum(form.hi.abs(), form.lo.abs())
        plain = ((form.lo == 0) | ((form.lo.abs() == 1) & (form.offset == 0))) & (form.hi.abs() == 1)
        return (errors * scale + torch.where(plain, 0.0, 2 * UNIT) * (sizes * scale + form.offset.abs())) * self.ever

    @cached_property
    def sizes(self) -> Tensor:
        """Bounds on |s| and on the values, (2, units)."""
        scale = torch.maximum(self.form.hi.abs(), self.form.lo.abs())
        sizes = torch.stack([self.z.sizes[0], self.z.peak]) * scale * self.ever
        sizes[1] += self.form.offset.abs()
        return sizes

    @property
    def slope(self) -> Tensor:
        """s, (intervals, units)."""
        return self._sloped(picked(self.z.slope, self.parent), self.above)

    @cached_property
    def exact(self) -> Tensor | None:
        """As of :class:`Lines`."""
        if bool(self.form.offset.any()):
            return None
        off = ~self.above & (self.form.lo == 0)
        return off if self.z.exact is None else off | picked(self.z.exact, self.parent)

    @cached_property
    def lines(self) -> Lines:
        """Written out."""
        z = self.z.lines
        start = self._sloped(picked(z.start, self.parent), self.above)
        if bool(self.form.offset.any()):
            start = torch.where(self.above, start, start + self.form.offset)
        return Lines(self.slope, start, self._scaled(z.errors, z.sizes), self.exact)

    def _sloped(self, x: Tensor, above: Tensor) -> Tensor:
        """x times the slopes of the pieces."""
        lo, hi = self.form.lo, self.form.hi
        if bool((lo == 0).all()) and bool((hi == 1).all()):
            return torch.from_numpy(np.where(above.numpy(), x.numpy(), 0.0))
        return x * torch.where(above, hi, lo)

    @cached_property
    def first(self) -> Tensor:
        """The first of the new intervals of each old one."""
        new = torch.ones(len(self.parent), dtype=torch.bool)
        new[1:] = self.parent[1:] != self.parent[:-1]
        return torch.nonzero(new).flatten()

    def firsts(self, low: int, high: int) -> tuple[Tensor, Tensor]:
        """The slopes on the first intervals low … high − 1, and which units have one other than 0 there."""
        above = picked(self.above, self.first[low:high])
        old = int(self.parent[0])  # every old interval has a first one
        return self._sloped(self.z.slope[old + low : old + high], above), self._ever(above)

    @cached_property
    def changes(self) -> tuple[Tensor, Tensor, Tensor]:
        """Where a slope is not that of the interval before, but on ``first`` ones: interval, unit, by how much."""
        row, unit = self.where
        inside = self.parent[row] == self.parent[row - 1]
        row, unit = row[inside], unit[inside]
        step = (self.form.hi - self.form.lo)[unit] * self.z.slope[self.parent[row], unit]
        return row, unit, torch.where(self.above[row, unit], step, -step)

    def values(self, row: Tensor) -> Tensor:
        """Its values at the left ends of some intervals, (k, units)."""
        value, above = self.z.values(self.parent[row], self.t[row]), picked(self.above, row)
        return torch.where(above, value * self.form.hi, value * self.form.lo + self.form.offset)


def followed(step: AffineStep, x: Thresholded, exact: Tensor | None) -> Followed:
    """x Wᵀ + b; ``exact`` tells where that is zero without any error."""
    count, width = len(x.parent), step.columns.shape[1]
    blocks = -(-count // BLOCK)
    slope = torch.from_numpy(np.empty((blocks * BLOCK, width)))
    low = 0
    for some in x.first.tensor_split(max(1, round(len(x.first) / ROWS))):
        slope.index_copy_(0, some, _product(*x.firsts(low, low + len(some)), step.columns))
        low += len(some)
    row, unit, change = x.changes
    moved = step.columns.index_select(0, unit).mul_(change[:, None])
    left = torch.ones(len(slope), dtype=torch.bool)
    left[x.first] = False
    if len(torch.unique_consecutive(row)) == len(row):
        slope.index_copy_(0, row, moved)
        left[row] = False
        slope[left] = 0.0
    else:  # units that change together
        slope[left] = 0.0
        slope.index_add_(0, row, moved)
    keeps = torch.zeros(blocks * BLOCK, 1, dtype=torch.float64)
    keeps[1:count, 0] = (x.parent[1:] == x.parent[:-1]).double()
    inner, keeps = slope.view(blocks, BLOCK, width), keeps.view(blocks, BLOCK, 1)
    for i in range(1, BLOCK):
        torch.addcmul(inner[:, i], inner[:, i - 1], keeps[:, i], out=inner[:, i])
    for i, going in enumerate(keeps.cumprod(1).sum(1).long().flatten().tolist()):
        if going:
            inner[i, :going] += inner[i - 1, -1]
    if exact is not None:
        slope[:count].masked_fill_(exact, 0.0)
    anchor = x.values(torch.arange(0, count, BLOCK)) @ step.columns + step.constant
    steep = torch.stack([largest(block) for block in inner])
    # From a value that was computed in full the next ones are at most so far away as BLOCK intervals are long.
    apart = lengths(x.t).sum(1).amax()
    sizes = torch.stack([steep.amax(0), largest(anchor) + apart * steep.amax(0)])
    errors, slip = _errors(step, x, sizes, apart)
    return Followed(inner, anchor, x.t, steep, errors, sizes, slip, exact)


def _product(rows: Tensor, ever: Tensor, columns: Tensor) -> Tensor:
    """The product of rows that are zero where ``ever`` is not set, often in almost a half of their places."""
    on = torch.nonzero(ever).flatten()
    if 8 * len(on) > 7 * len(columns) or columns.shape[1] < NARROW:
        return rows @ columns
    return picked_units(rows, on) @ columns.index_select(0, on)


def _errors(step: AffineStep, x: Thresholded, sizes: Tensor, apart: Tensor) -> tuple[Tensor, Tensor]:
    """Bounds on the errors of slopes and of values, and the slip.

    A slope is a product, and then the changes of its family are added up: each unit changes once, so that no sum on the way is
    larger than 2 |W| σ. A value is one that was computed in full, at most ``apart`` away, and slopes times lengths.
    """
    moved = step.sizes([torch.cat([x.errors, x.sizes, x.slip[None]])])
    longest = int(torch.diff(x.first, append=torch.tensor([len(x.parent)])).max())
    # The bounds are rounded themselves, which is small beside them.
    terms = min(step.terms, int((x.ever | (x.form.offset != 0)).count_nonzero()))
    rounding, slack = gamma(terms), 1 + 2 * gamma(step.terms)
    slope = (moved[0] + (rounding + 3 * gamma(longest)) * moved[2]) * slack
    value = (moved[1] + rounding * moved[3] + 2 * UNIT * (moved[3] + step.constant.abs())) * slack
    value += apart * slope + 2 * gamma(BLOCK) * (sizes[1] + apart * sizes[0])
    return torch.stack([slope, value + moved[4]]), moved[4]


def slip(form: Threshold, z: Lines | Followed, old: Grid, new: Grid, parent: Tensor, where: tuple[Tensor, Tensor]) -> Tensor:
    """The slip of a threshold's output (units,): that of its input, and what its own changes at the new ends add."""
    before = z.slip if isinstance(z, Followed) else (torch.diff(z.slope, dim=0).abs_() * old.spread[1:-1, None]).sum(0)
    row, unit = where
    steep = z.slope[parent[row], unit].abs()
    # At an old end a unit changes that is too close to zero there for its sign to be known.
    near = torch.where(parent[row] == parent[row - 1], 0.0, z.bound[unit] + 4 * new.spread[row] * z.sizes[0, unit])
    own = torch.zeros_like(before).index_add_(0, unit, new.spread[row] * steep + near)
    return before * torch.maximum(form.hi.abs(), form.lo.abs()) + own * (form.hi - form.lo).abs()
