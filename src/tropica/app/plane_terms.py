"""N^(X) on the part of a plane that is in view: where each term is the active one."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

import tropica as tp
from tropica.app.encoding import AddressQuery, packed
from tropica.app.inputs import METHODS
from tropica.app.planes import MOST_SECONDS, Flat, find_flat, polygons
from tropica.app.session import Session

RECTANGLES = 12
"""The number of rectangles along each side of the view; on each rectangle most terms are excluded."""


def terms(session: Session, query: AddressQuery) -> dict[str, Any]:
    """The cells on which one term a⁺ is the largest, as polygons, with the term's number and label.

    On a plane the terms are affine functions of t. Those that lie below another one on a whole rectangle are excluded, and the
    others are the inputs of one maximum, a network whose cells the engine finds. The functions of t are rounded to float64.
    """
    flat = find_flat(session, query)
    decided = session.decided(query.word("method", METHODS, session.first_method))
    if session.inputs.regression:
        raise tp.InputError("a regression has no labels that could differ")
    slopes, offsets, labels = _on_plane(decided.terms, flat)
    kept = _possible(slopes, offsets, flat)
    slopes, offsets = slopes[kept], offsets[kept] - offsets[kept].max()
    if len(kept) == 1:
        corners = np.array([[flat.low[0], flat.low[1]], [flat.high[0], flat.low[1]], flat.high, [flat.low[0], flat.high[1]]])
        starts, number = np.array([0, 4]), np.array([0])
    else:
        starts, corners, number = _cells(slopes, offsets, flat)
    return {
        "starts": packed(starts, "int32"),
        "corners": packed(corners),
        "terms": kept[number],
        "labels": labels[kept[number]],
    }


def _on_plane(all_terms: tp.LinearTerms, flat: Flat) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slopes (D, 2), offsets (D,) and labels (D,) of a⁺ as functions of t, from one pass over the terms."""
    places = torch.from_numpy(np.concatenate([flat.basis, flat.origin[None]])).T
    parts = []
    for block in all_terms:
        weight = block.local.double() @ places + block.minus.double() @ places
        weight[:, 2] += block.local_bias + block.minus_bias
        parts.append(weight)
    found = torch.cat(parts) + all_terms.center @ places
    return found[:, :2].numpy(), found[:, 2].numpy(), all_terms.labels.numpy()


def _possible(slopes: np.ndarray, offsets: np.ndarray, flat: Flat) -> np.ndarray:
    """The terms that may be largest somewhere in view: on some rectangle not below the one that is largest in its middle."""
    edges = [np.linspace(a, b, RECTANGLES + 1) for a, b in zip(flat.low, flat.high, strict=True)]
    half = np.array([(e[1] - e[0]) / 2 for e in edges])
    found = np.zeros(len(offsets), bool)
    for x in (edges[0][:-1] + edges[0][1:]) / 2:
        for y in (edges[1][:-1] + edges[1][1:]) / 2:
            value = slopes @ np.array([x, y]) + offsets
            top = int(value.argmax())
            reach = np.abs(slopes - slopes[top]) @ half
            found |= value + reach >= value[top] * (1 - np.sign(value[top]) * 1e-9)
    return np.flatnonzero(found)


def _cells(slopes: np.ndarray, offsets: np.ndarray, flat: Flat) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts, corners and the number of the largest function of each cell."""
    net = tp.trace(_Maximum(slopes, offsets), torch.zeros(2, 2, dtype=torch.float64))
    starts, corners, numbers, total, begin = [np.zeros(1, np.int64)], [], [], 0, time.monotonic()
    for block in tp.iter_cells(net, tp.Box(flat.low, flat.high), arrays=["vertices"], max_seconds=MOST_SECONDS):
        first, at = polygons(block)
        starts.append(first[1:] + total)
        total += int(first[-1])
        corners.append(at)
        numbers.append((block.centers() @ slopes.T + offsets).argmax(1))
    if time.monotonic() - begin >= MOST_SECONDS:  # the stream may have been ended before its end
        raise tp.InputError(f"the terms in view take more than {MOST_SECONDS:.0f} s: zoom in")
    return np.concatenate(starts), np.concatenate(corners), np.concatenate(numbers)


class _Maximum(torch.nn.Module):
    """The largest of affine functions of t."""

    def __init__(self, slopes: np.ndarray, offsets: np.ndarray) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(*slopes.shape[::-1], dtype=torch.float64)
        self.linear.weight.data, self.linear.bias.data = torch.from_numpy(slopes), torch.from_numpy(offsets)
        self.eval()

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        return self.linear(t).amax(1, keepdim=True)
