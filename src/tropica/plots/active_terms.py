"""Active terms as images: a test point, the deciding training point, and the coefficients of both terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from tropica.errors import InputError
from tropica.plots import style
from tropica.plots.pictures import coefficient_limit, draw_coefficients, draw_point
from tropica.terms.linear_terms import AffineTerms

COLUMNS = ("test point", "coefficients\nat test point", "deciding\ntraining point", "coefficients of\nactive term")


def active_terms(
    points: Tensor,
    local: AffineTerms,
    deciding_points: Tensor,
    active: AffineTerms,
    captions: Sequence[tuple[str, str, str, str]],
    right: Sequence[bool] | Tensor,
    *,
    title: str = "",
    ax: Any = None,
) -> np.ndarray:
    """Draw a row for each test point: its image, its own linear coefficients, the deciding point, the active term.

    Args:
        points: (R, *input_shape) test points; images (C, H, W) in [0, 1], or signals (…, L), which become lines.
        local: R terms, each N_i on the linear region of its test point.
        deciding_points: (R, *input_shape) the training points that the active terms came from.
        active: R terms, those of the deciding points.
        captions: (R, 4) short texts, one below each picture (such as the labels of truth, network and terms).
        right: (R,) whether the extracted function gives the true label.
        title: the title of the figure.
        ax: axes (R, 4) to draw on, as ``figure.subplots(R, 4)`` returns them; a new figure by default.

    Returns:
        The axes (R, 4). The two pictures of coefficients in a row share one scale, symmetric about 0, with a color bar at
        the row's end; coefficients of color images are summed over the channels (the effect of gray light).

    Raises:
        InputError: no rows, different numbers of points, terms, captions and answers, or a wrong number of axes.

    >>> import torch
    >>> terms = AffineTerms(torch.randn(1, 64), torch.zeros(1), (1, 8, 8))
    >>> texts = [("true 3", "network 3", "point 7", "extracted 3")]
    >>> active_terms(torch.rand(1, 1, 8, 8), terms, torch.rand(1, 1, 8, 8), terms, texts, [True]).shape
    (1, 4)
    """
    rows = len(points)
    parts = {"local": local, "deciding_points": deciding_points, "active": active, "captions": captions, "right": right}
    if not rows or any(len(part) != rows for part in parts.values()):
        found = ", ".join(f"{len(part)} of {name}" for name, part in parts.items())
        raise InputError(
            f"at least one point is needed, and one entry per point in every other argument; found {rows} points, {found}"
        )
    with style.applied():
        axes = style.axes_grid(ax, (rows, 4), 0.5 * style.PAPER_WIDTH, 1.05 * rows + 0.4, title)
        own, deciding = (side.image(points.shape[1:]) for side in (local, active))
        for row in range(rows):
            pictures = (points[row], own[row], deciding_points[row], deciding[row])
            _draw_row(axes[row], pictures, captions[row], bool(right[row]))
        for column, name in zip(axes[0], COLUMNS, strict=True):
            column.set_title(name, fontsize=7)
    return axes


def _draw_row(axes: np.ndarray, pictures: Sequence[Tensor], captions: Sequence[str], right: bool) -> None:
    """Four pictures with their captions; the word and the color at the left say whether the answer is right."""
    point, own, deciding_point, deciding = pictures
    limit = coefficient_limit(own, deciding)
    draw_point(axes[0], point)
    draw_coefficients(axes[1], own, limit)
    draw_point(axes[2], deciding_point)
    image = draw_coefficients(axes[3], deciding, limit)
    for one, caption in zip(axes, captions, strict=True):
        one.set_xlabel(caption, fontsize=7, labelpad=3)
    color = style.RIGHT if right else style.WRONG
    axes[0].set_ylabel("✓ right" if right else "✗ wrong", color=color, fontsize=8, fontweight="bold", labelpad=3)
    axes[3].xaxis.label.set_color(color)
    if image is not None:
        beside = axes[3].inset_axes((1.08, 0, 0.08, 1))
        bar = axes[3].figure.colorbar(image, cax=beside, ticks=[-limit, 0, limit])
        bar.ax.set_yticklabels([f"−{limit:.2g}", "0", f"{limit:.2g}"], fontsize=6)
        bar.outline.set_linewidth(0.4)
