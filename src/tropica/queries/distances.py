"""Distances from a point to a polyhedron {y : A y ≤ b}, with a point and a bound that is safe."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import linprog, nnls

from tropica.errors import InputError

NORMS = {"l1": np.inf, "l2": 2, "linf": 1}
"""The order of the dual norm of each norm."""
_SAFE = 1 - 1e-12


class Distance(float):
    """A distance, a float within its bounds.

    Attributes:
        lower, upper: bounds, rounding included; for a distance to a label ``upper`` is that of the point found.
        point: (*input,) a nearest point, or None where there is none.
        to: the unit whose hyperplane it is, or the label.
    """

    lower: float
    upper: float
    point: np.ndarray | None
    to: str | int | None

    def __new__(
        cls, value: float, lower: float, upper: float, point: np.ndarray | None = None, to: str | int | None = None
    ) -> Distance:
        found = super().__new__(cls, value)
        found.lower, found.upper, found.point, found.to = lower, upper, point, to
        return found


def dual_norm(norm: str) -> float:
    """The order of the dual norm.

    Raises:
        InputError: another norm.
    """
    if norm not in NORMS:
        raise InputError(f'norm must be "l1", "l2" or "linf"; found {norm!r}')
    return NORMS[norm]


def length(v: np.ndarray, norm: str) -> float:
    """‖v‖."""
    return float(np.linalg.norm(v, {"l1": 1, "l2": 2, "linf": np.inf}[norm]))


def nearest_point(
    A: np.ndarray, b: np.ndarray, x: np.ndarray, norm: str, error: np.ndarray | None = None
) -> tuple[float, np.ndarray | None]:
    """A nearest point of {y : A y ≤ b} to x as floating point finds it, and a safe lower bound of the distance.

    Any multipliers λ ≥ 0 give the bound ⟨λ, A x − b⟩ / ‖Aᵀλ‖ in the dual norm. No point is returned if none was found; the
    bound is ∞ only for a row without coefficients.

    Args:
        A, b: rows (N, D) and (N,).
        x: (D,).
        norm: "l1", "l2" or "linf".
        error: (N,) a bound on the error of every number of a row.
    """
    wrong = np.zeros(len(b)) if error is None else error
    scale = np.linalg.norm(A, axis=1)
    keep = scale > 0
    if (b[~keep & (wrong == 0)] < 0).any():
        return math.inf, None
    A, b, wrong = A[keep] / scale[keep, None], b[keep] / scale[keep], wrong[keep] / scale[keep]
    if not len(b):
        return 0.0, x
    excess = A @ x - b
    if (excess <= 0).all():
        return 0.0, x
    doubt = (np.abs(A) @ np.abs(x) + np.abs(b)) * (len(x) + 8) * 2.0**-52 + wrong * (np.abs(x).sum() + 1)
    y, multipliers = _least_distance(A, -excess) if norm == "l2" else _program(A, -excess, norm)
    lower = _bound(A, excess, doubt, wrong, np.maximum(multipliers, 0.0), norm) if multipliers is not None else 0.0
    single = (excess - doubt) / (np.linalg.norm(A, NORMS[norm], axis=1) + wrong * len(x))
    lower = max(lower, float(single.max()) * _SAFE)
    return lower, None if y is None else x + y


def _bound(A: np.ndarray, excess: np.ndarray, doubt: np.ndarray, wrong: np.ndarray, y: np.ndarray, norm: str) -> float:
    gain = float(y @ (excess - doubt)) - float(y @ np.abs(excess)) * (len(y) + 4) * 2.0**-52
    size = y @ np.abs(A)
    slope = float(np.linalg.norm(np.abs(y @ A) + size * (len(y) + 4) * 2.0**-52 + float(y @ wrong), NORMS[norm]))
    return gain / slope * _SAFE if gain > 0 and slope > 0 else 0.0


def _program(A: np.ndarray, b: np.ndarray, norm: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """min ‖v‖ with A v ≤ b by a linear program."""
    n, d = A.shape
    if norm == "linf":
        rows = np.block([[A, np.zeros((n, 1))], [np.eye(d), -np.ones((d, 1))], [-np.eye(d), -np.ones((d, 1))]])
        cost = np.append(np.zeros(d), 1.0)
        result = linprog(cost, A_ub=rows, b_ub=np.concatenate([b, np.zeros(2 * d)]), bounds=(None, None), method="highs")
        v = None if result.x is None else result.x[:d]
    else:
        result = linprog(np.ones(2 * d), A_ub=np.concatenate([A, -A], 1), b_ub=b, bounds=(0, None), method="highs")
        v = None if result.x is None else result.x[:d] - result.x[d:]
    if result.status == 2:
        return None, _infeasible(A, b)
    if result.status != 0 or v is None:
        return None, None
    return v, -result.ineqlin.marginals[:n]


def _infeasible(A: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """Multipliers λ ≥ 0 with Aᵀλ about 0 and ⟨λ, b⟩ < 0: those of min s with A v ≤ b + s."""
    n, d = A.shape
    cost = np.append(np.zeros(d), 1.0)
    bounds = [*[(None, None)] * d, (0, None)]
    result = linprog(cost, A_ub=np.column_stack([A, -np.ones(n)]), b_ub=b, bounds=bounds, method="highs")
    return None if result.status != 0 else -result.ineqlin.marginals


def _least_distance(A: np.ndarray, b: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """min ‖v‖₂ with A v ≤ b by nonnegative least squares (Lawson and Hanson, Solving Least Squares Problems, chapter 23)."""
    d = A.shape[1]
    scale = float(np.abs(b).max()) or 1.0
    system = np.concatenate([-A.T, -b[None] / scale])
    try:
        u, rest = nnls(system, np.append(np.zeros(d), 1.0), maxiter=30 * len(A))
    except RuntimeError:
        return None, None
    r = system @ u - np.append(np.zeros(d), 1.0)
    if rest < 1e-12 or -r[d] < 1e-14:
        return None, u
    return -r[:d] / r[d] * scale, u
