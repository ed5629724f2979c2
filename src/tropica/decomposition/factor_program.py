"""A linear program for the minimal decomposition with one factor per nonlinearity, K_v = λ_v·(calibrated K_v).

F⁻ = Σ_v λ_v F⁻_v with F⁻_v = ⟨K_v, h_v⟩, so the terms are linear in the factors, and Theorem 3.3 between points j and k reads

    Σ_v λ_v D^v_jk ≥ 0  and  P_jk + Σ_v λ_v D^v_jk ≥ 0,      D^v_jk = a⁻_kv(x_k) − a⁻_jv(x_k),

with P_jk as in :mod:`tropica.decomposition.minimal`. The factors that satisfy all pairs form a polyhedron, which contains
(λ*, …, λ*) and (1, …, 1). Its point with the smallest F⁻ on the data, Σ_v λ_v·sd(F⁻_v), solves a linear program with a variable
for each nonlinearity and two constraints for each pair. The cutting-plane method solves it: solve the program with the
constraints found so far, then add the pairs that its solution violates as further constraints, first on a few points, finally
on all. HiGHS solves the programs; violations are evaluated in float64, as for one λ.

The method ends when λ_v + ελ*, ε = 1e-6, violates no pair (programs are solved to 1e-7). The factors returned are (1 + m) times
these: a pair with P_jk < 0 then holds with slack −mP_jk, and Σ_v λ_v D^v_jk ≥ 0 stays true; a check of all pairs confirms it.
Where F⁻_v is huge beside N, or λ* is unknown as rounding hides it, λ* is replaced by 10⁴ sd(N)/sd(F⁻_v), so that ε adds little.
D^v_jk below its own rounding error counts as 0.

Cost: in addition to that of one λ, an extraction and 4N²d multiplications and additions for each program on all points.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from scipy.optimize import linprog
from torch import Tensor

from tropica.decomposition.cotangents import forward
from tropica.decomposition.data_terms import DataTerms, PointsInMemory, Violations, find_all_violations
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.history import DecompositionStep
from tropica.terms.affine_functions import power_of_two

PROGRAMS = 60
"""The largest number of programs."""
PRECISION = 1e-6
"""ε: ten times the precision of the programs."""
MOST_PAIRS = 256
"""The largest number of pairs added per program and side: the most violated ones."""


LARGEST_SHARE = 1e4
"""The largest F⁻_v, in units of the spread of N, whose share ε is added."""
ROUNDING = 1e-12
"""The relative rounding error of D^v_jk."""


def solve_factor_program(
    decomposition: DCDecomposition, common: Mapping[str, float], margin: float, points: PointsInMemory
) -> tuple[dict[str, float], DecompositionStep] | None:
    """Find the factors (1 + m)λ_v with the smallest F⁻ on the data, and the step for the history; None if
    the method does not converge.

    Args:
        decomposition: the calibrated decomposition.
        common: λ* by the name of the nonlinearity; 1 if it is unknown.
        margin: m.
        points: the points.
    """
    names = list(common)
    cost = standard_deviations(decomposition, names, points.x)
    base = np.minimum(np.array(list(common.values())), LARGEST_SHARE * _spread(decomposition, points.x) / cost)
    rows, least = np.zeros((0, len(names))), np.zeros(0)
    subsets = [*points.subsets(), points]
    for programs in range(1, PROGRAMS + 1):
        solution = linprog(cost, -rows, -least, bounds=(0, None), method="highs")
        if not solution.success:
            return None
        factors = dict(zip(names, map(float, solution.x + PRECISION * base), strict=True))
        added: list[tuple[np.ndarray, np.ndarray]] = []
        while subsets and not added:
            violated = find_all_violations(DataTerms.extract(decomposition.scaled(factors), subsets[0]))
            constraints = (_constraints(decomposition, factors, subsets[0].x, found) for found in violated)
            added = [constraint for constraint in constraints if len(constraint[0])]
            if not added:
                subsets.pop(0)
        if not added:
            share = float(cost @ solution.x / (cost @ base))
            step = DecompositionStep("factor program", {"programs": programs, "pairs": len(rows), "share": share})
            return {name: (1 + margin) * factor for name, factor in factors.items()}, step
        for more_rows, more_least in added:
            rows, least = np.vstack([rows, more_rows]), np.concatenate([least, more_least])
    return None


def _spread(decomposition: DCDecomposition, x: Tensor) -> float:
    """The standard deviation of the outputs of N over the points."""
    with torch.no_grad():
        outputs = torch.cat([decomposition.net(part).double().flatten(1) for part in x.split(512)])
    unit = power_of_two(outputs)
    return unit * float((outputs / unit).std(0, correction=0).max()) or float(outputs.abs().max()) or 1.0


def standard_deviations(decomposition: DCDecomposition, names: list[str], x: Tensor) -> np.ndarray:
    """The standard deviation of each nonlinearity's F⁻_v = ⟨K_v, h_v⟩ over the points."""
    values = torch.cat([by_nonlinearity(decomposition, names, part, values_only=True)[0] for part in x.split(512)])
    unit = power_of_two(values)
    return (unit * (values / unit).std(0, correction=0)).cpu().numpy() + 1e-12


def _constraints(
    decomposition: DCDecomposition, factors: Mapping[str, float], x: Tensor, found: Violations
) -> tuple[np.ndarray, np.ndarray]:
    """Violated pairs as rows D^v, and the lower bounds of Σ_v λ_v D^v, both scaled so that the magnitudes of a row sum to 1.

    Pairs whose D^v are all 0 are left out: their excess is rounding, and no factor changes it.
    """
    names, chosen = list(factors), found.excess.argsort(descending=True)[:MOST_PAIRS]
    point, other = found.point[chosen], found.other[chosen]
    own, _ = by_nonlinearity(decomposition, names, x[point], values_only=True)
    values, gradients = by_nonlinearity(decomposition, names, x[other])
    step = (x[point] - x[other]).flatten(1).double()
    change = torch.einsum("bvd,bd->bv", gradients.double(), step)
    rows = own - values - change
    rows = torch.where(rows.abs() > ROUNDING * (own.abs() + values.abs() + change.abs()), rows, 0.0)
    # The excess is −P − Σ λD, so Σ λD must grow by it.
    used = torch.tensor(list(factors.values()), dtype=torch.float64, device=rows.device)
    least = found.excess[chosen] + rows @ used if found.side == "plus" else torch.zeros_like(rows[:, 0])
    size = rows.abs().sum(1)
    curable = size > 0
    return (rows[curable] / size[curable, None]).cpu().numpy(), (least[curable] / size[curable]).cpu().numpy()


def by_nonlinearity(
    decomposition: DCDecomposition, names: list[str], x: Tensor, values_only: bool = False
) -> tuple[Tensor, Tensor]:
    """F⁻_v of the named nonlinearities at each point (B, V) in float64, and its gradients (B, V, d), one backward pass each."""
    x = x.detach().requires_grad_()
    outputs = {nonlinearity.name: (nonlinearity, h) for nonlinearity, h in forward(decomposition.net, x)[1]}
    values = torch.zeros(len(x), len(names), dtype=torch.float64, device=x.device)
    gradients = torch.zeros(len(x), len(names), 0 if values_only else x[0].numel(), dtype=x.dtype, device=x.device)
    for i, name in enumerate(names):
        nonlinearity, h = outputs.get(name, (None, None))
        if nonlinearity is None or h is None:
            continue  # the nonlinearity does not depend on the input
        k = decomposition.multipliers[name].to(x.device)
        values[:, i] = nonlinearity.per_point(h.detach(), len(x)).flatten(1).double() @ k.flatten()
        if not values_only and h.requires_grad:
            seed = k.to(h.dtype).expand(len(x), *k.shape).reshape(h.shape)
            (gradient,) = torch.autograd.grad(h, x, seed, retain_graph=True, allow_unused=True, materialize_grads=True)
            gradients[:, i] = gradient.flatten(1)
    return values, gradients
