"""The minimal decomposition with a factor of its own for each nonlinearity: K_v = λ_v·(calibrated K_v).

F⁻ = Σ_v λ_v F⁻_v with F⁻_v = ⟨K_v, h_v⟩, so the terms are linear in the factors, and Theorem 3.3 between points j and k reads

    Σ_v λ_v D^v_jk ≥ 0  and  P_jk + Σ_v λ_v D^v_jk ≥ 0,      D^v_jk = a⁻_kv(x_k) − a⁻_jv(x_k),  P_jk as in ``minimal``.

The factors that satisfy all pairs form a polyhedron, which holds (λ*, …, λ*) and (1, …, 1). Of it the point is taken at which
F⁻ is smallest on the data, Σ_v λ_v·sd(F⁻_v): a linear program with one variable a nonlinearity and two rows a pair. It is solved by
cutting planes: the program with the rows found so far, then the pairs that its solution violates as further rows, first on a
few points, at last on all. HiGHS solves the programs; whether a pair is violated is decided as in ``minimal``, in float64.

That is so where no pair is violated by λ_v + ελ*, ε = 1e-6 (programs are solved to 1e-7). The decomposition returned has the factors
λ_v + mλ*. As D_jk = Σ_v D^v_jk ≥ 0, its pairs have (m − ε)λ*D_jk to spare; that they hold is checked on all pairs.

Cost: beside that of ``minimal``, an extraction and 4N²d multiplications and additions for each program on all points.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from scipy.optimize import linprog
from torch import Tensor

from tropica.decomposition.cotangents import forward
from tropica.decomposition.dc_decomposition import DCDecomposition, PairwiseCheck
from tropica.decomposition.minimal import Search, Violations, checked

ROUNDS = 60
"""Programs at most."""
NEAR = 1e-6
"""ε: what programs are solved to, with some room."""
MOST = 256
"""Rows a program and side at most: the pairs that are violated most."""


def smallest_by_nonlinearity(
    decomposition: DCDecomposition, common: Mapping[str, float], margin: float, search: Search
) -> tuple[DCDecomposition, PairwiseCheck, str] | None:
    """The decomposition whose nonlinearities have factors of their own, with its check and a line about it; None where it is not settled.

    Args:
        decomposition: the calibrated decomposition.
        common: λ* by name, of the nonlinearities that have a factor.
        margin: m.
        search: the points.
    """
    names, base = list(common), np.array(list(common.values()))
    cost, rows, least = spreads(decomposition, names, search), np.zeros((0, len(names))), np.zeros(0)
    stages, made = [*search.stages(), None], 0
    for index in stages:
        while True:
            found = linprog(cost, -rows, -least, bounds=(0, None), method="highs")
            if not found.success or made == ROUNDS:
                return None
            made += 1
            factors = dict(zip(names, map(float, found.x + NEAR * base), strict=True))
            trial = search.like(decomposition.scaled(factors), index)
            violated = trial.violations()
            violated = [some for some in violated if len(some.point)]
            if not violated:
                break
            for some in violated:
                more, of = _rows(decomposition, names, factors, trial, some)
                rows, least = np.vstack([rows, more]), np.concatenate([least, of])
    share = float(cost @ found.x / (cost @ base))
    line = (
        f"minimal by nonlinearity: {made} programs, {len(rows)} pairs; Σ λ_v sd(F⁻_v) is {share:.1%} of that with one λ for all"
    )
    factors = dict(zip(names, map(float, found.x + max(margin, NEAR) * base), strict=True))
    return *checked(decomposition, factors, margin, search), line


def spreads(decomposition: DCDecomposition, names: list[str], search: Search) -> np.ndarray:
    """How much each nonlinearity's F⁻_v = ⟨K_v, h_v⟩ varies over the points: its standard deviation."""
    values = torch.cat([by_nonlinearity(decomposition, names, x, values_only=True)[0] for x in search.inputs.split(512)])
    return values.std(0, correction=0).cpu().numpy() + 1e-12


def _rows(
    decomposition: DCDecomposition, names: list[str], factors: Mapping[str, float], trial: Search, found: Violations
) -> tuple[np.ndarray, np.ndarray]:
    """Violated pairs as rows D^v and what Σ_v λ_v D^v must be at least, both scaled to rows of sum 1."""
    chosen = found.excess.argsort(descending=True)[:MOST]
    point, other = found.point[chosen], found.other[chosen]
    x = trial.inputs
    own, _ = by_nonlinearity(decomposition, names, x[point], values_only=True)
    values, gradients = by_nonlinearity(decomposition, names, x[other])
    step = (x[point] - x[other]).flatten(1).double()
    rows = own - values - torch.einsum("bvd,bd->bv", gradients.double(), step)
    # The excess is −P − Σ λD, so Σ λD must grow by it.
    used = torch.tensor([factors[name] for name in names], dtype=torch.float64, device=rows.device)
    least = found.excess[chosen] + rows @ used if found.side == "plus" else torch.zeros(len(rows), dtype=torch.float64)
    size = rows.abs().sum(1).clamp(min=1e-300)
    return (rows / size.unsqueeze(1)).cpu().numpy(), (least.to(size) / size).cpu().numpy()


def by_nonlinearity(
    decomposition: DCDecomposition, names: list[str], x: Tensor, values_only: bool = False
) -> tuple[Tensor, Tensor]:
    """F⁻_v at each point (B, V) in float64, and its gradient (B, V, d), for some nonlinearities: one backward pass a nonlinearity."""
    x = x.detach().requires_grad_()
    outputs = {nonlinearity.name: (nonlinearity, h) for nonlinearity, h in forward(decomposition.net, x)[1]}
    values = torch.zeros(len(x), len(names), dtype=torch.float64, device=x.device)
    gradients = torch.zeros(len(x), len(names), 0 if values_only else x[0].numel(), dtype=x.dtype, device=x.device)
    for i, name in enumerate(names):
        nonlinearity, h = outputs.get(name, (None, None))
        if nonlinearity is None or h is None:
            continue  # a nonlinearity of a constant
        k = decomposition.multipliers[name].to(x.device)
        values[:, i] = nonlinearity.per_point(h.detach(), len(x)).flatten(1).double() @ k.flatten()
        if not values_only and h.requires_grad:
            seed = k.to(h.dtype).expand(len(x), *k.shape).reshape(h.shape)
            (gradient,) = torch.autograd.grad(h, x, seed, retain_graph=True, allow_unused=True, materialize_grads=True)
            gradients[:, i] = gradient.flatten(1)
    return values, gradients
