"""The decision boundary of a network inside the tropical hypersurface that contains it."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tropica.errors import InputError
from tropica.plots import style
from tropica.plots.clipped_hypersurface import clipped_hypersurface
from tropica.plots.hypersurface import draw_edges
from tropica.plots.label_polygons import label_polygons
from tropica.plots.polygons import draw_boundary, fill_labels
from tropica.regions.complex.region_complex import RegionComplex
from tropica.regions.domains.constructors import Box

PALE = 0.28
"""Weight of a label's color in its area's mixture with white, so that thin lines show."""
DASHED: dict[str, Any] = {"linewidths": 0.9, "linestyles": (0, (4, 2))}


def boundary_superset(cx: RegionComplex, superset: Any, *, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw a decision boundary, exact, and the tropical hypersurface that contains it (Proposition 6.1).

    Args:
        cx: the regions of a network on a Box with d = 2.
        superset: ``tp.boundary_superset(net)``, a tropical polynomial, or exponents (n, 2) and coefficients (n,) as a pair.
        ax: axes to draw on; a new figure by default.
        title: the title of the axes.

    Returns:
        The axes.

    Raises:
        InputError: a complex of another domain, a polynomial in a wrong number of variables.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> cx = tp.linear_regions(net, tp.Box(-1, 1, d=2))
    >>> tp.plots.boundary_superset(cx, tp.boundary_superset(net)).get_title()
    'decision boundary in its tropical superset'
    """
    if not isinstance(cx, RegionComplex) or not isinstance(cx.domain, Box) or cx.dimension != 2:
        found = f"{type(cx.domain).__name__}, d = {cx.dimension}" if isinstance(cx, RegionComplex) else type(cx).__name__
        raise InputError(f"the regions of a network on a Box with d = 2 are needed; found {found}")
    low, high = cx.domain.limits() or (np.zeros(2), np.ones(2))
    surface = clipped_hypersurface(superset, (2,), np.stack([low, high], 1))
    with style.applied():
        ax = style.axes(ax, 5.4, 3.6)
        areas = fill_labels(ax, *label_polygons(cx), share=PALE, outlined=0)
        draw_edges(ax, surface, weights=False, colors="#444444", **DASHED)
        exact = draw_boundary(ax, cx.boundary().pieces, width=1.9)
        style.set_plane(ax, low, high)
        dashed = Line2D([], [], color="#444444", linewidth=0.9, linestyle=(0, (4, 2)), label="tropical superset")
        style.legend_beside(ax, [exact, dashed, *areas])
        ax.set_title(title or "decision boundary in its tropical superset")
    return ax
