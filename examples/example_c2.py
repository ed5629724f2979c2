"""The worked example of Zhang, Naitzat and Lim (ICML 2018, supplement C.2): a 2-5-1 network, its polynomials and its regions.

python examples/example_c2.py [picture.png]
"""

from __future__ import annotations

import sys

import torch
from torch import nn

import tropica as tp
from tropica.plots import style
from tropica.plots.hypersurface import curve_and_dual
from tropica.tropical.overlay import overlay


def network(last: bool = True) -> nn.Sequential:
    """The network, with a ReLU on its output or without."""
    model = nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 1), *([nn.ReLU()] if last else [])).double()
    weights = [[[-1, 1], [1, -3], [1, 2], [-4, 1], [3, 2]], [1, -1, 2, 0, -2], [[1, 2, 1, -1, -3]], [0]]
    with torch.no_grad():
        for parameter, numbers in zip(model.parameters(), weights, strict=True):
            parameter.copy_(torch.tensor(numbers))
    return model.eval()


def main(picture: str | None = None) -> dict[str, tuple[int, int, int]]:
    """Print the numbers; draw the curve of F with its dual where a file is named."""
    h = tp.to_tropical(network(last=False))[0].f
    f, g = (lambda r: (r.f, r.g))(tp.to_tropical(network())[0])
    for name, p in {"G": g, "H": h, "F": f}.items():
        curve = p.hypersurface()
        corners = sorted(map(tuple, p.newton_polytope().vertices.tolist()))
        edges, rays = len(curve.bounded(1)), len(curve.unbounded(1))
        print(f"{name}: {len(p)} upper vertices; curve: {len(curve.vertices)} vertices, {edges} bounded edges, {rays} rays")
        print("   Newton polygon:", corners)
    print("F =", f)
    print("vertices of T(F):", sorted(tuple(map(str, v)) for v in f.hypersurface().vertices.tolist()))
    (polytopes,) = tp.zonotopes(network())
    print(f"P(G) is a zonotope of dimension {polytopes.g.dimension} in ℝ³, P(H) one of dimension {polytopes.h.dimension}")
    counts: dict[str, tuple[int, int, int]] = {}
    for name, last in {"linear output": False, "ReLU output": True}.items():
        model = network(last)
        cx = tp.linear_regions(tp.trace(model, torch.zeros(2, 2, dtype=torch.float64)), tp.Space(2))
        cells = overlay(tp.to_tropical(model))
        counts[name] = len(cx.cells), len(cx.regions), len(cells)
        print(
            f"{name}: {len(cx.cells)} activation cells, {len(cx.regions)} linear regions, {len(cells)} cells of T(F) and T(G)"
        )
    print("the bound of Theorem 6.3:", tp.bounds.zhang2018((2, 5)))
    if picture:
        with style.applied():
            figure = style.figure(7.0, 3.4)
            left, right = figure.subplots(1, 2)
            curve_and_dual(f, axes=(left, right))
            figure.savefig(picture)
    return counts


if __name__ == "__main__":
    main(*sys.argv[1:2])
