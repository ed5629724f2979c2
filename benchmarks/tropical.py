"""Tropical geometry: overlay cells of random tropical rationals, essential monomials, zonotopes; seconds, and Qhull's share.

One core. Process time, median of five rounds. "Qhull s" is one call on the same numbers in float64, without any check: the
floor. Overlays: exponents uniform in the unit cube, or whole numbers below 30, or normal; coefficients
normal. In two more rows all monomials are essential (coefficients −|exponent|²).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from rich.table import Table
from scipy.spatial import ConvexHull

from tropica.polyhedra.overlay import overlay_cells
from tropica.polyhedra.upper_hull import essential
from tropica.polyhedra.zonotope import Zonotope

ROUNDS = 5
BARS = {3: 0.1, 4: 2.0}
"""Seconds that the cells of 1,000 and 1,000 monomials may take, by variables."""
Configuration = tuple[np.ndarray, np.ndarray]


def random_polynomial(kind: str, n: int, d: int, rng: np.random.Generator) -> Configuration:
    """Exponents (n, d) and coefficients (n,)."""
    if kind == "whole":
        return rng.integers(0, 30, (n, d)), rng.normal(size=n)
    points = rng.normal(size=(n, d)) if kind == "normal" else rng.random((n, d))
    return points, -(points**2).sum(1) if kind == "all essential" else rng.normal(size=n)


def seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Median process time."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return statistics.median(found)


def hull_alone(first: Configuration, second: Configuration | None = None) -> float:
    """Seconds of Qhull for the lifted essential points of both configurations, side by side; or for all points of one."""
    if second is None:
        lifted = np.concatenate([first[0], first[1][:, None]], 1)
    else:
        parts = [(p[chosen := essential(p, h)], h[chosen]) for p, h in (first, second)]
        lifted = np.concatenate([np.c_[p, np.full(len(p), i), h] for i, (p, h) in enumerate(parts)])
    options = "Qt Qx" if lifted.shape[1] > 4 else "Qt"
    return seconds(lambda: ConvexHull(lifted.astype(np.float64), qhull_options=options), 3)


def overlays() -> Table:
    """The table of overlays."""
    table = Table(title="Cells of the common refinement of two random tropical polynomials")
    for heading in ("variables", "monomials", "exponents", "essential", "cells", "s", "Qhull s", "ratio", "bar s"):
        table.add_column(heading, justify="right")
    cases = [(d, 1000, kind) for d in (3, 4) for kind in ("uniform", "whole", "normal")]
    cases += [(2, 1000, "all essential"), (3, 300, "all essential")]
    for d, n, kind in cases:
        rng = np.random.default_rng(0)
        first, second = (random_polynomial(kind, n, d, rng) for _ in range(2))
        took, floor = seconds(lambda a=first, b=second: overlay_cells(*a, *b)), hull_alone(first, second)
        sizes = " + ".join(str(len(essential(*f))) for f in (first, second))
        bar = f"{BARS[d]:g}" if n == 1000 and d in BARS else "–"
        cells = overlay_cells(*first, *second)
        row = (f"{d}", f"{n} + {n}", kind, sizes, f"{cells}", f"{took:.3f}", f"{floor:.3f}", f"{took / floor:.1f}", bar)
        table.add_row(*row)
    return table


def pruning() -> Table:
    """The table of essential monomials."""
    table = Table(title="Essential monomials")
    for heading in ("variables", "monomials", "coefficients", "essential", "s", "Qhull s", "ratio"):
        table.add_column(heading, justify="right")
    for d, n, kind in ((2, 10_000, "normal"), (2, 10_000, "all essential"), (3, 3_000, "all essential"), (4, 1_000, "normal")):
        f = random_polynomial("uniform" if kind == "normal" else kind, n, d, np.random.default_rng(0))
        took, floor = seconds(lambda f=f: essential(*f)), hull_alone(f)
        row = (f"{d}", f"{n:,}", kind, f"{len(essential(*f))}", f"{took:.3f}", f"{floor:.3f}", f"{took / floor:.1f}")
        table.add_row(*row)
    return table


def zonotopes() -> Table:
    """The table of zonotopes."""
    table = Table(title="Vertices of zonotopes with normal generators")
    for heading in ("d", "generators", "vertices", "formula", "s"):
        table.add_column(heading, justify="right")
    for d, m in ((3, 10), (3, 14), (4, 12), (5, 12)):
        g = np.random.default_rng(0).normal(size=(m, d))
        took = seconds(lambda g=g: Zonotope(g).signs, 3)
        table.add_row(f"{d}", f"{m}", f"{len(Zonotope(g).vertices)}", f"{Zonotope.most_vertices(m, d)}", f"{took:.3f}")
    return table


def main() -> None:
    """Print the tables."""
    from benchmarks.report import show

    show(overlays(), "overlays")
    show(pruning(), "essential")
    show(zonotopes(), "zonotopes")


if __name__ == "__main__":
    main()
