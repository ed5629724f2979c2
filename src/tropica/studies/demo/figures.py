"""The demo's two figures."""

from __future__ import annotations

import io
from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor

from tropica.data.labelled import LabelledData
from tropica.plots import active_terms, angle_distance, style
from tropica.studies.experiments.deciders import Deciders

EXAMPLES = 3
"""Rows of right answers, and at most of wrong ones, a network."""


def figures(found: Mapping[str, Deciders], data: LabelledData, test: LabelledData) -> dict[str, bytes]:
    """File name to PNG, for the networks by name."""
    with style.applied():
        return {
            "angle-distance.png": _png(_angles(found, test)),
            "term-images.png": _png(_terms(found, data, test)),
        }


def _png(figure: Figure) -> bytes:
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=150)
    return raw.getvalue()


def _angles(found: Mapping[str, Deciders], test: LabelledData) -> Figure:
    """Figure 2, a panel a network, on the same scales of angle."""
    figure = style.figure(height=2.9)
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for ax, (name, one) in zip(panels, found.items(), strict=True):
        angle_distance(one.angle, one.distance, one.extracted == test.labels, title=name, ax=ax)
    widest = max(ax.get_xlim()[1] for ax in panels)
    for ax in panels:
        ax.set_xlim(0, widest)
    return figure


def _terms(found: Mapping[str, Deciders], data: LabelledData, test: LabelledData) -> Figure:
    """A column of rows a network: the first right answers of different labels, then the first wrong ones."""
    assert test.labels is not None
    chosen = {name: examples(one.extracted, test.labels) for name, one in found.items()}
    figure = style.figure(height=0.92 * max(map(len, chosen.values())) + 0.7)
    for part, (name, rows) in zip(figure.subfigures(1, len(found), squeeze=False)[0], chosen.items(), strict=True):
        one = found[name]
        winner = one.winner[rows]
        part.suptitle(name)
        active_terms(
            test.inputs[rows],
            one.own[rows],
            data.inputs[winner],
            one.deciding[rows],
            [_captions(one, int(i), test.labels) for i in rows],
            one.extracted[rows] == test.labels[rows],
            ax=part.subplots(len(rows), 4, squeeze=False),
        )
    return figure


def examples(extracted: Tensor, truth: Tensor) -> Tensor:
    """Indices of the rows to show: the first right answer to each of the lowest labels, then the first wrong answers.

    >>> examples(torch.tensor([1, 1, 0, 2]), torch.tensor([1, 1, 0, 1]))
    tensor([2, 0, 3])
    """
    right = extracted == truth
    first = [int((right & (truth == label)).nonzero()[0]) for label in truth[right].unique()[:EXAMPLES]]
    return torch.tensor([*first, *(~right).nonzero()[:EXAMPLES, 0].tolist()])


def _captions(one: Deciders, point: int, truth: Tensor) -> tuple[str, str, str, str]:
    return (
        f"true {int(truth[point])}",
        f"network: {int(one.network[point])}",
        f"point {int(one.winner[point])}",
        f"extracted: {int(one.extracted[point])}",
    )
