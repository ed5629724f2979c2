"""Small images for the tests of readers."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def rgb(value: int, side: int = 4) -> np.ndarray:
    return np.full((side, side, 3), value, np.uint8)
