"""``python -m benchmarks.published``: published values of other systems, computed here, in ``docs/published.md``.

``tests/tropical/test_published.py`` computes them again, and compares the values of the page.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

import tropica as tp
from tropica.polyhedra import Zonotope
from tropica.polyhedra.arrangements import Arrangement

PAGE = Path(__file__).parents[1] / "docs" / "published.md"


@dataclass(frozen=True)
class Published:
    """A published value: where, of what, and how it is computed here."""

    system: str
    example: str
    value: str
    compute: Callable[[], object]


def cyclic(n: int) -> list[list[list[int]]]:
    """The supports of cyclic n-roots."""
    rows = [[[int((j - i) % n < k) for j in range(n)] for i in range(n)] for k in range(1, n)]
    return [*rows, [[0] * n, [1] * n]]


def katsura(n: int) -> list[list[list[int]]]:
    """The supports of Katsura-n, in n + 1 variables."""
    e = np.eye(n + 1, dtype=int)
    out = []
    for m in range(n):
        pairs = {tuple((e[abs(k)] + e[abs(m - k)]).tolist()) for k in range(-n, n + 1) if abs(m - k) <= n}
        out.append([list(row) for row in sorted({*pairs, tuple(e[m].tolist())})])
    return [*out, [*e.tolist(), [0] * (n + 1)]]


def honeycomb(degree: int) -> tp.TropicalPolynomial:
    """The curve of a degree whose dual is the standard triangulation."""
    return tp.TropicalPolynomial({(i, j): -(i * i + i * j + j * j) for i in range(degree + 1) for j in range(degree + 1 - i)})


def min_conic() -> tp.MinPlusPolynomial:
    """min(2 + 2x, x + y, 2 + 2y, x, y − 1, 3)."""
    found = tp.parse_tropical("min(2 + 2*x, x + y, 2 + 2*y, x, y - 1, 3)")
    assert isinstance(found, tp.MinPlusPolynomial)
    return found


def counts_of_min_conic() -> str:
    """Vertices, bounded edges, rays, cells of the dual."""
    curve = min_conic().hypersurface()
    return f"{len(curve.vertices)}, {len(curve.bounded(1))}, {len(curve.unbounded(1))}, {len(curve.subdivision.cells)}"


def icosahedral_regions() -> int:
    """The regions of the 15 mirrors of the icosahedron, √5 as a float."""
    golden = (1 + 5**0.5) / 2
    slanted = [np.roll((1, a * golden, b / golden), k) for a in (1, -1) for b in (1, -1) for k in range(3)]
    return len(Zonotope(np.concatenate([np.eye(3), slanted]), tolerance=1e-12).signs)


def univariate_roots() -> str:
    """The roots of x³ ⊕ 4 ⊙ x ⊕ 1 with multiplicities."""
    return ", ".join(f"{r.value} ({r.multiplicity})" for r in tp.TropicalPolynomial([1, 4, None, 0]).roots())


def cubic_of_singular() -> tp.MinPlusPolynomial:
    """The valuations of t (x³ + y³ + 1) + t⁻¹ (x² + y² + x + y + x²y + xy²) + t⁻² xy."""
    corners, sides = [(3, 0), (0, 3), (0, 0)], [(2, 0), (0, 2), (1, 0), (0, 1), (2, 1), (1, 2)]
    return tp.MinPlusPolynomial({**dict.fromkeys(corners, 1), **dict.fromkeys(sides, -1), (1, 1): -2})


def vertices_of_sage() -> str:
    """The vertices of min(−2 + 2x, −1 + x, 1/2 + y, 1/6)."""
    found = tp.MinPlusPolynomial({(2, 0): -2, (1, 0): -1, (0, 1): "1/2", (0, 0): "1/6"}).hypersurface().vertices
    return ", ".join(f"({x}, {y})" for x, y in sorted(found.tolist()))


def edges_of_sage() -> int:
    """The number of edges of the surface of min(x, y, z, 2x, 1)."""
    return len(
        tp.MinPlusPolynomial({(1, 0, 0): 0, (0, 1, 0): 0, (0, 0, 1): 0, (2, 0, 0): 0, (0, 0, 0): 1}).hypersurface().faces(1)
    )


def planes_of_oscar() -> str:
    """The dimensions of the stable intersections of two and of three copies of the plane of min(x, y, z)."""
    plane = tp.MinPlusPolynomial({(1, 0, 0): 0, (0, 1, 0): 0, (0, 0, 1): 0})
    return f"{tp.stable_intersection(plane, plane).dimension}, {tp.stable_intersection(plane, plane, plane).dimension}"


def determinant_of_oscar(convention: Literal["min", "max"]) -> str:
    """The tropical determinant of [1 2; 3 5]."""
    return f"{tp.tropical.matrices.determinant([[1, 2], [3, 5]], convention=convention):g}"


VALUES = [
    *(
        Published("PHCpack, MixedVol", f"mixed volume of cyclic-{n}", f"{value}", lambda n=n: tp.mixed_volume(*cyclic(n)))
        for n, value in ((5, 70), (6, 156), (7, 924))
    ),
    *(
        Published("PHCpack", f"mixed volume of Katsura-{n}", f"{value}", lambda n=n: tp.mixed_volume(*katsura(n)))
        for n, value in ((1, 2), (2, 2), (3, 6), (4, 12))
    ),
    *(
        Published(
            "Li and Wang 1996",
            f"affine root count of Katsura-{n}",
            f"{2**n}",
            lambda n=n: tp.mixed_volume(*katsura(n), roots="affine"),
        )
        for n in (1, 2, 3, 4)
    ),
    Published("Sage", "min-plus conic: vertices, bounded edges, rays, dual cells", "4, 3, 6, 4", counts_of_min_conic),
    Published("Sage", "roots of [1, 4, None, 0], max-plus, with multiplicities", "-3 (1), 2 (2)", univariate_roots),
    Published("Sage", "vertices of −2 x² + −1 x + 1/2 y + 1/6, min-plus", "(1, -1/2), (7/6, -1/3)", vertices_of_sage),
    Published("Sage", "edges of the surface of x + y + z + x² + 1, min-plus", "7", edges_of_sage),
    Published("OSCAR", "determinant of [1 2; 3 5], min-plus", "5", lambda: determinant_of_oscar("min")),
    Published("OSCAR", "determinant of [1 2; 3 5], max-plus", "6", lambda: determinant_of_oscar("max")),
    Published(
        "OSCAR", "a plane with itself, stably: dimension of two and of three copies (−1: empty)", "1, -1", planes_of_oscar
    ),
    Published(
        "Singular",
        "j-invariant of t(x³+y³+1) + (x²+y²+x+y+x²y+xy²)/t + xy/t²",
        "6",
        lambda: cubic_of_singular().hypersurface().j_invariant(),
    ),
    Published(
        "by hand",
        "j-invariant of the honeycomb cubic, a hexagon of unit sides",
        "6",
        lambda: honeycomb(3).hypersurface().j_invariant(),
    ),
    Published(
        "genus formula", "genus of the honeycomb quartic, (d − 1)(d − 2)/2", "3", lambda: honeycomb(4).hypersurface().genus()
    ),
    Published(
        "Mikhalkin", "vertices of the honeycomb of degree 40", "1600", lambda: len(honeycomb(40).hypersurface().vertices)
    ),
    Published("Zaslavsky 1975", "regions of the braid arrangement, n = 4", "24", lambda: Arrangement.braid(4).regions),
    Published("Zaslavsky 1975", "regions of the braid arrangement, n = 6", "720", lambda: Arrangement.braid(6).regions),
    Published("Stanley", "regions of the Catalan arrangement, n = 5", "5040", lambda: Arrangement.catalan(5).regions),
    Published(
        "Kamiya et al. 2012", "regions of the resonance arrangement, n = 4", "370", lambda: Arrangement.resonance(4).regions
    ),
    Published(
        "Postnikov and Stanley", "regions of the Linial arrangement, n = 5", "246", lambda: Arrangement.linial(5).regions
    ),
    Published("Shi", "regions of the Shi arrangement, n = 5", "1296", lambda: Arrangement.shi(5).regions),
    Published("Stanley", "regions of the threshold arrangement, n = 4", "46", lambda: Arrangement.threshold(4).regions),
    Published("zonohedra", "regions of the mirrors of the icosahedron", "120", icosahedral_regions),
    Published(
        "Hinz 2021",
        "bound for widths (4, 6, 4)",
        "805",
        lambda: tp.bounds.hinz2019((4, 6, 4), tp.bounds.gamma_hinz2021),
    ),
    Published(
        "Hinz 2021",
        "bound of 139,920; the widths (3, 5, 7, 9) were found by search",
        "139920",
        lambda: tp.bounds.hinz2019((3, 5, 7, 9), tp.bounds.gamma_hinz2021),
    ),
    Published(
        "Hinz 2021",
        "bound for widths (8, 8, 8, 8, 8, 8)",
        "115383335044",
        lambda: tp.bounds.hinz2019((8,) * 6, tp.bounds.gamma_hinz2021),
    ),
    Published(
        "TropicalNN.jl",
        "Hoffman constant, squared, of the tropical line",
        "2",
        lambda: tp.tropical.polynomial_hoffman_constant(tp.TropicalPolynomial({(1, 0): 0, (0, 1): 0, (0, 0): 0})).squared,
    ),
]


def table() -> list[str]:
    """The rows of the page's table."""
    lines = ["| system or paper | example | published | here | seconds |", "|---|---|---|---|---|"]
    for row in VALUES:
        start = time.process_time()
        found = row.compute()
        seconds = time.process_time() - start
        lines.append(f"| {row.system} | {row.example} | {row.value} | {found} | {seconds:.2g} |")
    return lines


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    VALUES[0].compute()  # imports are not timed
    lines = "\n".join(table()) + "\n"
    head, _, _ = PAGE.read_text(encoding="utf8").partition("| system or paper")
    PAGE.write_text(head + lines, encoding="utf8")
    print(lines, end="")
