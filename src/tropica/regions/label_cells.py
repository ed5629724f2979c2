"""The decision boundary, from cells that are cut by the label as well."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tropica.regions.enumerated import Enumerated, enumerate_cells
from tropica.regions.locate import Locator
from tropica.regions.lower import Lowered, Stage, lower

if TYPE_CHECKING:
    from tropica.network.network import PiecewiseLinearNetwork
    from tropica.regions.domain import Domain


def with_labels(lowered: Lowered) -> Lowered:
    """The network with one more stage: a window over its outputs, or the sign of its one output."""
    outputs, none = lowered.output.size, np.zeros(0)
    if outputs == 1:
        stage = Stage(lowered.output, "threshold", np.zeros(1), np.ones(1), np.zeros((0, 0), np.int64), ())
    else:
        stage = Stage(lowered.output, "window", none, none, np.arange(outputs)[None], ())
    return replace(lowered, stages=(*lowered.stages, stage))


def label_facets(
    net: PiecewiseLinearNetwork, domain: Domain, locator: Locator
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray], int]:
    """The facets between cells of different labels.

    Returns:
        Labels (P, 2) of both sides, the lower first; the number (P,) of a cell that each facet lies in; its vertices (t, 1) and rays (t, 0); and
        how many signs rest on floating point.
    """
    found = enumerate_cells(net, domain, lowered=with_labels(lower(net, simplify=False)))
    pieces = found.layout.pieces(found.signs)
    label = pieces[-1][:, 0]
    pairs, facets = found.shared
    differ = label[pairs[:, 0]] != label[pairs[:, 1]]
    pairs, facets = pairs[differ], facets[differ]
    cell = locator.index.find(locator.layout.vectors([p[pairs[:, 0]] for p in pieces[:-1]], len(pairs)))
    return np.sort(label[pairs], axis=1), cell, _vertices(found, facets), found.undecided


def _vertices(found: Enumerated, facets: np.ndarray) -> list[np.ndarray]:
    """The vertices (t, 1) and rays (t, 0) of facets."""
    last = np.ones(len(found.vertices)) if found.cells.rays is None else 1.0 - found.cells.rays
    at = np.column_stack([found.vertices, last])
    return [at[found.facet_vertices(facet)[1]] for facet in facets.tolist()]
