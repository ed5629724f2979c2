"""Figure 1 of Zhang, Naitzat and Lim (ICML 2018): a tropical quadratic curve and its dual subdivision.

python examples/figure1.py [picture.png]
"""

from __future__ import annotations

import sys

import tropica as tp
from tropica.plots import style
from tropica.plots.hypersurface import curve_and_dual


def main(picture: str | None = None) -> tp.TropicalPolynomial:
    """Print the numbers; draw the figure where a file is named."""
    f = tp.TropicalPolynomial({(2, 0): 1, (0, 2): 1, (1, 1): 2, (1, 0): 2, (0, 1): 2, (0, 0): 2})
    print("f =", f)
    print(len(f.essential()), "of", len(f), "monomials are essential")
    curve = f.hypersurface()
    print("vertices of the curve:", [tuple(map(str, v)) for v in curve.vertices.tolist()])
    print(len(curve.bounded(1)), "bounded edges,", len(curve.unbounded(1)), "rays")
    print("cells of the dual subdivision:", f.dual_subdivision().cells)
    if picture:
        with style.applied():
            figure = style.figure(6.5, 3.2)
            left, right = figure.subplots(1, 2)
            curve_and_dual(f, axes=(left, right))
            figure.savefig(picture)
    return f


if __name__ == "__main__":
    main(*sys.argv[1:2])
