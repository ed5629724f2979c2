"""The minimal decomposition: K = λ·(calibrated K) with the smallest λ for which Theorem 3.3 holds between all pairs of data
points.

F⁻ is linear in K, so λK has the terms λa⁻_k and a_k + λa⁻_k: another λ needs no new extraction. Theorem 3.3 between
points j and k reads, at x_k,

    λ·D_jk ≥ 0  and  P_jk + λ·D_jk ≥ 0,      D_jk = a⁻_k(x_k) − a⁻_j(x_k),   P_jk = a_k(x_k) − a_j(x_k).

The calibrated decomposition is certified, so all D_jk ≥ 0. Inequalities that hold for one λ hold for all larger ones, and

    λ* = max over the pairs with P_jk < 0 of −P_jk / D_jk  ≤ 1.

No bisection is needed. For any λ below λ* the term that exceeds a point's own term the most gives a pair, and the ratio of this
pair is a larger λ, still ≤ λ*: this is Newton's method on the convex piecewise-linear function max_jk (−P_jk − λD_jk), which
reaches its zero after finitely many steps. Steps on a subset of the points are cheap, and give a lower bound of λ*. Then one
pass over all pairs, a few shards of terms at a time, raises λ where necessary (earlier shards stay satisfied, as λ only grows).
An excess within the rounding tolerance is no violation, unless it changes a label.

The decomposition returned has K = (1 + m)λ*·(calibrated K). Its terms are extracted again and checked on all pairs, on both
sides: the guarantee rests on this check, not on the argument above.

Cost, with N points of d numbers: two extractions (four or more if terms do not fit in memory) and 3N²d multiplications
and additions, in addition to the calibrated decomposition. Memory: the points, and ``memory`` bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from tropica.data.passes import DataPass, Shard
from tropica.decomposition.data_terms import (
    DataTerms,
    PointsInMemory,
    Violations,
    certify_factors,
    find_violations,
    float64_advice,
)
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.factor_program import solve_factor_program
from tropica.decomposition.history import DecompositionStep
from tropica.errors import CertificateError, InputError
from tropica.exact.double_double import DoubleDouble
from tropica.runtime.memory import budget
from tropica.runtime.processes import SINGLE_PROCESS, Processes
from tropica.runtime.progress import ProgressCallback
from tropica.terms.double_double_maxima import functions_for, values_at

MARGIN = 0.01
"""m: the relative excess of K over the smallest sufficient one."""
PER = ("network", "nonlinearity")
LARGEST_FACTOR = 1.1
"""Only rounding makes λ exceed 1. A larger λ shows that rounding is too coarse."""


@dataclass(frozen=True)
class MinimalSettings:
    """Sizes in the computation of λ*.

    Attributes:
        first_points: points in the first subset; each further subset has four times as many.
        shards: the number of shards of terms between two updates of λ.
        steps: the largest number of Newton steps; a handful is usual.
    """

    first_points: int = 1024
    shards: int = 8
    steps: int = 100


MINIMAL_SETTINGS = MinimalSettings()


def minimal_decomposition(
    decomposition: DCDecomposition,
    data_pass: DataPass,
    *,
    per: str = "network",
    margin: float = MARGIN,
    memory: int | None = None,
    processes: Processes = SINGLE_PROCESS,
    progress: ProgressCallback | None = None,
    settings: MinimalSettings = MINIMAL_SETTINGS,
) -> DCDecomposition:
    """Scale the calibrated decomposition on some points down to the minimal one.

    Args:
        decomposition: the calibrated decomposition on the points.
        data_pass: the points, which are held in memory.
        per: "network" for one λ; "nonlinearity" for one per nonlinearity (see :mod:`tropica.decomposition.factor_program`).
        margin: m.
        memory: bytes in addition to the points. If the terms do not fit in half of it, each pass extracts them again.
        processes: the processes that share the work.
        progress: called with (done, total, message).
        settings: sizes in the computation of λ*.

    Raises:
        InputError: ``per`` or ``margin`` is invalid.
        CertificateError: rounding in the dtype hides which terms are larger (use float64).
    """
    check_options(per, margin)
    room = processes.run_on_first(lambda: budget(memory, decomposition.net.device))
    x = torch.cat(list(data_pass))
    points = PointsInMemory(x, data_pass, room, processes, progress, settings.first_points)
    try:
        smallest = smallest_factor(decomposition, points, settings)
    except CertificateError:
        if per == "network":
            raise
        smallest = 1.0  # rounding hides the common factor; the factors of the nonlinearities may still be found
    factors = dict.fromkeys([name for name, k in decomposition.multipliers.items() if bool(k.any())], smallest)
    history = [
        *decomposition.history,
        DecompositionStep("factor", {"factor": smallest, "points": len(x), "margin": float(margin)}),
    ]
    chosen = dict.fromkeys(factors, (1 + margin) * smallest)
    if per == "nonlinearity" and smallest > 0:
        solved = solve_factor_program(decomposition, factors, margin, points)
        if solved is not None:
            chosen = solved[0]
        # Without a solution all nonlinearities have the common factor.
        history.append(DecompositionStep("factor program") if solved is None else solved[1])
    made, found = certify_factors(decomposition, chosen, points)
    history.append(DecompositionStep("pair check", {"points": found.points}))
    return replace(made, method="minimal", passes=decomposition.passes, history=history, certificate=found)


def check_options(per: str, margin: float) -> None:
    """Raise InputError if ``per`` is not one of PER, or ``margin`` is not a nonnegative number."""
    if per not in PER:
        raise InputError(f"per must be one of {', '.join(PER)}; got {per!r}")
    if isinstance(margin, bool) or not isinstance(margin, (int, float)) or not 0 <= margin < float("inf"):
        raise InputError(f"margin must be a number, 0 or more (0.01: K is 1 % larger than it must be); got {margin!r}")


def smallest_factor(
    decomposition: DCDecomposition, points: PointsInMemory, settings: MinimalSettings = MINIMAL_SETTINGS
) -> float:
    """Compute λ*, the smallest factor of K for which the a⁺ of every point is the largest one at the point.

    Raises CertificateError if rounding hides which terms are larger.
    """
    factor = 0.0
    for subset in points.subsets():
        terms = DataTerms.extract(decomposition, subset)
        factor = _raise_factor(terms, factor, terms.data_pass.shards, settings)
    factor = float(points.processes.broadcast(torch.tensor(factor, dtype=torch.float64)))
    terms = DataTerms.extract(decomposition, points)
    shards = terms.data_pass.shards
    for start in range(0, len(shards), settings.shards):
        part = shards[start : start + settings.shards]
        factor = _raise_factor(terms, factor, part, settings)
        if points.progress:
            points.progress(part[-1].first + part[-1].points, len(points.x), "pairs for the minimal decomposition")
    return factor


def _raise_factor(terms: DataTerms, factor: float, shards: Sequence[Shard], settings: MinimalSettings) -> float:
    """Raise λ until no term of these shards exceeds a point's own term."""
    for _ in range(settings.steps):
        found = find_violations(terms, "plus", factor, shards)
        raised = _newton_step(terms, found, factor, shards) if len(found.point) else factor
        if raised == factor:
            return factor
        factor = raised
    raise CertificateError(f"λ has not converged after {settings.steps} steps{float64_advice(terms.decomposition)}")


def _newton_step(terms: DataTerms, found: Violations, factor: float, shards: Sequence[Shard]) -> float:
    """The largest −P/D = λ + excess/D of these pairs; λ if every excess is within the rounding tolerance."""
    x, own = terms.x, terms.own
    gap = torch.zeros(len(found.point), dtype=torch.float64, device=x.device)
    for first, block in terms.blocks(shards):
        (mine,) = ((found.other >= first) & (found.other < first + len(block))).nonzero(as_tuple=True)
        point = found.point[mine]
        other = values_at(functions_for(block, "minus"), found.other[mine] - first, x, point)
        gap[mine] = (DoubleDouble(own.minus[point], own.minus_low[point]) - other).high
    gap = terms.points.processes.all_reduce_sum(gap)
    ratio = factor + found.excess / gap
    curable = (gap > 0) & (ratio <= LARGEST_FACTOR)
    if bool((~curable & (found.excess > own.tolerance(terms.decomposition.precision, factor))).any()):
        worst = float(found.excess[~curable].max())
        raise CertificateError(
            f"a term exceeds a point's own term at the point by {worst:.3g}, and a larger K would not change this: rounding in "
            f"{terms.decomposition.precision} is too coarse for this network{float64_advice(terms.decomposition)}"
        )
    return float(ratio[curable].max()) if bool(curable.any()) else factor
