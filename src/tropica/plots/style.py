"""One look for all figures: colors that color-blind readers can tell apart, sizes that can be read at paper width."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
"""The palette of M. Okabe and K. Ito, "Color universal design" (2008)."""

RIGHT, WRONG = BLUE, VERMILION
"""Right and wrong answers. Never by color alone: markers and words differ too."""

LABELS = ("#332288", "#DDCC77", "#CC6677", "#88CCEE", "#117733", "#AA4499", "#44AA99", "#882255", "#999933", "#DDDDDD")
"""A color a label: P. Tol's "muted" scheme. Never by color alone: markers differ, and areas bear their label."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">")
"""A marker a label."""

DIVERGING = "RdBu_r"
"""Blue through white to red, for values that are symmetric about 0."""
GRAY = "gray_r"
"""White through black, for images of one channel: ink on paper."""

PAPER_WIDTH = 7.0
"""Inches: the text width of a page in two columns."""

RC: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "image.interpolation": "nearest",
}


def label_color(label: int, *, faint: bool = False) -> tuple[float, float, float]:
    """The color of a label: full for marks, mixed with white for areas below them.

    >>> label_color(0) == label_color(10), len(label_color(3, faint=True))
    (True, 3)
    """
    red, green, blue = to_rgb(LABELS[label % len(LABELS)])
    share = 0.55 if faint else 1.0
    return 1 - share * (1 - red), 1 - share * (1 - green), 1 - share * (1 - blue)


@contextmanager
def applied() -> Iterator[None]:
    """The look, for as long as the context lasts; afterwards all settings are as before.

    >>> with applied():
    ...     mpl.rcParams["font.size"]
    8.0
    """
    with mpl.rc_context(RC):  # type: ignore[arg-type]
        yield


def finish(ax: Axes, *, ylabel: str, title: str, xlabel: str = "") -> None:
    """What axes of values have in common: what is on them, and a faint grid behind the values."""
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.set_title(title)
    ax.grid(axis="y", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)


def figure(width: float = PAPER_WIDTH, height: float = 3.0) -> Figure:
    """A new figure in inches, laid out by itself, without pyplot: it belongs to its holder and opens no window."""
    return Figure(figsize=(width, height), layout="constrained")


def shown_figure(width: float, height: float) -> Figure:
    """A new figure of pyplot's, as a notebook or ``plt.show()`` expects it."""
    import matplotlib.pyplot as plt  # picks a backend

    return plt.figure(figsize=(width, height), layout="constrained")
