"""One style for all figures: colors that color-blind readers can tell apart, sizes that can be read at paper width."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from tropica.errors import InputError

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

SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
"""A color for each curve or series."""
LINES = ("-", "--", "-.", ":")
"""A line style for each curve."""
RIGHT, WRONG = BLUE, VERMILION
"""Right and wrong answers. Never by color alone: markers and words differ too."""

LABELS = ("#332288", "#DDCC77", "#CC6677", "#88CCEE", "#117733", "#AA4499", "#44AA99", "#882255", "#999933", "#DDDDDD")
"""A color for each label: P. Tol's "muted" scheme. Never by color alone: markers differ, and areas bear their label."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">")
"""A marker for each label or series."""

DIVERGING = "RdBu_r"
"""Blue through white to red, for values that are symmetric about 0."""
GRAY = "gray_r"
"""White through black, for images of one channel: ink on paper."""

PAPER_WIDTH = 7.0
"""Inches: the text width of a page in two columns."""
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

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

Color = tuple[float, float, float]


def mixed(color: Any, share: float) -> Color:
    """A color mixed with white: ``share`` = 1 is the color itself.

    >>> mixed("#000000", 0.25)
    (0.75, 0.75, 0.75)
    """
    red, green, blue = to_rgb(color)
    return 1 - share * (1 - red), 1 - share * (1 - green), 1 - share * (1 - blue)


def label_color(label: int, share: float = 1.0) -> Color:
    """The color of a label, mixed with white as by :func:`mixed`: full for marks, fainter for areas below them.

    >>> label_color(0) == label_color(10)
    True
    """
    return mixed(LABELS[label % len(LABELS)], share)


def marker(i: int) -> str:
    """The marker of a label or series."""
    return MARKERS[i % len(MARKERS)]


@contextmanager
def applied() -> Iterator[None]:
    """Apply the style inside the context; matplotlib's settings are restored afterwards.

    >>> with applied():
    ...     mpl.rcParams["font.size"]
    8.0
    """
    with mpl.rc_context(RC):  # type: ignore[arg-type]
        yield


# ── figures and axes ───────────────────────────────────────────────────────────────────────────────────────────────────────


def figure(width: float = PAPER_WIDTH, height: float = 3.0) -> Figure:
    """A new figure, in inches, with automatic layout and without pyplot: it belongs to the caller and opens no window."""
    return Figure(figsize=(width, height), layout="constrained")


def shown_figure(width: float, height: float) -> Figure:
    """A new figure of pyplot, which a notebook or ``plt.show()`` shows."""
    import matplotlib.pyplot as plt  # selects a backend

    return plt.figure(figsize=(width, height), layout="constrained")


def axes(ax: Axes | None, width: float, height: float) -> Axes:
    """The given axes, or the axes of a new figure."""
    return ax if ax is not None else shown_figure(width, height).add_subplot()


def axes_in_space(ax: Axes | None, what: str) -> Axes:
    """The given axes, or new axes with ``projection="3d"``.

    Raises:
        InputError: two-dimensional axes.
    """
    ax = ax if ax is not None else shown_figure(4.2, 4.0).add_subplot(projection="3d")
    if ax.name != "3d":
        raise InputError(f'{what} needs axes made with projection="3d"')
    return ax


def axes_grid(ax: Any, shape: tuple[int, ...], width: float, height: float, title: str = "") -> np.ndarray:
    """The given axes in a shape, or new axes under a title.

    Raises:
        InputError: a wrong number of axes.
    """
    if ax is None:
        whole = shown_figure(width, height)
        whole.suptitle(title)
        ax = whole.subplots(*shape, squeeze=False)
    found = np.asarray(ax, dtype=object)
    if found.size != np.prod(shape):
        raise InputError(f"axes of shape {shape} are needed; found {np.shape(ax)}")
    return found.reshape(shape)


def set_value_axes(ax: Axes, *, ylabel: str, title: str, xlabel: str = "") -> None:
    """Name the axes of a chart of values, and draw a faint grid behind the values."""
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.set_title(title)
    ax.grid(axis="y", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)


def set_plane(ax: Axes, low: Any, high: Any, names: tuple[str, str] = ("x₁", "x₂")) -> None:
    """Set the limits and names of the axes of a plane, with equal units."""
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ax.set_aspect("equal")
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])


def set_space(ax: Axes, low: Any, high: Any, names: tuple[str, str, str], shape: Any) -> None:
    """Set the limits and names of the axes of space; ``shape`` gives the side lengths of the box on paper."""
    for axis, (a, b, name) in zip("xyz", zip(low, high, names, strict=True), strict=True):
        getattr(ax, f"set_{axis}lim")(a, b)
        getattr(ax, f"set_{axis}label")(name)
    ax.set_box_aspect(shape, zoom=0.78)  # type: ignore[arg-type]


def legend_beside(ax: Axes, handles: Any, title: str | None = None) -> Legend:
    """A legend to the right of the axes."""
    return ax.legend(handles=handles, title=title, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)


def plural(count: int, one: str, more: str = "") -> str:
    """A number with its noun.

    >>> plural(1, "vertex", "vertices"), plural(1200, "cell")
    ('1 vertex', '1,200 cells')
    """
    return f"{count:,} {one if count == 1 else more or one + 's'}"
