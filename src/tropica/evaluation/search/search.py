"""Exact maximum inner-product search for the largest a⁺_k(x): bounds exclude most terms, and only the others are evaluated.

Terms are grouped by similarity. A product of short rows (:mod:`tropica.evaluation.search.score_bound`) bounds every score
from above; its maximum over each group is compared with a lower bound of the maximum. The remaining groups are tested by a
second bound, of more columns. The terms of groups that remain are evaluated as in
:class:`tropica.terms.maxima.RunningMaxima`: a matrix product in the working dtype with its error bound, then float64 for the
candidates. An excluded term is below the maximum, as its score is below an upper bound that is below a lower bound of the
maximum. So active terms and labels are those of the full product, ties included.

Memory: 128 to 1024 numbers per term for each bound, groups × points bounds (``SearchSettings.table``), a few blocks; a copy of
the coefficients in the order of the groups, if it fits in half of ``memory``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tropica.evaluation.search.index import SearchIndex, build_index
from tropica.evaluation.search.query import (
    PointBlock,
    group_bounds,
    last_product,
    narrow,
    possible_groups,
    raise_lower_bound,
)
from tropica.evaluation.search.settings import FIRST, REFINED, SEARCH_SETTINGS, SearchSettings
from tropica.evaluation.search.subspace import float32_is_exact
from tropica.runtime.memory import budget
from tropica.terms.maxima import RunningMaxima
from tropica.terms.score_filter import Candidates, in_batches
from tropica.terms.term_block import TermBlock


@dataclass
class SearchReport:
    """The report on a search.

    Attributes:
        used: "exact" (the search) or "full" (the full product).
        why: the reason for using the full product.
        left: the share of groups × points that passed each bound, and the share of terms × points evaluated in float64.
        seconds: processor seconds of each step, summed over the points so far; "index" is the one-time work on the terms.
    """

    used: str = "full"
    why: str = ""
    left: list[float] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the processor seconds of the block to a step."""
        start = time.process_time()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.process_time() - start


class ExactSearch:
    """The search over stored blocks of terms. The index is built as soon as it is worth its cost.

    Args:
        blocks: a function that iterates over the blocks, each with the index of its first term.
        dtype: the working dtype, of points and products.
        memory: bytes to work in; None for a quarter of the free memory. The index may take half of them.
        settings: the conditions for using the search, and the sizes of its blocks.
    """

    def __init__(
        self,
        blocks: Callable[[], Iterable[tuple[int, TermBlock]]],
        dtype: torch.dtype,
        memory: int | None,
        settings: SearchSettings = SEARCH_SETTINGS,
    ) -> None:
        self.report = SearchReport()
        self._blocks, self._dtype, self._memory, self._settings = blocks, dtype, memory, settings
        self._refined = False
        self._index: SearchIndex | str | None = None  # a string: the reason against an index; None: not worth its cost so far
        self._points_asked = 0
        self._left: list[tuple[int, list[float]]] = []

    def update(self, state: RunningMaxima) -> bool:
        """Take all blocks into account. Returns False without changes if the full product is cheaper (see ``report.why``)."""
        self._points_asked += len(state.x)
        why = self._refusal(state.x)
        refine = isinstance(self._index, SearchIndex) and not self._refined and self._points_asked >= self._settings.refined
        if not why and (self._index is None or refine):
            with self.report.timed("index"):
                self._index, self._refined, self._left = self._build(state.x), self._points_asked >= self._settings.refined, []
        index = self._index
        if not why and index is None:
            why = "too few points so far to make up for an index"
        elif not why:
            why = self._search(index, state) if isinstance(index, SearchIndex) else str(index)
        self.report.used, self.report.why = ("full", why) if why else ("exact", "")
        return not why

    def _refusal(self, x: Tensor) -> str:
        """The reason for not using the search for these points; "" if it may be used."""
        if x.device.type != "cpu":
            return f"terms are on {x.device}"
        if len(x) < self._settings.least_points:
            return f"only {len(x):,} points at a time"
        return "" if float32_is_exact() else "products in float32 are set to be less exact than that"

    def _build(self, x: Tensor) -> SearchIndex | str | None:
        """The index; or the reason against an index; or None if it is not worth its cost for the points so far."""
        blocks = list(self._blocks())
        terms = sum(len(block) for _, block in blocks)
        settings, d = self._settings, x.shape[1]
        if terms < settings.least_terms:
            return f"only {terms:,} terms"
        allowed = budget(self._memory) // 2
        if settings.bytes_per_term * terms + settings.bytes_per_coordinate * d > allowed:
            return "the index would not fit the memory"
        if self._points_asked < settings.least_asked or terms * self._points_asked * d < settings.least_work:
            return None
        effort = REFINED if self._points_asked >= settings.refined else FIRST
        return build_index(blocks, x, self._dtype, allowed, settings, effort=effort)

    def _search(self, index: SearchIndex, state: RunningMaxima) -> str:
        """Search for all points, block by block. Returns "", or the reason for not using the search."""
        with self.report.timed("points"):
            prepared = index.point_rows(state.x)
        finfo = torch.finfo(state.x.dtype)
        relative, absolute = (float(bound.max()) for bound in index.error)
        if prepared is None or not relative * float(state.norm.max()) + absolute < finfo.eps / 2 * finfo.max:
            return "points leave the range of their dtype"
        shift, rows = prepared
        lower_bound = state.value.clone()
        size = max(self._settings.points, self._settings.table // len(index.members))
        for start in range(0, len(state.x), size):
            here = slice(start, start + size)
            cut = tuple(part[here] for part in rows)
            points = PointBlock(state.x[here], state.norm[here], shift[here], cut, lower_bound[here, 0], start)
            left, useful = self._search_block(index, points, state, lower_bound)
            if not useful:  # for later calls as well
                self._index = (
                    f"{left[-1]:.0%} of the terms' groups are left after the {('first', 'second')[len(left) - 1]} product"
                )
                return self._index
            self._left.append((len(points), left))
        total = sum(count for count, _ in self._left)
        self.report.left = [sum(n * left[i] for n, left in self._left) / total for i in range(len(self._left[0][1]))]
        return ""

    def _search_block(
        self, index: SearchIndex, points: PointBlock, state: RunningMaxima, lower_bound: Tensor
    ) -> tuple[list[float], bool]:
        """Search for one block of points. Returns the shares of groups × points that remain after each step, and whether the
        search was made: not if too many groups remain in the first block. Results of earlier blocks are already in the state.
        """
        timed, settings = self.report.timed, self._settings
        with timed("bounds"):
            table = group_bounds(index, points, settings)
        with timed("first scores"):
            raise_lower_bound(index, points, table, state.sizes)
        with timed("selection"):
            pairs = possible_groups(index, points, table)
        left = [len(pairs.point) / table.numel()]
        if points.first == 0 and left[0] > len(index.bounds) * settings.most_left:
            return left, False
        for number in range(1, len(index.bounds)):
            with timed("next bounds"):
                pairs = narrow(index, points, pairs, number, settings)
            left.append(len(pairs.point) / table.numel())
            if points.first == 0 and left[-1] > settings.most_left:
                return left, False
        found, evaluated = in_batches(last_product(index, points, pairs, settings), state.sizes.pending), 0
        while True:
            with timed("last product"):
                batch = next(found, None)
            if batch is None:
                break
            with timed("float64"):
                batch = batch.above(lower_bound)
                order = batch.function.argsort()  # coefficients are read in storage order
                state.take(index.functions, Candidates(*(column[order] for column in batch)), lower_bound)
                evaluated += len(order)
        return [*left, evaluated / (len(points) * len(index.functions))], True
