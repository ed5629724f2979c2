"""Linear regions of networks with equally many neurons, by depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from tropica.plots import style

if TYPE_CHECKING:
    from tropica.studies.experiments.depth_width import DepthRow


def depth_width(rows: Sequence[DepthRow], neurons: int, inputs: int, *, ax: Axes | None = None) -> Axes:
    """Measured counts of random and of zig-zag networks against the bounds, on a logarithmic scale.

    Args:
        rows: as :func:`tropica.studies.depth_against_width` gives them.
        neurons, inputs: of all networks.
        ax: axes to draw on; a new figure by default.
    """
    if ax is None:
        ax = style.shown_figure(5.0, 3.4).add_subplot()
    depth = np.array([row.depth for row in rows])
    mean = np.array([np.mean(row.random) for row in rows])
    spread = np.array([(m - min(row.random), max(row.random) - m) for m, row in zip(mean, rows, strict=True)]).T
    ax.plot(depth, [row.upper for row in rows], color=style.BLACK, ls="--", lw=1, label="upper bound, Theorem 6.3")
    if any(row.best < row.upper for row in rows):
        ax.plot(depth, [row.best for row in rows], color=style.BLACK, ls=":", lw=1.2, label="upper bound, Serra et al. 2018")
    ax.plot(depth, [row.constructed for row in rows], color=style.BLUE, marker="s", ms=4.5, lw=1.4, label="zig-zag, measured")
    ax.plot(
        depth,
        [row.lower for row in rows],
        color=style.BLACK,
        marker="_",
        ms=9,
        ls="",
        label="lower bound, Montúfar et al. 2014",
    )
    ax.errorbar(
        depth, mean, yerr=spread, color=style.VERMILION, marker="o", ms=4.5, lw=1.4, capsize=2.5, label="random, measured"
    )
    ax.set_yscale("log")
    ax.set_xticks(depth)
    ax.set_xlabel(f"hidden layers ({neurons} neurons in all)")
    ax.set_ylabel(f"linear regions of $\\mathbb{{R}}^{inputs}$")
    ax.legend(loc="upper left")
    ax.set_ylim(top=30 * max(row.upper for row in rows))
    return ax
