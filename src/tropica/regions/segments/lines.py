"""What a walk along a segment carries: intervals, values as lines on them, and which piece every unit is on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from tropica.regions.segments.plan import UNIT


@dataclass(frozen=True)
class Lines:
    """A value along the segment: s t + c on each interval.

    Attributes:
        slope, start: s and c, (intervals, units) each.
        errors: bounds on the errors of s and of c in any interval, (2, units).
        exact: where s = c = 0 without any error, (intervals, units), or None where that is not known; a unit that is dead.
    """

    slope: Tensor
    start: Tensor
    errors: Tensor
    exact: Tensor | None = None

    def rows(self, at: Tensor | slice) -> Lines:
        """Some of the intervals."""
        slope, start, exact = (None if x is None else picked(x, at) for x in (self.slope, self.start, self.exact))
        assert slope is not None
        assert start is not None
        return Lines(slope, start, self.errors, exact)

    @cached_property
    def sizes(self) -> Tensor:
        """The largest |s| and |c| of every unit, (2, units)."""
        return torch.stack([largest(self.slope), largest(self.start)])

    @property
    def lines(self) -> Lines:
        """Itself."""
        return self

    @cached_property
    def bound(self) -> Tensor:
        """On the error of every unit at any place that is known without one, and of |s| times a root, (units,)."""
        return self.errors.sum(0) + 4 * UNIT * self.sizes.sum(0)

    def signs(self, t: Tensor, limit: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Where z − level is above the limit of the end t (ends,), and where below minus that: (ends, units) each."""
        values = self.slope.new_empty(len(t), self.slope.shape[1])
        torch.addcmul(self.start, self.slope, t[:-1, None], out=values[:-1])
        torch.addcmul(self.start[-1], self.slope[-1], t[-1], out=values[-1])
        if bool(level.any()):
            values -= level
        return values > limit[:, None], values < -limit[:, None]

    def at(self, t: Tensor, end: Tensor, unit: Tensor) -> Tensor:
        """z of some units at some of the ends t, in the interval behind each."""
        row = end.clamp(max=len(self.slope) - 1)
        return self.start[row, unit] + self.slope[row, unit] * t[end]

    def starts(self, row: Tensor, unit: Tensor) -> Tensor:
        """Some of the c."""
        return self.start[row, unit]

    def values(self, row: Tensor, t: Tensor) -> Tensor:
        """z at places t (k,) of the intervals ``row`` (k,): (k, units)."""
        return torch.addcmul(picked(self.start, row), picked(self.slope, row), t[:, None])

    @property
    def peak(self) -> Tensor:
        """A bound on |z| anywhere, (units,)."""
        return self.sizes.sum(0)


def picked(x: Tensor, at: Tensor | slice) -> Tensor:
    """Some rows; ``index_select`` is many times faster than indexing."""
    return x[at] if isinstance(at, slice) else x.index_select(0, at)


def picked_units(x: Tensor, at: Tensor) -> Tensor:
    """Some columns; NumPy is twice as fast."""
    return torch.from_numpy(np.take(x.numpy(), at.numpy(), axis=1))


def where_set(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of what is set in a matrix; NumPy is many times faster where that is little."""
    flat = np.flatnonzero(mask.numpy())
    row, column = np.divmod(flat, mask.shape[1])
    return torch.from_numpy(row), torch.from_numpy(column)


def changed(choice: Tensor) -> tuple[Tensor, Tensor]:
    """Where a choice (intervals, units) is not that of the interval before: intervals and units."""
    row, unit = where_set(choice[1:] != choice[:-1])
    return row + 1, unit


def any_set(mask: Tensor) -> Tensor:
    """In which columns something is set; as bytes that is many times faster than ``any``."""
    return mask.view(torch.uint8).amax(0).bool()


def largest(x: Tensor) -> Tensor:
    """max |x| over the rows."""
    return torch.maximum(-x.amin(0), x.amax(0))


@dataclass(frozen=True)
class Grid:
    """The intervals found so far.

    Attributes:
        t: their ends, increasing, (intervals + 1,).
        spread: a bound on the error of each end.
        doubt: ends at which float64 does not decide; ``unclear``: intervals on which it does not.
        fresh: ends across which every value alive is the same or a copy of another, no rounding since they were found.
    """

    t: Tensor
    spread: Tensor
    doubt: Tensor
    unclear: Tensor
    fresh: Tensor

    @staticmethod
    def plain(t: Tensor, spread: Tensor) -> Grid:
        """A grid with nothing in doubt."""
        none = torch.zeros(len(t), dtype=torch.bool)
        return Grid(t, spread, none, none[1:], none)

    @property
    def middle(self) -> Tensor:
        """The middles of the intervals."""
        return (self.t[:-1] + self.t[1:]) / 2

    def part(self, low: int, high: int) -> Grid:
        """The intervals low … high − 1."""
        ends = slice(low, high + 1)
        return Grid(self.t[ends], self.spread[ends], self.doubt[ends], self.unclear[low:high], self.fresh[ends])

    def among(self, kept: Tensor) -> Grid:
        """Only some of the ends, the first and the last among them; what was unclear between two stays so."""
        unclear = torch.zeros(int(kept.sum()) - 1, dtype=torch.bool)
        owner = kept[:-1].cumsum(0) - 1
        unclear.scatter_reduce_(0, owner, self.unclear, "amax")
        return Grid(self.t[kept], self.spread[kept], self.doubt[kept], unclear, self.fresh[kept])


@dataclass(frozen=True)
class Changes:
    """Which piece each unit of a nonlinearity is on: ``base`` (units,) at the start, then changes in the order of t.

    ``t`` (changes,), ``unit`` and the new ``choice``.
    """

    base: Tensor
    last: Tensor
    t: Tensor
    unit: Tensor
    choice: Tensor

    @staticmethod
    def of(t: Tensor, choice: Tensor, where: tuple[Tensor, Tensor] | None = None) -> Changes:
        """From all choices (intervals, units) on a grid; ``where`` one differs from that of the interval before, if known."""
        row, unit = where if where is not None else changed(choice)
        new = choice[row, unit].to(torch.int32)
        return Changes(choice[0].to(torch.int32), choice[-1].to(torch.int32), t[row], unit, new)

    def at(self, t: Tensor) -> Tensor:
        """The choices (places, units) at increasing places, those at a change being the new ones."""
        now = torch.zeros(len(t), len(self.base), dtype=torch.int32)
        now[0] = self.base
        # Every change as what it adds to the choice before it.
        order = torch.argsort(self.t, stable=True)
        order = order[torch.argsort(self.unit[order], stable=True)]
        unit, choice = self.unit[order], self.choice[order]
        before = torch.roll(choice, 1)
        new = torch.ones(len(unit), dtype=torch.bool)
        new[1:] = unit[1:] != unit[:-1]
        before[new] = self.base[unit[new]]
        row = torch.searchsorted(t, self.t[order])
        kept = row < len(t)
        now.index_put_((row[kept], unit[kept]), (choice - before)[kept], accumulate=True)
        return now.cumsum(0, dtype=torch.int32)

    def behind(self, before: Changes, t: float) -> Changes:
        """These changes, with those at their beginning t against what stands before it."""
        unit = torch.nonzero(before.last != self.base).flatten()
        border = torch.full((len(unit),), t, dtype=torch.float64)
        return Changes(
            self.base,
            self.last,
            torch.cat([border, self.t]),
            torch.cat([unit, self.unit]),
            torch.cat([self.base[unit], self.choice]),
        )
