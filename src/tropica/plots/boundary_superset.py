"""The decision boundary of a network inside the tropical hypersurface that contains it."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke

from tropica.errors import InputError
from tropica.plots import style
from tropica.plots.clipping import Drawn
from tropica.plots.hypersurface import curve_lines, frame
from tropica.plots.regions import label_parts
from tropica.regions.complex import RegionComplex
from tropica.regions.domains import Box


def boundary_superset(cx: RegionComplex, superset: Any, *, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw a decision boundary, exact, and the tropical hypersurface that contains it (Proposition 6.1).

    Args:
        cx: the regions of a network on a Box with d = 2.
        superset: ``tp.boundary_superset(net)``, a tropical polynomial, or exponents (n, 2) and coefficients (n,) as a pair.
        ax: where to draw; new axes by default.
        title: of the axes.

    Returns:
        The axes.

    Raises:
        InputError: a complex of another domain, a polynomial in another number of variables.
    """
    if not isinstance(cx, RegionComplex) or not isinstance(cx.domain, Box) or cx.dimension != 2:
        found = f"{type(cx.domain).__name__}, d = {cx.dimension}" if isinstance(cx, RegionComplex) else type(cx).__name__
        raise InputError(f"the regions of a network on a Box with d = 2 are needed; found {found}")
    low, high = cx.domain.limits() or (np.zeros(2), np.ones(2))
    drawn = Drawn(superset, (2,), np.stack([low, high], 1))
    with style.applied():
        ax = ax or style.shown_figure(5.4, 3.6).add_subplot()
        polygons, label = label_parts(cx)
        colors = [_pale(int(k)) for k in label]
        ax.add_collection(PolyCollection(polygons, facecolors=colors, edgecolors=colors, linewidths=0.3, zorder=0))
        curve_lines(ax, drawn, colors="#444444", linewidths=0.9, linestyles=(0, (4, 2)), zorder=2)
        casing = [Stroke(linewidth=3.4, foreground="white"), Normal()]
        pieces = cx.boundary().pieces
        ax.add_collection(LineCollection(pieces, colors=style.BLACK, linewidths=1.9, path_effects=casing, zorder=3))
        frame(ax, drawn)
        handles: list[Any] = [
            Line2D([], [], color=style.BLACK, linewidth=1.9, label="decision boundary"),
            Line2D([], [], color="#444444", linewidth=0.9, linestyle=(0, (4, 2)), label="tropical superset"),
        ]
        names = np.unique(label).tolist()
        handles += [Patch(facecolor=_pale(k), label=f"label {k}") for k in names]
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
        ax.set_title(title or "decision boundary in its tropical superset")
    return ax


def _pale(label: int) -> tuple[float, float, float]:
    """The color of a label, so pale that thin lines show."""
    red, green, blue = style.label_color(label, faint=True)
    return (1 + red) / 2, (1 + green) / 2, (1 + blue) / 2
