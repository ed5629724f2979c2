"""Figure 2 of the TropEx paper: angle and distance between a point's own term and the one that decided it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from torch import Tensor

from tropica.errors import InputError
from tropica.plots import style

FEW = 1000
"""Up to so many points marks have their full size; beyond, they become smaller and fainter."""

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
    """Scatter the angle between linear coefficients against their distance, right and wrong answers apart.

    Args:
        angles: (N,) degrees, of :func:`tropica.angles` (test points' own terms, the training terms that decided them).
        distances: (N,) of :func:`tropica.distances`, on the same pairs.
        right: (N,) truth values: did the extracted function give the true label?
        title: of the axes, such as the network's name.
        names: what the legend calls points of which ``right`` is true, and the others.
        ax: where to draw; new axes by default.

    Returns:
        The axes. The legend counts the points; those without an angle (coefficients all zero) are left out and said so.

    Raises:
        InputError: the three are not of one length.

    >>> ax = angle_distance([80.0, 95.0], [1.0, 2.0], [True, False], title="FCN")
    >>> ax.get_xlabel(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('angle between coefficients (degrees)', ['right (1)', 'wrong (1)'])
    """
    angle, distance = (torch.as_tensor(x, dtype=torch.float64).cpu() for x in (angles, distances))
    answer = torch.as_tensor(right).bool().cpu()
    if not angle.ndim == distance.ndim == answer.ndim == 1 or not len(angle) == len(distance) == len(answer):
        shapes = ", ".join(str(tuple(x.shape)) for x in (angle, distance, answer))
        raise InputError(f"angles, distances and right must each have one number a point; found shapes {shapes}")
    with style.applied():
        ax = ax or style.shown_figure(3.4, 2.8).add_subplot()
        drawn = angle.isfinite() & distance.isfinite()
        fine = min(1.0, (FEW / max(1, len(angle))) ** 0.5)
        look = {"rasterized": fine < 0.5}
        _scatter(
            ax, names[0], angle, distance, drawn & answer, marker="o", s=11 * fine, c=style.RIGHT, alpha=0.45 * fine, **look
        )
        _scatter(ax, names[1], angle, distance, drawn & ~answer, marker="x", s=26 * fine, c=style.WRONG, alpha=fine, **look)
        _dress(ax, title, float(angle[drawn].max()) if bool(drawn.any()) else 0.0)
        missing = int((~drawn).sum())
        legend = ax.legend(title=f"{missing} not drawn (no direction)" if missing else None, handletextpad=0.2)
        for handle, size in zip(legend.legend_handles, (11, 26), strict=True):
            handle.set(alpha=1, sizes=[size])  # type: ignore[union-attr]
    return ax


def _scatter(ax: Axes, name: str, angle: Tensor, distance: Tensor, which: Tensor, **look: object) -> None:
    look |= {"linewidths": 1.3 if look["marker"] == "x" else 0, "zorder": 3 if look["marker"] == "x" else 2}
    ax.scatter(angle[which].numpy(), distance[which].numpy(), label=f"{name} ({int(which.sum()):,})", **look)  # type: ignore[arg-type]


def _dress(ax: Axes, title: str, largest: float) -> None:
    """Labels, a mark at the right angle, and limits that start at zero, so that panels can be compared."""
    ax.axvline(90, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    ax.set_xlim(0, min(180.0, max(105.0, largest + 5)))
    ax.set_xticks(range(0, int(ax.get_xlim()[1]) + 1, 30))
    ax.margins(y=0.08)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("angle between coefficients (degrees)")
    ax.set_ylabel("distance of coefficients\n(logit per unit of input)")
    ax.set_title(title)
