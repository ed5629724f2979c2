"""Figure 2 of the TropEx paper: angle and distance between a point's own term and the active term."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from tropica.errors import InputError
from tropica.plots import style

FULL_SIZE = 1000
"""Number of points up to which marks have full size; for more points marks are smaller and fainter."""

Numbers = Tensor | Sequence[float] | Sequence[bool]


def angle_distance(
    angles: Numbers,
    distances: Numbers,
    right: Numbers,
    *,
    title: str = "",
    names: tuple[str, str] = ("right", "wrong"),
    ax: Axes | None = None,
) -> Axes:
    """Scatter the angle between linear coefficients against their distance, separately for right and wrong answers.

    Args:
        angles: (N,) degrees, of :func:`tropica.angles` between the test points' own terms and their active terms.
        distances: (N,) of :func:`tropica.distances`, on the same pairs.
        right: (N,) whether the extracted function gives the true label.
        title: the title of the axes, such as the network's name.
        names: the legend's words for points with and without ``right``.
        ax: axes to draw on; a new figure by default.

    Returns:
        The axes. The legend counts the points; points without an angle (all coefficients zero) are not drawn, but counted.

    Raises:
        InputError: the three have different lengths.

    >>> ax = angle_distance([80.0, 95.0], [1.0, 2.0], [True, False], title="FCN")
    >>> ax.get_xlabel(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('angle between coefficients (degrees)', ['right (1)', 'wrong (1)'])
    """
    angle, distance = (torch.as_tensor(x, dtype=torch.float64).cpu().numpy() for x in (angles, distances))
    answer = torch.as_tensor(right).bool().cpu().numpy()
    if not angle.ndim == distance.ndim == answer.ndim == 1 or not len(angle) == len(distance) == len(answer):
        shapes = ", ".join(str(x.shape) for x in (angle, distance, answer))
        raise InputError(f"angles, distances and right must each have one number per point; found shapes {shapes}")
    with style.applied():
        ax = style.axes(ax, 3.4, 2.8)
        drawn = np.isfinite(angle) & np.isfinite(distance)
        fine = min(1.0, (FULL_SIZE / max(1, len(angle))) ** 0.5)
        looks: tuple[dict[str, Any], ...] = (
            {"marker": "o", "s": 11 * fine, "c": style.RIGHT, "alpha": 0.45 * fine, "linewidths": 0, "zorder": 2},
            {"marker": "x", "s": 13 * fine, "c": style.WRONG, "alpha": 0.6 * fine, "linewidths": 0.8, "zorder": 3},
        )
        for name, which, look in zip(names, (drawn & answer, drawn & ~answer), looks, strict=True):
            label = f"{name} ({int(which.sum()):,})"
            ax.scatter(angle[which], distance[which], label=label, rasterized=fine < 0.5, **look)
        _set_axes(ax, float(angle[drawn].max(initial=0.0)))
        ax.set_title(title)
        missing = int((~drawn).sum())
        legend = ax.legend(title=f"{missing} not drawn (no direction)" if missing else None, handletextpad=0.2)
        for handle, size in zip(legend.legend_handles, (11, 16), strict=True):
            handle.set(alpha=1, sizes=[size])  # type: ignore[union-attr]
    return ax


def _set_axes(ax: Axes, largest: float) -> None:
    """Set labels, a line at 90° and limits that start at zero, so that panels are comparable."""
    ax.axvline(90, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    ax.set_xlim(0, min(180.0, max(105.0, largest + 5)))
    ax.set_xticks(range(0, int(ax.get_xlim()[1]) + 1, 30))
    ax.margins(y=0.08)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("angle between coefficients (degrees)")
    ax.set_ylabel("distance of coefficients\n(logit per unit of input)")
