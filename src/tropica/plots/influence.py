"""How concentrated the decisions are on training points, as ``tp.influence`` counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from tropica.plots import style

if TYPE_CHECKING:
    from tropica.compare.influence import Influence


def influence(result: Influence, *, title: str = "", ax: Axes | None = None) -> Axes:
    """Draw the share of points that the most influential training points decide, rightly and in all.

    Args:
        result: the result of ``tp.influence``.
        title: the title of the axes.
        ax: axes to draw on; a new figure by default.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> x = torch.randn(50, 4)
    >>> tp.plots.influence(tp.influence(tp.ExtractedFunction(tp.extract(model, x)), x)).get_ylabel()
    'points decided (%)'
    """
    order = result.order
    count = np.arange(len(order) + 1)
    with style.applied():
        ax = style.axes(ax, 3.4, 2.6)
        columns = {"all": (result.decides, style.BLUE, "-")}
        if result.right is not None:
            columns["rightly"] = (result.right, style.GREEN, "--")
        for name, (column, color, line) in columns.items():
            share = np.concatenate([[0.0], 100 * column[order].double().cumsum(0).numpy() / result.points])
            ax.plot(count, share, color=color, linestyle=line, label=name)
        ax.axhline(50, color="0.7", linewidth=0.6)
        half = result.deciding_half
        ax.annotate(f"{half:,} decide half", (half, 50), xytext=(-6, 6), textcoords="offset points", fontsize=7, ha="right")
        total, never = len(result.decides), result.never
        xlabel = f"most influential training points\n({never:,} of {total:,} never decide)"
        style.set_value_axes(ax, xlabel=xlabel, ylabel="points decided (%)", title=title)
        ax.set_ylim(0, 102)
        ax.set_xlim(0, max(1, len(order)))
        ax.legend(loc="lower right")
    return ax
