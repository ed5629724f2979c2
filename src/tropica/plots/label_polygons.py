"""Polygons with one predicted label each, exactly: cells, cut where the label changes."""

from __future__ import annotations

import numpy as np

from tropica.polyhedra.polygons import clip
from tropica.regions.complex.region_complex import RegionComplex


def label_polygons(cx: RegionComplex) -> tuple[list[np.ndarray], np.ndarray]:
    """Polygons (V, 2), cells or parts of cells, and the label (P,) predicted in each; where labels tie everywhere, the lowest.

    Args:
        cx: a complex of dimension 2.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> polygons, labels = tp.plots.label_polygons(tp.linear_regions(net, tp.Box(-1, 1, d=2)))
    >>> len(polygons) == len(labels), sorted(set(labels.tolist()))
    (True, [0, 1])
    """
    starts, at = cx.corners
    weight, bias = cx.logits
    if bias.shape[1] == 1:
        weight, bias = np.concatenate([-weight, weight], 1), np.concatenate([-bias, bias], 1)
    cell = np.repeat(np.arange(len(cx)), np.diff(starts))
    scores = np.einsum("msd,md->ms", weight[cell], at[:, :2]) + bias[cell]
    # Scores are affine: a label that is the largest at all corners is the largest in the whole cell.
    rounding = 1e-12 * np.maximum(np.abs(scores).max(1, keepdims=True), 1e-300)
    is_max = (scores >= scores.max(1, keepdims=True) - rounding).astype(np.int8)
    largest = np.minimum.reduceat(is_max, starts[:-1], axis=0) > 0
    polygons, label = np.split(at[:, :2], starts[1:-1]), largest.argmax(1)
    whole = largest.any(1)
    mixed = np.flatnonzero(~whole)
    parts: list[tuple[np.ndarray, int]] = []
    for c in mixed.tolist():
        corners, values = polygons[c], scores[starts[c] : starts[c + 1]]
        for k in range(bias.shape[1]):
            part, _ = clip(corners, values[:, [k]] - np.delete(values, k, 1))
            parts += [(part, k)] if len(part) else []
    kept = [polygons[c] for c in np.flatnonzero(whole)]
    return kept + [part for part, _ in parts], np.append(label[whole], [k for _, k in parts]).astype(np.int64)
