"""What the coefficients of many terms have in common, as images: mean, median, deviation, extremes (Appendix E.7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from tropica.errors import InputError
from tropica.plots import style


def coefficient_statistics(statistics: Mapping[str, Tensor], *, title: str = "", ax: Any = None) -> np.ndarray:
    """A picture for each statistic of coefficients: an image where inputs are images, else a line.

    Args:
        statistics: by name, (*input) each, such as the mean of the coefficients over all terms; color channels are summed.
        title: of the row, written at its left.
        ax: as many axes as there are statistics; new ones by default.

    Returns:
        The axes. Each image has a scale of its own, symmetric about 0, whose end is written below it.

    Raises:
        InputError: not as many axes as statistics.

    >>> import torch
    >>> coefficient_statistics({"mean": torch.randn(1, 8, 8), "median": torch.randn(1, 8, 8)}).shape
    (2,)
    """
    with style.applied():
        if ax is None:
            ax = style.shown_figure(1.2 * len(statistics), 1.5).subplots(1, len(statistics), squeeze=False)
        axes = np.asarray(ax, dtype=object).reshape(-1)
        if len(axes) != len(statistics):
            raise InputError(f"as many axes as statistics are needed; found {len(axes)} for {len(statistics)}")
        for one, (name, values) in zip(axes, statistics.items(), strict=True):
            flat = values.double().cpu()
            image = flat.ndim == 3 and flat.shape[1] > 1
            picture = (flat.sum(0) if image else flat.flatten()).numpy()
            limit = float(np.nanmax(np.abs(picture), initial=0.0)) or 1.0
            one.set_xticks([])
            one.set_yticks([])
            if image:
                one.imshow(picture, cmap=style.DIVERGING, vmin=-limit, vmax=limit)
            else:
                one.axhline(0, color="0.7", linewidth=0.5)
                one.plot(picture, color=style.PURPLE, linewidth=0.8)
                one.set_ylim(-1.05 * limit, 1.05 * limit)
            one.set_title(name, fontsize=7)
            one.set_xlabel(f"±{limit:.2g}", fontsize=7, labelpad=2)
        axes[0].set_ylabel(title, fontsize=8)
    return axes
