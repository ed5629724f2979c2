"""One point or one vector of coefficients as a picture: an image where it has height and width, else a line."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from torch import Tensor

from tropica.plots import style


def draw_point(ax: Axes, x: Tensor) -> None:
    """Draw a point (*input_shape): an image with values in [0, 1], in color where it has three channels, or a line."""
    picture = _picture(x, channels=x.ndim == 3 and x.shape[0] == 3)
    if _prepare(ax, picture):
        ax.imshow(picture.clip(0, 1) if picture.ndim == 3 else picture, cmap=style.GRAY)
    else:
        ax.plot(picture, color=style.BLACK, linewidth=0.8)


def draw_coefficients(ax: Axes, x: Tensor, limit: float) -> AxesImage | None:
    """Draw coefficients (*input_shape), summed over the channels, on a scale from −limit to limit; None for a line."""
    picture = _picture(x)
    if _prepare(ax, picture):
        return ax.imshow(picture, cmap=style.DIVERGING, vmin=-limit, vmax=limit)
    ax.plot(picture, color=style.PURPLE, linewidth=0.8)
    ax.set_ylim(-1.05 * limit, 1.05 * limit)
    return None


def coefficient_limit(*coefficients: Tensor) -> float:
    """The end of a scale for coefficients (*input_shape) that is symmetric about 0; 1 where all are zero or NaN."""
    return max(float(np.nan_to_num(np.abs(_picture(x)), posinf=0).max(initial=0.0)) for x in coefficients) or 1.0


def _picture(x: Tensor, *, channels: bool = False) -> np.ndarray:
    """An image (H, W) or (H, W, 3), or a line (L,)."""
    flat = x.detach().double().cpu().numpy()
    if flat.ndim == 3:
        return np.moveaxis(flat, 0, -1) if channels else flat.sum(0)
    return flat if flat.ndim == 2 and min(flat.shape) > 1 else flat.ravel()


def _prepare(ax: Axes, picture: np.ndarray) -> bool:
    """Remove ticks and draw a frame (image) or a line at 0; returns whether the picture is an image."""
    ax.set_xticks([])
    ax.set_yticks([])
    if picture.ndim == 1:
        ax.axhline(0, color="0.7", linewidth=0.5)
        return False
    for spine in ax.spines.values():
        spine.set(visible=True, linewidth=0.4)
    return True
