"""Exact search for the largest a⁺_k(x): most terms are ruled out by few coordinates, and only the others are evaluated.

Terms lie in groups of neighbors. A product of short rows (:mod:`tropica.evaluation.search.features`) bounds every score from above; its
maximum over each group is compared with a score that is known to be reached. The groups that are left go through the next
product of the cascade, with more coordinates, if there is one. What is left then is evaluated as :class:`RunningMaxima` does
it: a matrix product in the working dtype with its rounding bound, then float64 for whatever lies within that bound of the
largest. A term that is ruled out is below a score that is reached, as no bound is below the score that it bounds; so winners
and labels are those of the full product, ties included.

Memory: K numbers a term for each product (of 128 to 1024 columns), groups × points bounds (TABLE), a few blocks; the terms'
coefficients once more, in the order of the groups, where half of ``memory`` has room for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tropica.errors import CertificateError
from tropica.evaluation.search.cascade import GROUP, Cascade, build
from tropica.evaluation.search.subspace import exact_float32
from tropica.runtime.memory import budget
from tropica.terms.linear_terms import TermBlock
from tropica.terms.maxima import PAIRS, PENDING, RunningMaxima

TERMS, POINTS = 1024, 512
"""Terms and points of a product of short rows: its result stays in the processor's cache."""
NUMBERS = 2**22
"""Numbers in the points' rows that are gathered at once (16 MB in float32)."""
TABLE = 2**24
"""Bounds of groups at points that are held at once (64 MB)."""
LEAST_TERMS, LEAST_POINTS, LEAST_WORK = 2048, 256, 2**38
"""With fewer terms, or points at a time, a search does not pay, nor an index with fewer multiply-adds in the full product."""
ENOUGH = 2**13
"""The index is made once so many points have been asked for: it costs what the full product does for 4,500 to 7,500 points."""
PER_TERM = 8192
"""Bytes a term that an index takes at most, coefficients aside: 512 columns in bfloat16, 1024 in float32, copied once."""
PER_INPUT = 2**17
"""Bytes an input number that making an index takes at most: samples of 4,096 terms and points, a few times, and a basis."""
MOST_LEFT = 0.15
"""Where more than this share of groups × points is left after the first product, the full product takes over."""
SEARCHES = ("exact", "full")
"""What ``search=`` may be."""


@dataclass
class SearchReport:
    """What a search did.

    Attributes:
        used: "exact" (the search) or "full" (the full product).
        why: why the full product was used.
        left: the share of groups × points that was left after each product of the cascade, and of pairs for float64.
        seconds: processor seconds of each part, summed over the points so far; "index" is the one-time work on the terms.
    """

    used: str = "full"
    why: str = ""
    left: list[float] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Count the seconds of a part."""
        start = time.process_time()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.process_time() - start


class Search:
    """The search over blocks of terms that are kept; its index is made when it is first worth it.

    Args:
        blocks: gives the blocks, each with the index of its first term.
        working: the dtype of points and products.
        memory: bytes to work in, None for a quarter of what is free; the index may take half of them.
    """

    def __init__(self, blocks: Callable[[], Iterable[tuple[int, TermBlock]]], working: torch.dtype, memory: int | None) -> None:
        self.blocks = blocks
        self.working = working
        self.memory = memory
        self.report = SearchReport()
        self._cascade: Cascade | str | None = None
        """The index; why there is none, or why it is of no use; None as long as it has not been worth it."""
        self._asked = 0
        self._left: list[tuple[int, list[float]]] = []

    def update(self, state: RunningMaxima) -> bool:
        """Take all blocks into account; False, and nothing done, where the full product is the better way (`report.why`)."""
        self._asked += len(state.x)
        why = self._refusal(state.x)
        if not why and self._cascade is None:
            self._cascade = self._built(state.x)
        if not why:
            made = "too few points so far to make up for an index" if self._cascade is None else self._cascade
            why = made if isinstance(made, str) else self._run(made, state)
        self.report.used, self.report.why = ("full", why) if why else ("exact", "")
        return not why

    def _refusal(self, x: Tensor) -> str:
        """Why not even to begin."""
        if x.device.type != "cpu":
            return f"terms are on {x.device}"
        if len(x) < LEAST_POINTS:
            return f"only {len(x):,} points at a time"
        return "" if exact_float32() else "products in float32 are set to be less exact than that"

    def _built(self, x: Tensor) -> Cascade | str | None:
        """The index; why there can be none; or None, where it is not worth it for the points so far."""
        with self.report.timed("index"):
            blocks = list(self.blocks())
            terms = sum(len(block) for _, block in blocks)
            if terms < LEAST_TERMS:
                return f"only {terms:,} terms"
            allowed = budget(self.memory) // 2
            if PER_TERM * terms + PER_INPUT * x.shape[1] > allowed:
                return "the index would not fit the memory"
            worth = self._asked >= ENOUGH and terms * self._asked * x.shape[1] >= LEAST_WORK
            return build(blocks, x, self.working, allowed) if worth else None

    def _run(self, cascade: Cascade, state: RunningMaxima) -> str:
        """All points, as many at a time as TABLE allows; or why not."""
        with self.report.timed("points"):
            made = cascade.points(state.x)
        finfo = torch.finfo(state.x.dtype)
        of_norm, of_bias = (float(bound.max()) for bound in cascade.error)
        if made is None or not of_norm * float(state.norm.max()) + of_bias < finfo.eps / 2 * finfo.max:
            return "points leave the range of their dtype"
        shift, rows = made
        floor = state.value.clone()
        size = max(POINTS, TABLE // cascade.groups)
        for start in range(0, len(state.x), size):
            part = _Part(cascade, state, slice(start, start + size), shift, rows, floor, self.report)
            if not part.bounded():
                self._cascade = f"{part.left[0]:.0%} of the terms' groups are left after the first product"  # and next time
                return self._cascade
            part.settle()
            self._left.append((part.points, part.left))
        total = sum(points for points, _ in self._left)
        self.report.left = [sum(n * left[i] for n, left in self._left) / total for i in range(len(self._left[0][1]))]
        return ""


class _Part:
    """The search for some consecutive points."""

    def __init__(
        self,
        cascade: Cascade,
        state: RunningMaxima,
        here: slice,
        shift: Tensor,
        rows: list[Tensor],
        floor: Tensor,
        report: SearchReport,
    ) -> None:
        self.cascade, self.state, self.report = cascade, state, report
        self.x, self.norm, self.shift = state.x[here], state.norm[here], shift[here]
        self.rows = [part[here] for part in rows]
        self.floor, self.all_floors, self.start = floor[here, 0], floor, here.start
        self.points = len(self.x)
        self.left: list[float] = []

    def bounded(self) -> bool:
        """Bounds of all groups, and a score that is reached at each point; False where too little is ruled out.

        A later part cannot refuse: what the earlier ones settled stands.
        """
        with self.report.timed("bounds"):
            self.table = self._table()
        with self.report.timed("first scores"):
            self._first_scores()
        with self.report.timed("selection"):
            group, point = (self.table < self._scaled(self.floor)).logical_not_().nonzero(as_tuple=True)
        self.group, self.point = group, point
        self.left.append(len(point) / self.table.numel())
        return self.start > 0 or self.left[0] <= MOST_LEFT

    def settle(self) -> None:
        """The cascade's other products, the last product, and float64."""
        for number in range(1, len(self.cascade.stages)):
            with self.report.timed("next bounds"):
                self._narrow(number)
        found: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        pairs = 0
        with self.report.timed("last product"):
            for more in self._last_products():
                found.append(more)
                if sum(len(part[0]) for part in found) > PENDING:
                    pairs += self._settled(found)
                    found = []
        pairs += self._settled(found)
        self.left.append(pairs / (self.points * len(self.cascade.functions)))

    def _table(self) -> Tensor:
        """(groups, points): the largest bound of each group, or 0 where that is less.

        Maxima are those of the bit patterns as whole numbers, an order of magnitude faster: positive numbers have the same
        order either way, any of them is above all negative ones, and it is only those that may be mixed up.
        """
        cascade, stage, rows = self.cascade, self.cascade.stages[0], self.cascade.rows[0]
        table = torch.empty(cascade.groups, self.points, dtype=stage.dtype)
        scores = torch.empty(TERMS, POINTS, dtype=stage.dtype)
        whole = torch.int16 if stage.dtype.itemsize == 2 else torch.int32
        for low in range(0, len(rows), TERMS):
            terms = rows[low : low + TERMS]
            groups = slice(low // GROUP, (low + len(terms)) // GROUP)
            for start in range(0, self.points, POINTS):
                points = self.rows[0][start : start + POINTS]
                out = scores.flatten()[: len(terms) * len(points)].view(len(terms), len(points))
                torch.mm(terms, points.mT, out=out)
                torch.amax(out.view(whole).unflatten(0, (-1, GROUP)), 1, out=table.view(whole)[groups, start : start + POINTS])
        return stage.raised(table)

    def _scaled(self, reached: Tensor) -> Tensor:
        """Scores that are reached at the points as what bounds are compared with, rounded down to float32."""
        scale = self.cascade.scale
        low = (reached - self.shift) * scale - 2.0**-50 * scale * (reached.abs() + self.shift.abs())
        return torch.nextafter(low.float(), torch.tensor(-torch.inf))

    def _first_scores(self) -> None:
        """Raise the floor: at each point evaluate the term that looks best in the group with the highest bound."""
        stage, rows = self.cascade.stages[0], self.cascade.rows[0]
        plain = self.rows[0].clone()
        plain[:, stage.rank + 2 :] = 0  # without the norms and errors: an estimate
        best = self.table.argmax(0)
        at = best.argsort()
        counts = torch.bincount(best, minlength=self.cascade.groups).tolist()
        places = torch.empty(self.points, dtype=torch.int64)
        for group, points in enumerate(at.split(counts)):
            if len(points):
                members = rows[group * GROUP : (group + 1) * GROUP]
                places[points] = group * GROUP + torch.mm(members, plain[points].mT).float().argmax(0)
        index = self.cascade.members.flatten()[places]
        by_index = index.argsort()
        of_norm, of_bias = (bound[index] for bound in self.cascade.error)
        reached = torch.empty_like(self.floor)
        kept = self.cascade.weights
        functions, step = self.cascade.functions, max(1, PAIRS // self.x.shape[1])
        for some in by_index.split(step):
            weights = self.cascade.gathered(index[some]) if kept is None else kept[places[some]]
            score = (weights * self.x[some]).sum(1).double() + functions.bias[index[some]]
            score -= of_norm[some] * self.norm[some] + of_bias[some]
            reached[some] = score
        if bool((self.table.amax(0) < self._scaled(reached)).any()):
            raise CertificateError("a bound turned out below a score that it bounds: products are less exact than their dtype")
        torch.maximum(self.floor, reached, out=self.floor)

    def _narrow(self, number: int) -> None:
        """Of the groups that are left, those that the next product leaves."""
        stage, rows = self.cascade.stages[number], self.cascade.rows[number]
        lowest, kept = self._scaled(self.floor), []
        taken = _Taken(self.rows[number])
        for run, groups, counts in self._runs(stage.width):
            point = self.point[run]
            scores = torch.empty(len(point), GROUP, dtype=stage.dtype)
            _by_group(scores, taken(point), rows.unflatten(0, (-1, GROUP)), groups, counts)
            kept.append((stage.raised(scores.amax(1)) < lowest[point]).logical_not_())
        left = torch.cat(kept) if kept else torch.zeros(0, dtype=torch.bool)
        self.group, self.point = self.group[left], self.point[left]
        self.left.append(len(self.point) / self.table.numel())

    def _last_products(self) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Scores of the groups that are left, in the working dtype; yields pairs within their rounding of the largest one."""
        cascade, dtype = self.cascade, self.x.dtype
        members = cascade.members
        of_norm, of_bias = (bound[members].amax(1) for bound in cascade.error)
        taken = _Taken(self.x)
        for run, groups, counts in self._runs(self.x.shape[1]):
            group, point = self.group[run], self.point[run]
            if cascade.weights is None:
                weights = dict(zip(groups, cascade.gathered(members[groups].flatten()).unflatten(0, (-1, GROUP)), strict=True))
            else:
                weights = cascade.weights.unflatten(0, (-1, GROUP))
            scores = torch.empty(len(point), GROUP, dtype=dtype)
            _by_group(scores, taken(point), weights, groups, counts)
            scores += cascade.functions.bias[members].to(dtype)[group]
            slack = of_norm[group] * self.norm[point] + of_bias[group]
            peak = scores.amax(1).double()
            self.floor.scatter_reduce_(0, point, peak - slack, "amax")
            (able,) = (peak + slack < self.floor[point]).logical_not_().nonzero(as_tuple=True)
            point, group = point[able], group[able]
            upper = scores[able].double() + slack[able].unsqueeze(1)
            row, column = (upper < self.floor[point].unsqueeze(1)).logical_not_().nonzero(as_tuple=True)
            at = point[row] + self.start
            yield at, members[group[row], column], torch.zeros_like(at), upper[row, column]

    def _runs(self, d: int) -> Iterator[tuple[slice, list[int], list[int]]]:
        """What is left, as many entries at a time as NUMBERS allows for rows of d: where; the groups and their counts."""
        step = max(GROUP, NUMBERS // d)
        for low in range(0, len(self.point), step):
            run = slice(low, min(low + step, len(self.point)))
            groups, counts = self.group[run].unique_consecutive(return_counts=True)
            yield run, groups.tolist(), counts.tolist()

    def _settled(self, found: list[tuple[Tensor, Tensor, Tensor, Tensor]]) -> int:
        """Hand what is still possible on to float64, in the order of the terms; how many pairs that were."""
        if not found:
            return 0
        with self.report.timed("float64"):
            at, index, which, upper = (torch.cat(column) for column in zip(*found, strict=True))
            (able,) = (upper < self.all_floors[at, 0]).logical_not_().nonzero(as_tuple=True)
            able = able[index[able].argsort()]
            self.state.settle(self.cascade.functions, [(at[able], index[able], which[able], upper[able])], self.all_floors)
        return len(able)


class _Taken:
    """Rows taken by their places into memory that is kept: fresh pages would cost as much as the product."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows
        self.memory = rows.new_empty(0, rows.shape[1])

    def __call__(self, index: Tensor) -> Tensor:
        if len(index) > len(self.memory):
            self.memory = self.rows.new_empty(len(index), self.rows.shape[1])
        return torch.index_select(self.rows, 0, index, out=self.memory[: len(index)])


def _by_group(
    scores: Tensor, points: Tensor, weights: Tensor | dict[int, Tensor], groups: list[int], counts: list[int]
) -> None:
    """Products of consecutive points with the GROUP rows of their group each: (n, d) by (GROUP, d) into (n, GROUP)."""
    first = 0
    for group, count in zip(groups, counts, strict=True):
        run = slice(first, first + count)
        torch.mm(points[run], weights[group].mT, out=scores[run])
        first += count
