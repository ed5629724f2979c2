"""Polygons in the colors of their labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from tropica.errors import InputError
from tropica.plots import style
from tropica.plots.polygons import OUTLINED, draw_boundary, fill_labels, scatter_points


def label_map(
    polygons: Sequence[np.ndarray],
    labels: np.ndarray,
    window: np.ndarray,
    *,
    boundary: Sequence[np.ndarray] = (),
    points: np.ndarray | None = None,
    point_labels: np.ndarray | None = None,
    size: float = 26.0,
    title: str = "",
    written: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw convex polygons in the color of their labels, the decision boundary on top of them, and points on top of that.

    Args:
        polygons: P arrays (V, 2) of corners, in order.
        labels: (P,) integers.
        window: (2, 2) the lower and the upper corner of the picture.
        boundary: segments (2, 2) of the decision boundary.
        points, point_labels: points (N, 2) and their labels (N,); each label has a marker and a color.
        size: the size of a marker, in square points; smaller for many points.
        title: the title of the axes.
        written: write each label on its largest polygon; points show it where there are many polygons.
        ax: axes to draw on; a new figure by default.

    Returns:
        The axes, without a legend: ``ax.get_legend_handles_labels()`` has the points.

    Raises:
        InputError: no polygon, or a wrong number of labels.

    >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> ax = label_map([square], np.array([3]), np.array([[0.0, 0.0], [1.0, 1.0]]), title="N")
    >>> ax.get_title(), [text.get_text() for text in ax.texts]
    ('N', ['3'])
    """
    if not len(polygons) or len(polygons) != len(labels):
        raise InputError(
            f"at least one polygon is needed, and a label for each; found {len(labels)} labels for {len(polygons)}"
        )
    with style.applied():
        ax = style.axes(ax, 3.4, 3.4)
        fill_labels(ax, polygons, np.asarray(labels), outlined=10 * OUTLINED, written=written)
        if len(boundary):
            draw_boundary(ax, boundary)
        if points is not None:
            scatter_points(ax, points, point_labels, (window[0], window[1]), size=size)
        style.set_plane(ax, window[0], window[1])
        ax.set_title(title)
    return ax
