"""The bent hyperplanes of a network's units, colored by depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from tropica.errors import InputError
from tropica.plots import style
from tropica.regions.complex.region_complex import RegionComplex


def units(cx: RegionComplex, *, only: Sequence[str] | None = None, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw where each unit of a network bends: lines that bend themselves where they cross those of earlier layers.

    Args:
        cx: the complex of a polytope of dimension 2, as a Box with d = 2 or a Plane.
        only: names of nonlinearities (``cx.facets.names``); all by default.
        ax: axes to draw on; a new figure by default.
        title: the title of the axes; by default the number of units that bend in the domain.

    Returns:
        The axes.

    Raises:
        InputError: a complex of another domain or dimension, or a name that is none of a nonlinearity.

    >>> import torch, tropica as tp
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1)).eval()
    >>> cx = tp.linear_regions(tp.trace(model, torch.zeros(2, 2)), tp.Box(-2, 2, d=2))
    >>> tp.plots.units(cx).get_xlabel()
    'x₁'
    """
    if not isinstance(cx, RegionComplex):
        raise InputError(f"a complex is needed, tp.linear_regions(net, domain); found {type(cx).__name__}")
    limits = cx.domain.limits()
    if cx.dimension != 2 or limits is None:
        found = f"{type(cx.domain).__name__} of dimension {cx.dimension}"
        raise InputError(f"units are drawn for polytopes of dimension 2, as a Box or a Plane; this complex is of a {found}")
    facets = cx.facets
    if only is not None and (unknown := [name for name in only if name not in facets.names]):
        raise InputError(f"there is no nonlinearity {unknown[0]!r}; there are: {', '.join(facets.names)}")
    shown = [k for k, name in enumerate(facets.names) if only is None or name in only]
    colors = _colors(len(facets.names))
    with style.applied():
        ax = ax or _new_axes(*limits)
        handles: list[Any] = []
        count = 0
        for k in reversed(shown):  # the first layers, which are the longest lines, on top
            own = np.flatnonzero(facets.depth == k)
            width = 1.3 if len(own) < 2000 else 0.5
            lines = [facets.pieces[i] for i in own.tolist()]
            ax.add_collection(LineCollection(lines, colors=[colors[k]], linewidths=width, zorder=3), autolim=False)
            bends = len(np.unique(facets.unit[own]))
            count += bends
            handles.insert(0, Line2D([], [], color=colors[k], linewidth=1.6, label=f"{facets.names[k]} ({bends})"))
        name = "x" if np.array_equal(cx.domain.basis, np.eye(2)) else "t"
        style.set_plane(ax, *limits, (f"{name}₁", f"{name}₂"))
        ax.set_title(title or style.plural(count, "unit"))
        style.legend_beside(ax, handles, None)
    return ax


def _colors(depths: int) -> np.ndarray:
    """A color for each depth, from early and dark to late and light."""
    return matplotlib.colormaps["viridis"](np.linspace(0.0, 0.85, max(depths, 1)))


def _new_axes(low: np.ndarray, high: np.ndarray) -> Axes:
    wide, tall = 3.2 * (high - low) / (high - low).max()
    return style.shown_figure(0.8 + wide + 1.5, 0.6 + tall).add_subplot()
