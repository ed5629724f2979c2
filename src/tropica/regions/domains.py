"""Where linear regions are looked for: boxes, segments and planes of the input space, and all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from tropica.errors import InputError

Numbers = Tensor | np.ndarray | list | tuple | float | int


class Domain(Protocol):
    """A flat piece of the input space: x = origin + t · basis, with t in a convex polytope of dimension d."""

    @property
    def dimension(self) -> int:
        """d."""
        ...

    def embedding(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """``origin`` (n,) and ``basis`` (d, n) in float64, for inputs of a shape with n numbers."""
        ...

    def limits(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The least and the largest t, (d,) each; None where there are none."""
        ...


@dataclass(frozen=True, eq=False)
class Box:
    """The points lo ≤ x ≤ hi of a whole input space, coordinate by coordinate.

    Args:
        lo, hi: vectors with one number an input, or one number for all: ``Box(-1, 1)`` with ``d=``.
        d: how many inputs, where lo and hi are numbers.

    Raises InputError where the numbers are not finite, do not fit, or lo < hi does not hold.

    >>> Box([-1, -1], [1, 1]).dimension, Box(-1, 1, d=3).dimension
    (2, 3)
    """

    lo: np.ndarray
    hi: np.ndarray

    def __init__(self, lo: Numbers, hi: Numbers, d: int | None = None) -> None:
        low, high = vector(lo, "lo"), vector(hi, "hi")
        size = d if d is not None else max(low.size, high.size)
        if size < 1 or low.size not in (1, size) or high.size not in (1, size):
            raise InputError(f"lo and hi must have {size} numbers each, or one for all; found {low.size} and {high.size}")
        low, high = np.broadcast_to(low, size).copy(), np.broadcast_to(high, size).copy()
        if bad := np.flatnonzero(~(low < high)).tolist():
            raise InputError(f"lo must be below hi; at coordinate {bad[0]} they are {low[bad[0]]} and {high[bad[0]]}")
        object.__setattr__(self, "lo", low)
        object.__setattr__(self, "hi", high)

    @property
    def dimension(self) -> int:
        """The number of inputs."""
        return self.lo.size

    def embedding(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """The identity: t is x."""
        check_size(self.dimension, shape, "the box")
        return np.zeros(self.dimension), np.eye(self.dimension)

    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """lo and hi."""
        return self.lo, self.hi


@dataclass(frozen=True, eq=False)
class Segment:
    """The points (1 − t) a + t b, 0 ≤ t ≤ 1, between two inputs of any shape.

    >>> Segment([0.0, 0.0], [1.0, 1.0]).dimension
    1
    """

    a: np.ndarray
    b: np.ndarray

    def __init__(self, a: Numbers, b: Numbers) -> None:
        first, last = vector(a, "a"), vector(b, "b")
        if first.size != last.size:
            raise InputError(f"both ends must have as many numbers; found {first.size} and {last.size}")
        if bool((first == last).all()):
            raise InputError("the ends of a segment must differ")
        object.__setattr__(self, "a", first)
        object.__setattr__(self, "b", last)

    @property
    def dimension(self) -> int:
        """1."""
        return 1

    def embedding(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """a, and b − a."""
        check_size(self.a.size, shape, "the ends of the segment")
        return self.a, (self.b - self.a)[None]

    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """0 and 1."""
        return np.zeros(1), np.ones(1)


@dataclass(frozen=True, eq=False)
class Plane:
    """The points origin + t₁ u + t₂ v of a plane through inputs of any shape, −extent ≤ t ≤ extent.

    Args:
        origin: the center.
        u, v: two directions, not parallel.
        extent: one number, or one for each direction.

    >>> Plane.through([0, 0, 0], [1, 0, 0], [0, 1, 0]).dimension
    2
    """

    origin: np.ndarray
    u: np.ndarray
    v: np.ndarray
    lo: np.ndarray
    hi: np.ndarray

    def __init__(self, origin: Numbers, u: Numbers, v: Numbers, extent: Numbers = 1.0) -> None:
        half = vector(extent, "extent")
        if half.size not in (1, 2) or not bool((half > 0).all()):
            raise InputError(f"extent must be one or two positive numbers; found {half.tolist()}")
        half = np.broadcast_to(half, 2).copy()
        self._set(vector(origin, "origin"), vector(u, "u"), vector(v, "v"), -half, half)

    def _set(self, origin: np.ndarray, u: np.ndarray, v: np.ndarray, lo: np.ndarray, hi: np.ndarray) -> None:
        if not origin.size == u.size == v.size:
            raise InputError(f"origin, u and v must have as many numbers; found {origin.size}, {u.size} and {v.size}")
        if np.linalg.matrix_rank(np.stack([u, v])) < 2:
            raise InputError("u and v must span a plane: neither zero nor parallel")
        for name, value in (("origin", origin), ("u", u), ("v", v), ("lo", lo), ("hi", hi)):
            object.__setattr__(self, name, value)

    @classmethod
    def through(cls, a: Numbers, b: Numbers, c: Numbers, margin: float = 0.25) -> Plane:
        """The plane a + t₁ (b − a) + t₂ (c − a) with a at (0, 0), b at (1, 0), c at (0, 1), and a margin around them."""
        if not (np.isfinite(margin) and margin >= 0):
            raise InputError(f"margin must be a number ≥ 0; found {margin}")
        origin, first, second = vector(a, "a"), vector(b, "b"), vector(c, "c")
        if not origin.size == first.size == second.size:
            raise InputError(f"the three points must have as many numbers; found {origin.size}, {first.size}, {second.size}")
        plane = cls.__new__(cls)
        plane._set(origin, first - origin, second - origin, np.full(2, -margin), np.full(2, 1 + margin))
        return plane

    @property
    def dimension(self) -> int:
        """2."""
        return 2

    def embedding(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """origin, and u and v."""
        check_size(self.origin.size, shape, "the plane")
        return self.origin, np.stack([self.u, self.v])

    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """The rectangle of t."""
        return self.lo, self.hi


@dataclass(frozen=True)
class Space:
    """All of R^d, d the number of inputs: unbounded regions as they are, cut by no box.

    >>> Space(2).dimension
    2
    """

    d: int

    def __post_init__(self) -> None:
        if isinstance(self.d, bool) or not isinstance(self.d, int) or self.d < 1:
            raise InputError(f"a space has a whole number of dimensions, 1 or more; found {self.d!r}")

    @property
    def dimension(self) -> int:
        """d."""
        return self.d

    def embedding(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """The identity: t is x."""
        check_size(self.d, shape, "the space")
        return np.zeros(self.d), np.eye(self.d)

    def limits(self) -> None:
        """None: t is not limited."""
        return


def vector(numbers: Numbers, name: str) -> np.ndarray:
    """Finite numbers of any shape, flat in float64 (a copy).

    Raises InputError where they are not.
    """
    if isinstance(numbers, Tensor):
        numbers = numbers.detach().cpu().numpy()
    try:
        found = np.array(numbers, dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be numbers; {error}") from None
    if found.size == 0 or not bool(np.isfinite(found).all()):
        raise InputError(f"{name} must be finite numbers, at least one; found {np.array2string(found, threshold=6)}")
    return found


def check_size(found: int, shape: tuple[int, ...], what: str) -> None:
    """Raise InputError unless there are as many numbers as an input has."""
    expected = torch.Size(shape).numel()
    if found != expected:
        raise InputError(f"{what} has {found} coordinates, but an input of the network has {expected} ({tuple(shape)})")
