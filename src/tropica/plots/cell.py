"""The cell of one point: as a polygon for two inputs, else by its coefficients, its borders and its nearest change of label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Circle, Polygon

from tropica.plots import style
from tropica.plots.pictures import coefficient_limit, draw_coefficients, draw_point

if TYPE_CHECKING:
    from tropica.queries.cell import Cell

WINDOW = 6.0
"""Half the side of the window around an unbounded cell, in units of the distance from the point to the nearest facet."""
BINS = 30


def cell(r: Cell, *, ax: Figure | SubFigure | None = None, title: str = "") -> np.ndarray:
    """Draw the cell of a point.

    For two inputs: the cell in its surroundings, the point, and the largest circle around the point inside the cell. For more:
    the point, the coefficients of its label's output on the cell, how far the hyperplanes of each nonlinearity are, and the
    shortest step inside the closed cell to another label, if there is one.

    Args:
        r: the cell, ``tp.cell(net, x)``.
        ax: a figure or subfigure to draw in; a new figure by default.
        title: the title; by default the numbers of inequalities and dimensions.

    Returns:
        The axes.

    >>> import torch, tropica as tp
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3)).eval()
    >>> net = tp.trace(model, torch.zeros(2, 2))
    >>> tp.plots.cell(tp.cell(net, [0.3, 0.2])).shape
    (1,)
    """
    with style.applied():
        small = r.dimension == 2
        figure: Any = ax if ax is not None else style.shown_figure(3.8 if small else style.PAPER_WIDTH, 3.4 if small else 2.3)
        figure.suptitle(title or f"{style.plural(len(r.borders), 'inequality', 'inequalities')} in {r.dimension:,} dimensions")
        axes = [figure.add_subplot()] if small else list(np.atleast_1d(figure.subplots(1, 4)))
        if small:
            _draw_polygon(axes[0], r)
        else:
            _draw_panels(axes, r)
    found = np.empty(len(axes), dtype=object)
    found[:] = axes
    return found


def _draw_polygon(ax: Axes, r: Cell) -> None:
    A, b = r.halfspaces
    x, distance = r.point.ravel(), float(r.distance())
    reach = WINDOW * distance if np.isfinite(distance) else 1.0
    corners = r.vertices.reshape(-1, 2)
    if len(corners) and not r.exact_faces().bounded:
        reach = max(reach, 1.2 * float(np.abs(corners - x).max()))
    elif len(corners):
        reach = 1.25 * float(np.abs(corners - x).max())
    low, high = x - reach, x + reach
    inside = _clipped(A, b, low, high)
    ax.add_patch(Polygon(inside, facecolor=style.mixed(style.BLUE, 0.18), edgecolor=style.BLUE, linewidth=1.2))
    for row, bound in zip(A, b, strict=True):
        if float(np.abs(row).max()) > 0:
            near, along = row * (bound / float(row @ row)), np.array([-row[1], row[0]])
            ax.axline((near[0], near[1]), (near[0] + along[0], near[1] + along[1]), color="0.8", linewidth=0.5, zorder=0)
    if np.isfinite(distance):
        ax.add_patch(Circle((x[0], x[1]), distance, fill=False, edgecolor=style.VERMILION, linestyle="--", linewidth=0.9))
    ax.plot(*x, "o", color=style.BLACK, markersize=4)
    style.set_plane(ax, low, high)


def _clipped(A: np.ndarray, b: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The corners (n, 2) of the part of a window that half-planes leave, for drawing (Sutherland and Hodgman)."""
    corners = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    for row, bound in zip(A, b, strict=True):
        if not len(corners):
            break
        value = corners @ row - bound
        after, ahead = np.roll(corners, -1, 0), np.roll(value, -1)
        kept: list[np.ndarray] = []
        for p, q, u, v in zip(corners, after, value, ahead, strict=True):
            if u <= 0:
                kept.append(p)
            if u * v < 0:
                kept.append(p + (q - p) * (u / (u - v)))
        corners = np.array(kept).reshape(-1, 2)
    return corners


def _draw_panels(axes: list[Axes], r: Cell) -> None:
    """The point, the coefficients of its label, the distances of all hyperplanes, and the step to another label."""
    x, out = r.point, r.outputs
    label = out.label(x.ravel())
    weight = out.weight[label if len(out.weight) > 1 else 0].reshape(x.shape)
    axes[0].set_title("point")
    draw_point(axes[0], torch.from_numpy(x))
    axes[1].set_title(f"coefficients of label {label}")
    shown = torch.from_numpy(weight)
    draw_coefficients(axes[1], shown, coefficient_limit(shown))
    _draw_distances(axes[2], r)
    step = r.distance(to="label")
    if step.point is None:
        axes[3].set_axis_off()
        axes[3].set_title("no other label in the cell")
        return
    axes[3].set_title(f"step to label {step.to}\nlength {float(step):.3g}")
    change = torch.from_numpy(step.point - x)
    draw_coefficients(axes[3], change, coefficient_limit(change))


def _draw_distances(ax: Axes, r: Cell) -> None:
    """How far the hyperplanes are, a histogram for each nonlinearity."""
    A, b = r.halfspaces
    norm = np.linalg.norm(A, axis=1)
    keep = norm > 0
    far = (b - A @ r.point.ravel())[keep] / norm[keep]
    names = [name.partition("[")[0] for name, kept in zip(r.halfspaces.units, keep.tolist(), strict=True) if kept]
    groups = list(dict.fromkeys(names))
    positive = far > 0
    ax.set_title("distances of hyperplanes")
    if positive.any():
        edges = np.geomspace(far[positive].min(), far[positive].max() * 1.0001, BINS)
        parts = [far[positive & (np.array(names) == group)] for group in groups]
        colors = [style.SERIES[i % len(style.SERIES)] for i in range(len(groups))]
        ax.hist(parts, bins=edges.tolist(), stacked=True, color=colors, label=groups)
        ax.set_xscale("log")
        if len(groups) <= 6:
            ax.legend(fontsize=6)
    ax.set_xlabel("l2 distance")
