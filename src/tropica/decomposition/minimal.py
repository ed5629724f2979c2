"""The minimal decomposition: K = λ·(calibrated K), λ the smallest at which Theorem 3.3 still holds between all pairs of data points.

F⁻ is linear in K, so λK has the terms λa⁻_k and a_k + λa⁻_k: nothing is extracted anew for another λ. Theorem 3.3 between
points j and k reads, at x_k,

    λ·D_jk ≥ 0  and  P_jk + λ·D_jk ≥ 0,      D_jk = a⁻_k(x_k) − a⁻_j(x_k),   P_jk = a_k(x_k) − a_j(x_k).

The calibrated decomposition is certified, which makes all D_jk ≥ 0. So what holds for one λ holds for all larger ones, and

    λ* = max over the pairs with P_jk < 0 of −P_jk / D_jk  ≤ 1.

No bisection is needed. For any λ below λ* the term that exceeds a point's own by most gives a pair, and that pair's ratio is
a larger λ, still ≤ λ*: Newton's method on the convex piecewise-linear function max_jk (−P_jk − λD_jk), which ends at its zero
after finitely many steps. Steps on a few points are cheap, and what they give is a lower bound for more points; then one pass
over all pairs, a part of the terms after the other, raises λ where it must (the parts before stay right, as λ only grows).
What exceeds an own value by no more than rounding may (``pairs``) is no violation, unless it has another label.

The decomposition returned has K = (1 + m)λ*·(calibrated K), is extracted anew, and checked on all pairs, on both sides, in a pass of
its own: what it promises stands on that pass, not on the argument above.

Cost, with N points of d numbers: two extractions (four or more where terms do not fit the memory) and 3N²d multiplications
and additions, beside the calibrated decomposition. Memory: the points, and ``memory`` bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tropica.data.passes import DataPass, Shard
from tropica.decomposition.dc_decomposition import DCDecomposition, PairwiseCheck
from tropica.decomposition.extraction import extract_shards, find_center
from tropica.decomposition.pairs import SIDES, OwnTerms, Side, excesses, scaled_functions
from tropica.errors import CertificateError, InputError
from tropica.runtime.memory import budget
from tropica.runtime.processes import SINGLE_PROCESS, Processes
from tropica.runtime.progress import ProgressCallback
from tropica.terms.linear_terms import TermBlock
from tropica.terms.maxima import Functions

MARGIN = 0.01
"""m: K is larger than the smallest that will do by so much."""
PER = ("network", "nonlinearity")
FEW = 1024
"""Points to begin with; then four times as many, and so on."""
ROUND = 8
"""Shards of terms after which λ is raised, if it must be."""
STEPS = 100
"""Steps of Newton's method; a handful is usual."""
BEYOND = 1.1
"""No λ is above 1 but for rounding; one that is above this says that rounding has the upper hand."""


def minimal_decomposition(
    decomposition: DCDecomposition,
    data_pass: DataPass,
    *,
    per: str = "network",
    margin: float = MARGIN,
    memory: int | None = None,
    processes: Processes = SINGLE_PROCESS,
    progress: ProgressCallback | None = None,
) -> DCDecomposition:
    """Scale the calibrated decomposition of some points down to the smallest that they allow.

    Args:
        decomposition: their calibrated decomposition.
        data_pass: the points, which are held in memory.
        per: "network" for one λ; "nonlinearity" for one a nonlinearity (see :mod:`tropica.decomposition.factors`).
        margin: m.
        memory: bytes beside the points; where the terms do not fit half of them, they are extracted again for each pass.
        processes: those that share the work.
        progress: called with (done, total, message).

    Raises:
        InputError: ``per`` or ``margin`` that will not do.
        CertificateError: rounding in the dtype hides which terms are the larger ones (use float64).
    """
    check_options(per, margin)
    x = torch.cat(list(data_pass))
    room = processes.run_on_first(lambda: budget(memory, decomposition.net.device))
    search = Search(decomposition, x, data_pass, processes, room, progress)
    smallest = search.smallest()
    factors = dict.fromkeys([name for name, k in decomposition.multipliers.items() if bool(k.any())], smallest)
    common = dict.fromkeys(factors, (1 + margin) * smallest)
    line = f"minimal: λ* = {smallest:.6g} of the calibrated K, the smallest for all pairs of {len(x)} points"
    search.forget()
    made, found = checked(decomposition, common, margin, search)
    history = [*decomposition.history, line]
    if per == "nonlinearity" and smallest > 0:
        from tropica.decomposition.factors import smallest_by_nonlinearity

        by_nonlinearity = smallest_by_nonlinearity(decomposition, factors, margin, search)
        if by_nonlinearity is not None:
            made, found, line = by_nonlinearity
            history.append(line)
        else:
            history.append("minimal: factors of their own were not settled; all nonlinearities have the common one")
    history.append(f"minimal: the check, all {found.points} × {found.points} pairs")
    return replace(made, method="minimal", passes=decomposition.passes, history=history, pairs=found)


def check_options(per: str, margin: float) -> None:
    """Raise InputError for factors of something else than nonlinearities or networks, and for a margin that is none."""
    if per not in PER:
        raise InputError(f"per must be one of {', '.join(PER)}; got {per!r}")
    if isinstance(margin, bool) or not isinstance(margin, (int, float)) or not 0 <= margin < float("inf"):
        raise InputError(f"margin must be a number, 0 or more (0.01: K is 1 % larger than it must be); got {margin!r}")


def checked(
    decomposition: DCDecomposition, factors: dict[str, float], margin: float, search: Search
) -> tuple[DCDecomposition, PairwiseCheck]:
    """The decomposition with these factors, whose terms are extracted and compared between all pairs.

    Raises CertificateError where the check fails.
    """
    made = replace(decomposition.scaled(factors), factors=factors)
    found = search.like(made).check(margin)
    if not found.holds:
        raise CertificateError(
            f"the minimal decomposition's check fails: some term exceeds a point's own term at the point by {found.violation:.3g} "
            f"(rounding allows {found.tolerance:.3g}), {found.labels_lost} labels lost{_advice(decomposition)}"
        )
    return made, found


def _advice(decomposition: DCDecomposition) -> str:
    return "; use dtype=torch.float64" if decomposition.net.dtype == torch.float32 else ""


@dataclass(frozen=True)
class Violations:
    """Points at which some other point's term is larger than their own, on one side: their numbers, the other points', and by
    how much (n,)."""

    side: Side
    point: Tensor
    other: Tensor
    excess: Tensor


class Search:
    """The terms of some points under one decomposition, and what is larger than it may be among all pairs of them."""

    def __init__(
        self,
        decomposition: DCDecomposition,
        x: Tensor,
        data_pass: DataPass,
        processes: Processes,
        room: int,
        progress: ProgressCallback | None,
    ) -> None:
        net = decomposition.net
        self.decomposition, self.processes, self.room, self.progress = decomposition, processes, room, progress
        batch_size, sizes = data_pass.batch_size, data_pass.sizes
        self.data_pass = DataPass(x, batch_size, net.dtype, net.device, net.input_shape, sizes)
        self.center = find_center(decomposition, self.data_pass, processes)
        self.inputs = x
        self.x = x.flatten(1)
        self.own = OwnTerms.room(len(x), net.device)
        fits = 2 * self.x.numel() * net.dtype.itemsize / processes.world_size <= room / 2
        self._kept: dict[int, list[tuple[int, TermBlock]]] | None = None
        kept: dict[int, list[tuple[int, TermBlock]]] = {}
        for shard in processes.share(self.data_pass.shards):
            for first, block in self._extracted(shard):
                assert block.margin is not None
                self.own.see(first, self.x[first : first + len(block)], block, block.margin, self.center)
                if fits:
                    kept.setdefault(shard.number, []).append((first, block))
            self._report(shard, "terms for the minimal decomposition")
        if fits:
            self._kept = kept
        self.own.join(processes)

    def like(self, decomposition: DCDecomposition, index: Tensor | None = None) -> Search:
        """The same with another decomposition, or with some of the points only (which each process then does by itself)."""
        if index is None:
            return Search(decomposition, self.inputs, self.data_pass, self.processes, self.room, self.progress)
        return Search(decomposition, self.inputs[index], self.data_pass, SINGLE_PROCESS, self.room, None)

    def forget(self) -> None:
        """Let terms go that were kept."""
        self._kept = None

    def stages(self) -> Iterator[Tensor]:
        """The numbers of ever more points, evenly over all of them; all of them are not among these."""
        size, points = FEW, len(self.x)
        while size < points:
            yield torch.linspace(0, points - 1, size, dtype=torch.float64).long().to(self.x.device)
            size *= 4

    # ── one λ ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def smallest(self) -> float:
        """λ*: the smallest factor of K that leaves every own a⁺ the largest one at its point."""
        factor = 0.0
        for index in self.stages():
            few = self.like(self.decomposition, index)
            factor = few._raised(factor, few.data_pass.shards)
        factor = float(self.processes.broadcast(torch.tensor(factor, dtype=torch.float64)))
        shards = self.data_pass.shards
        for start in range(0, len(shards), ROUND):
            part = shards[start : start + ROUND]
            factor = self._raised(factor, part)
            self._report(part[-1], "pairs for the minimal decomposition")
        return factor

    def _raised(self, factor: float, shards: Sequence[Shard]) -> float:
        """λ, raised until no term of these shards exceeds a point's own."""
        for _ in range(STEPS):
            found = self._violations("plus", factor, shards)
            raised = self._newton(found, factor, shards) if len(found.point) else factor
            if raised == factor:
                return factor
            factor = raised
        raise CertificateError(f"λ is not settled after {STEPS} steps{_advice(self.decomposition)}")

    def _newton(self, found: Violations, factor: float, shards: Sequence[Shard]) -> float:
        """The largest −P/D = λ + excess/D of these pairs; λ where only rounding exceeds anything."""
        gap = torch.zeros(len(found.point), dtype=torch.float64, device=self.x.device)
        for first, block in self._blocks(shards):
            (mine,) = ((found.other >= first) & (found.other < first + len(block))).nonzero(as_tuple=True)
            if len(mine):
                point = found.point[mine]
                there = values_at(scaled_functions(block, "minus"), found.other[mine] - first, self.x[point])
                gap[mine] = self.own.minus[point] - there
        gap = self.processes.all_reduce_sum(gap)
        ratio = factor + found.excess / gap
        curable = (gap > 0) & (ratio <= BEYOND)
        allowed = self.own.tolerance("plus", self.x.dtype, factor)[found.point]
        if bool((~curable & (found.excess > allowed)).any()):
            worst = float(found.excess[~curable].max())
            raise CertificateError(
                f"a term exceeds a point's own term at the point by {worst:.3g}, and more of K would not change it: "
                f"rounding in {str(self.x.dtype).removeprefix('torch.')} is too coarse for this network{_advice(self.decomposition)}"
            )
        return float(ratio[curable].max()) if bool(curable.any()) else factor

    # ── all pairs at one decomposition ─────────────────────────────────────────────────────────────────────────────────────────

    def violations(self) -> list[Violations]:
        """Where some other point's term is larger than a point's own, on either side."""
        return [self._violations(side, 1.0, self.data_pass.shards) for side in SIDES]

    def check(self, margin: float) -> PairwiseCheck:
        """What all pairs are like."""
        shards, lost, changed = self.data_pass.shards, 0, 0
        worst = torch.zeros((), dtype=torch.float64, device=self.x.device)
        tolerance = 0.0
        for side in SIDES:
            excess, other = self._excesses(side, 1.0, shards)
            allowed = self.own.tolerance(side, self.x.dtype)
            worst = torch.maximum(worst, excess.max())  # NaN stays NaN
            tolerance = max(tolerance, float(allowed.max()))
            if side == "plus":
                lost, changed = int(self._lost(excess, other).sum()), int(self._changed(excess, other).sum())
        dtype = str(self.x.dtype).removeprefix("torch.")
        return PairwiseCheck(len(self.x), float(worst), tolerance, lost, changed - lost, margin, dtype)

    def _violations(self, side: Side, factor: float, shards: Sequence[Shard]) -> Violations:
        excess, other = self._excesses(side, factor, shards)
        bad = ~(excess <= self.own.tolerance(side, self.x.dtype, factor))
        if side == "plus":
            bad |= self._lost(excess, other)
        (point,) = bad.nonzero(as_tuple=True)
        return Violations(side, point, other[point], excess[point])

    def _excesses(self, side: Side, factor: float, shards: Sequence[Shard]) -> tuple[Tensor, Tensor]:
        functions = (scaled_functions(block, side, factor, first) for first, block in self._blocks(shards))
        return excesses(self.x, self.own.value(side, factor), functions, self.processes)

    def _lost(self, excess: Tensor, other: Tensor) -> Tensor:
        """Whose label is another one by the largest a⁺, and not for a tie of N's own."""
        tied = self.own.margin <= self.own.tolerance("plus", self.x.dtype, 0.0)
        return self._changed(excess, other) & ~tied

    def _changed(self, excess: Tensor, other: Tensor) -> Tensor:
        """Whose label is another one by the largest a⁺."""
        return (excess > 0) & (self.own.labels[other.clamp(min=0)] != self.own.labels)

    # ── the terms ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _blocks(self, shards: Sequence[Shard]) -> Iterator[tuple[int, TermBlock]]:
        """This process's part of the terms of some shards, with the index of the first term."""
        for shard in shards:
            if shard.number % self.processes.world_size == self.processes.rank:
                if self._kept is not None:
                    yield from self._kept[shard.number]
                else:
                    yield from self._extracted(shard)

    def _extracted(self, shard: Shard) -> Iterator[tuple[int, TermBlock]]:
        for _, block in extract_shards(self.decomposition, self.data_pass, self.center, [shard]):
            yield shard.first, block

    def _report(self, shard: Shard, message: str) -> None:
        if self.progress:
            self.progress(shard.first + shard.points, len(self.x), message)


def values_at(functions: Functions, index: Tensor, x: Tensor) -> Tensor:
    """Functions at points, pair by pair, in float64: (n,)."""
    parts = [
        (functions.rows(i, torch.float64) * at.double()).sum(1) + functions.bias[i]
        for i, at in zip(index.split(FEW), x.split(FEW), strict=True)
    ]
    return torch.cat(parts)
