"""Small SVG pictures of curves and subdivisions in the plane, for notebooks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SIZE = 130
"""Width and height in pixels."""
MOST_LINES = 3000
"""Largest number of segments, or of polygons, in a picture."""
SHADES = ("#cfe3f3", "#a9cde8", "#e6f0f8", "#bcd8ee")


def svg(segments: Sequence[np.ndarray], window: tuple[np.ndarray, np.ndarray]) -> str:
    """Segments (2, 2) in a window (low, high) of the plane, as SVG; "" where there is nothing to draw, or too much.

    >>> svg([np.array([[0.0, 0.0], [1.0, 1.0]])], (np.zeros(2), np.ones(2))).count("<path")
    1
    """
    low, high = window
    if not 0 < len(segments) <= MOST_LINES or not np.isfinite([low, high]).all() or not np.isfinite(segments).all():
        return ""
    return _framed(f'<path d="{"".join(_path(ends, window) for ends in segments)}" stroke="#0072B2" fill="none"/>')


def svg_polygons(polygons: Sequence[np.ndarray], window: tuple[np.ndarray, np.ndarray]) -> str:
    """Filled polygons (V, 2), with their corners in order, as SVG; "" where there is nothing to draw, or too much.

    >>> svg_polygons([np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])], (np.zeros(2), np.ones(2))).count("Z")
    1
    """
    finite = np.isfinite(window).all() and all(np.isfinite(p).all() for p in polygons)
    if not 0 < len(polygons) <= MOST_LINES or not finite:
        return ""
    shades = ["".join(_path(p, window) + "Z" for p in polygons[k :: len(SHADES)]) for k in range(len(SHADES))]
    look = 'stroke="#555" stroke-width="0.5"'
    return _framed("".join(f'<path d="{d}" fill="{fill}" {look}/>' for d, fill in zip(shades, SHADES, strict=True)))


def _path(points: np.ndarray, window: tuple[np.ndarray, np.ndarray]) -> str:
    """A line through points (V, 2), in pixels."""
    low, high = window
    half = max(float((high - low).max()) / 2, 1e-300)
    pixels = ((points - (low + high) / 2) / half * (SIZE / 2)).tolist()
    return "M" + "L".join(f"{SIZE / 2 + a:.1f} {SIZE / 2 - b:.1f}" for a, b in pixels)


def _framed(inside: str) -> str:
    frame = f'width="{SIZE}" height="{SIZE}" viewBox="0 0 {SIZE} {SIZE}" style="border:1px solid #ddd"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {frame}>{inside}</svg>'


def extent_of(points: np.ndarray) -> float:
    """The largest side of the box around points (n, d); where they nearly coincide, 1 or a part of their size.

    >>> extent_of(np.array([[0.0, 0.0], [0.01, 0.0]])), extent_of(np.array([[5.0, 5.0]])), extent_of(np.array([[1e9, 0.0]]))
    (0.01, 1.0, 1000.0)
    """
    spread, size = float(np.ptp(points, axis=0).max()), float(np.abs(points).max())
    return spread if spread > max(1e-6 * size, 1e-100) else max(1e-6 * size, 1.0)


def room_around(points: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """A square window around points (n, 2), with a share of room on every side."""
    low, high = points.min(0), points.max(0)
    half = extent_of(points) * (0.5 + share)
    return (low + high) / 2 - half, (low + high) / 2 + half
