"""The terms that decide, as images: a test point, the training point whose term decided it, and both terms' coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from torch import Tensor

from tropica.errors import InputError
from tropica.plots import style
from tropica.terms.linear_terms import AffineTerms

COLUMNS = ("test point", "its own\ncoefficients", "training point\nthat decides", "coefficients\nthat decide")


def term_images(
    points: Tensor,
    own: AffineTerms,
    deciders: Tensor,
    deciding: AffineTerms,
    captions: Sequence[tuple[str, str, str, str]],
    right: Sequence[bool] | Tensor,
    *,
    title: str = "",
    ax: Any = None,
) -> np.ndarray:
    """A row a test point: its image, its own linear coefficients, the training point whose term decided it, that term.

    Args:
        points: (R, *input) test points; images (1, H, W) or (3, H, W) in [0, 1], or signals (…, L), which become lines.
        own: R terms, each N_i on the linear region of its test point.
        deciders: (R, *input) training points.
        deciding: R terms, those of the training points.
        captions: R times four short texts, one below each picture (the labels that truth, network and terms give).
        right: (R,) did the extracted function give the true label?
        title: of the whole.
        ax: axes (R, 4) to draw on, as ``figure.subplots(R, 4)`` gives; new ones by default.

    Returns:
        The axes (R, 4). The two pictures of coefficients in a row share one scale, symmetric about 0, with a color bar at
        the row's end; coefficients of color images are summed over the channels (the effect of gray light).

    Raises:
        InputError: no rows, not as many of each, or axes of another shape.

    >>> terms = AffineTerms(torch.randn(1, 64), torch.zeros(1), (1, 8, 8))
    >>> texts = [("true 3", "network 3", "point 7", "extracted 3")]
    >>> term_images(torch.rand(1, 1, 8, 8), terms, torch.rand(1, 1, 8, 8), terms, texts, [True]).shape
    (1, 4)
    """
    rows = len(points)
    parts = {"own": own, "deciders": deciders, "deciding": deciding, "captions": captions, "right": right}
    if not rows or any(len(part) != rows for part in parts.values()):
        found = ", ".join(f"{len(part)} of {name}" for name, part in parts.items())
        raise InputError(f"one or more points are needed, and as many of all else; found {rows} points, {found}")
    with style.applied():
        if ax is None:
            figure = style.shown_figure(0.5 * style.PAPER_WIDTH, 1.05 * rows + 0.4)
            figure.suptitle(title)
            ax = figure.subplots(rows, 4, squeeze=False)
        axes = np.asarray(ax, dtype=object).reshape(-1, 4) if np.size(ax) % 4 == 0 else np.asarray(ax)
        if axes.shape != (rows, 4):
            raise InputError(f"axes of shape ({rows}, 4) are needed, found {np.shape(ax)}")
        terms = torch.stack([side.image(points.shape[1:]).double().cpu() for side in (own, deciding)], 1)
        for row in range(rows):
            _row(axes[row], (points[row], deciders[row]), terms[row], captions[row], bool(right[row]))
        for column, name in zip(axes[0], COLUMNS, strict=True):
            column.set_title(name, fontsize=7)
    return axes


def _row(axes: np.ndarray, points: tuple[Tensor, Tensor], terms: Tensor, captions: Sequence[str], right: bool) -> None:
    """Four pictures with their captions; the word and the color at the left say whether the answer is right."""
    limit = float(_flat(terms, total=True).abs().nan_to_num(0).max()) or 1.0
    _draw(axes[0], points[0].detach().cpu())
    _draw(axes[1], terms[0], limit)
    _draw(axes[2], points[1].detach().cpu())
    image = _draw(axes[3], terms[1], limit)
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


def _draw(ax: Axes, x: Tensor, limit: float | None = None) -> AxesImage | None:
    """One point, or with a limit one point's coefficients: as an image where it has height and width, else as a line."""
    flat = _flat(x.unsqueeze(0), total=limit is not None)[0].numpy()
    ax.set_xticks([])
    ax.set_yticks([])
    if flat.ndim == 1:
        ax.axhline(0, color="0.7", linewidth=0.5)
        ax.plot(flat, color=style.BLACK if limit is None else style.PURPLE, linewidth=0.8)
        if limit is not None:
            ax.set_ylim(-1.05 * limit, 1.05 * limit)
        return None
    for spine in ax.spines.values():
        spine.set(visible=True, linewidth=0.4)
    if limit is not None:
        return ax.imshow(flat, cmap=style.DIVERGING, vmin=-limit, vmax=limit)
    return ax.imshow(flat.clip(0, 1) if flat.ndim == 3 else flat, cmap=style.GRAY)


def _flat(x: Tensor, *, total: bool) -> Tensor:
    """Pictures (B, H, W), (B, H, W, 3) or lines (B, L) of points (B, *input); ``total`` sums the channels."""
    if x.ndim == 4 and x.shape[1] in (1, 3):
        return x.sum(1) if total or x.shape[1] == 1 else x.movedim(1, -1)
    return x if x.ndim == 3 and x.shape[1] > 1 and x.shape[2] > 1 else x.flatten(1)
