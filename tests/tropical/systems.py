"""Systems of polynomials from the literature, as supports."""

from __future__ import annotations

import numpy as np


def cyclic(n: int) -> list[np.ndarray]:
    """Cyclic n-roots: the sums of all products of k consecutive variables, k < n, and x₁⋯x_n − 1."""
    rows = [[[int((j - i) % n < k) for j in range(n)] for i in range(n)] for k in range(1, n)]
    return [np.array(r) for r in [*rows, [[0] * n, [1] * n]]]


def katsura(n: int) -> list[np.ndarray]:
    """Katsura-n: Σ_l u_|l| u_|m−l| = u_m for m < n, and u_0 + 2 Σ u_l = 1, in n + 1 variables."""
    e = np.eye(n + 1, dtype=int)
    quadratic = []
    for m in range(n):
        pairs = {tuple(e[abs(k)] + e[abs(m - k)]) for k in range(-n, n + 1) if abs(m - k) <= n}
        quadratic.append(np.array(sorted({*pairs, tuple(e[m])})))
    return [*quadratic, np.concatenate([e, 0 * e[:1]])]
