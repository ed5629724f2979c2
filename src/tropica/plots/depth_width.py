"""Linear regions of networks with equally many neurons, by depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from tropica.plots import style


def depth_width(
    depths: Sequence[int],
    *,
    random: Sequence[Sequence[int]],
    constructed: Sequence[int],
    lower: Sequence[int],
    upper: Sequence[int],
    tighter: Sequence[int],
    neurons: int,
    inputs: int,
    ax: Axes | None = None,
) -> Axes:
    """Draw measured counts of random and of zig-zag networks against published bounds, on a logarithmic scale.

    Args:
        depths: numbers of hidden layers; all other sequences have an entry for each.
        random: the counts of several random networks.
        constructed: the counts of zig-zag networks.
        lower, upper, tighter: the bounds of Montúfar et al. 2014, of Theorem 6.3 and of Serra et al. 2018.
        neurons, inputs: of all networks.
        ax: axes to draw on; a new figure by default.

    >>> ax = depth_width([1, 2], random=[[5, 7], [6, 9]], constructed=[11, 16], lower=[4, 8], upper=[11, 36], tighter=[11, 30],
    ...                  neurons=4, inputs=2)
    >>> ax.get_xlabel()
    'hidden layers (4 neurons in all)'
    """
    mean = np.array([np.mean(counts) for counts in random])
    spread = np.array([(m - min(counts), max(counts) - m) for m, counts in zip(mean, random, strict=True)]).T
    with style.applied():
        ax = style.axes(ax, 5.0, 3.4)
        bound: dict[str, Any] = {"color": style.BLACK}
        ax.plot(depths, upper, ls="--", lw=1, label="upper bound, Theorem 6.3", **bound)
        if any(b < u for b, u in zip(tighter, upper, strict=True)):
            ax.plot(depths, tighter, ls=":", lw=1.2, label="upper bound, Serra et al. 2018", **bound)
        ax.plot(depths, constructed, color=style.BLUE, marker="s", ms=4.5, lw=1.4, label="zig-zag, measured")
        ax.plot(depths, lower, marker="_", ms=9, ls="", label="lower bound, Montúfar et al. 2014", **bound)
        look: dict[str, Any] = {"color": style.VERMILION, "marker": "o", "ms": 4.5, "lw": 1.4, "capsize": 2.5}
        ax.errorbar(depths, mean, yerr=spread, label="random, measured", **look)
        ax.set_yscale("log")
        ax.set_xticks(list(depths))
        ax.set_xlabel(f"hidden layers ({neurons} neurons in all)")
        ax.set_ylabel(f"linear regions of $\\mathbb{{R}}^{{{inputs}}}$")
        ax.legend(loc="upper left")
        ax.set_ylim(top=30 * max(upper))
    return ax
