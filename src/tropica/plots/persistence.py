"""A persistence diagram: a point for each homology class, its birth against its death."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from tropica.errors import InputError
from tropica.plots import style
from tropica.regions.topology.persistence import PersistenceDiagram

NAMES = ("components", "tunnels", "voids", "3-dimensional holes", "4-dimensional holes")


def persistence(diagram: PersistenceDiagram, *, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw a persistence diagram: one marker a class, by dimension; classes that never end on a line of their own.

    Args:
        diagram: of :func:`tropica.persistence`.
        ax: axes to draw on; a new figure by default.
        title: the title of the axes; by default which sets they are.

    Returns:
        The axes.

    Raises:
        InputError: no persistence diagram.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> ax = tp.plots.persistence(tp.persistence(tp.linear_regions(net, tp.Box(-1, 2, d=1))))
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('birth', 'death')
    """
    if not isinstance(diagram, PersistenceDiagram):
        raise InputError(f"a diagram is needed, tp.persistence(cx); found {type(diagram).__name__}")
    lasts = ~np.isfinite(diagram.death)
    finite = np.concatenate([diagram.birth, diagram.death[~lasts]])
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    margin = 0.06 * (high - low) or 1.0
    ends = -1 if diagram.superlevel else 1
    line = high + 2 * margin if ends > 0 else low - 2 * margin
    with style.applied():
        ax = ax or style.axes(None, 3.9, 3.2)
        limits = (low - margin, high + margin)
        ax.plot(limits, limits, color="0.6", linewidth=0.8, zorder=1)
        if lasts.any():
            ax.axhline(line, color="0.6", linewidth=0.8, linestyle=":", zorder=1)
        for k in np.unique(diagram.dimension).tolist():
            own = diagram.dimension == k
            death = np.where(lasts[own], line, diagram.death[own])
            look = {"color": style.SERIES[k], "marker": style.marker(k), "s": 22.0, "linewidths": 0.5, "edgecolors": "white"}
            ax.scatter(diagram.birth[own], death, label=f"{NAMES[k]} ({int(own.sum()):,})", zorder=2 + k, **look)
        ax.set_xlim(*limits)
        ax.set_ylim(min(limits[0], line - margin), max(limits[1], line + margin))
        if lasts.any():
            ticks = [t for t in ax.get_yticks() if limits[0] <= t <= limits[1]]
            ax.set_yticks([*ticks, line], [*(f"{t:g}".replace("-", "−") for t in ticks), "∞" if ends > 0 else "−∞"])
        ax.set_xlabel("birth")
        ax.set_ylabel("death")
        ax.set_title(title or f"Homology of {'superlevel' if diagram.superlevel else 'sublevel'} sets")
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
    return ax
