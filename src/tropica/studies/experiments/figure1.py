"""Figure 1: the regions of a network with two inputs before and after extraction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from tropica.plots import style
from tropica.plots.label_map import label_map
from tropica.plots.label_polygons import label_polygons
from tropica.polyhedra.envelope import Envelope, upper_envelope
from tropica.regions.complex import RegionComplex
from tropica.regions.domains import Box
from tropica.regions.linear_regions import linear_regions
from tropica.studies.case import Case
from tropica.studies.experiments.plane import in_the_plane
from tropica.studies.study import METHODS, Measured, Results, Row, Study, Table, by_decomposition, spread
from tropica.terms.linear_terms import LinearTerms

SPLITS = (*METHODS, "minimal")
MARGIN = 0.05
"""Of the window on each side of the points."""
SHOWN = 150
"""Training points that the figure shows at most."""
DIGITS = 5
"""Of the coordinates kept for the figure."""


@dataclass(frozen=True)
class Cells:
    """The training points' cells of the network.

    Attributes:
        first: for each cell and label met, the first point there, by its number.
        cell: a number for the cell of each of these.
    """

    first: np.ndarray
    cell: np.ndarray

    @classmethod
    def of(cls, patterns: np.ndarray, labels: np.ndarray) -> Cells:
        """Of activation patterns (D, bytes), and the labels that the network gives (D,)."""
        _, number = np.unique(patterns, axis=0, return_inverse=True)
        _, first = np.unique(np.stack([number.ravel(), labels], 1), axis=0, return_index=True)
        return cls(first, number.ravel()[first])


def measure(case: Case) -> Measured:
    """A row a split; beside them the polygons of the network and of N^(X), for the figure. All in float64."""
    case = replace(case, dtype=torch.float64)
    points, test = (data.inputs.double().numpy() for data in (case.points, case.test))
    window = _window(np.concatenate([points, test]))
    cx = linear_regions(case.net, Box(*window.tolist()))
    parts, part_labels = label_polygons(cx)
    given = case.predict(case.net, case.points.inputs).numpy()
    cells = Cells.of(case.net.activation_pattern(case.points.inputs.double()).numpy(), given)
    head = _of_network(cx, points, test, case, cells)
    rows: list[Row] = []
    extra: dict[str, Any] = {
        "window": window.tolist(),
        "points": points[:SHOWN].tolist(),
        "labels": case.points.labels[:SHOWN].tolist() if case.points.labels is not None else [],
        "network": _picture(parts, part_labels, cx.boundary().pieces),
    }
    for method in SPLITS:
        terms = case.terms(method)
        plus, minus = envelopes(terms, cells, window)
        labels = given[cells.first]
        number, winner, size = plus.areas(parts)
        polygon, rival, shared = minus.areas(plus.polygons)
        straight = cells.cell[plus.winners[polygon]] == cells.cell[rival]
        found = case.function(method).predict(case.test, progress=case.step(f"labels, {method} split"))
        rows.append(
            {
                "decomposition": method,
                **head,
                "winning_plus": len(plus.winners),
                "winning_minus": len(minus.winners),
                "area_agreement": float(size[part_labels[number] == labels[winner]].sum() / size.sum()),
                "straight_area": float(shared[straight].sum() / shared.sum()),
                "agreement": float((found == case.labels).double().mean()),
                "accuracy": float((found == case.truth).double().mean()),
                "certificate_holds": terms.certificate.holds,
            }
        )
        ends, pairs = plus.borders()
        extra[method] = _picture(plus.polygons, labels[plus.winners], ends[labels[pairs[:, 0]] != labels[pairs[:, 1]]])
    return Measured(rows, extra)


def envelopes(terms: LinearTerms, cells: Cells, window: np.ndarray) -> tuple[Envelope, Envelope]:
    """max_k a⁺_k and max_k a⁻_k over the window, of a term for each cell and label: those of points of one cell are one."""
    corners = np.array([window[[i, j], [0, 1]] for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))])
    some = terms.select(torch.from_numpy(cells.first))
    plus, minus = (upper_envelope(a.weight.numpy(), a.bias.numpy(), corners) for a in (some.plus, some.minus))
    return plus, minus


def _window(points: np.ndarray) -> np.ndarray:
    """(2, 2): the lower and the upper corner of a rectangle around the points."""
    low, high = points.min(0), points.max(0)
    pad = MARGIN * np.maximum(high - low, (high - low).max() / 100 or 1.0)
    return np.stack([low - pad, high + pad])


def _of_network(cx: RegionComplex, points: np.ndarray, test: np.ndarray, case: Case, cells: Cells) -> Row:
    met = np.unique(cx.locate(points))
    met = met[met >= 0]
    return {
        "cells": len(cx),
        "regions": len(cx.regions),
        "maps": len(cx.maps),
        "certified": cx.certified,
        "cells_with_points": len(met),
        "area_with_points": float(cx.volumes[met].sum() / cx.volume),
        "test_in_these": float(np.isin(cx.locate(test), met).mean()),
        "points": len(points),
        "terms": len(cells.first),
        "network_accuracy": float((case.labels == case.truth).double().mean()),
    }


def _picture(polygons: Sequence[np.ndarray], labels: np.ndarray, boundary: Sequence[np.ndarray] | np.ndarray) -> dict[str, Any]:
    return {
        "polygons": [np.round(p, DIGITS).tolist() for p in polygons],
        "labels": np.asarray(labels).tolist(),
        "boundary": [np.round(piece, DIGITS).tolist() for piece in boundary],
    }


def tables(results: Results) -> list[Table]:
    """The network's regions, and beside them what N^(X) makes of the window."""
    before, after = [], []
    for model in results.values("model"):
        runs = results.where(model=model, decomposition=SPLITS[0])
        counts = [spread(runs, key).text(0) for key in ("cells", "regions", "maps", "cells_with_points")]
        counts.append(f"{runs[0]['points']:,}")
        shares = [spread(runs, key, 100).text() for key in ("area_with_points", "test_in_these", "network_accuracy")]
        before.append([model, *counts, *shares])
        for method in SPLITS:
            found = results.where(model=model, decomposition=method)
            numbers = [spread(found, key).text(0) for key in ("terms", "winning_plus", "winning_minus")]
            keys = ("area_agreement", "straight_area", "agreement", "accuracy")
            after.append([model, method, *numbers, *(spread(found, key, 100).text() for key in keys)])
    return [
        Table(
            "The network in the window, mean ± sd over runs",
            ["network", "cells", "regions", "maps", "cells with points", "points", "their area (%)", "test points there (%)",
             "accuracy (%)"],
            before,
            8,
            "Cells: activation patterns; regions: linear regions; maps: affine functions. Points: training points with terms.",
        ),
        Table(
            "N^(X) in the window, mean ± sd over runs",
            ["network", "decomposition", "terms", "a⁺ that win", "a⁻ that win", "same label, area (%)", "straight, area (%)",
             "same label, test (%)", "accuracy (%)"],
            after,
            7,
            "Terms: different ones, one for each cell and label that training points meet. Same label: as N. Straight: the "
            "winning a⁺ and a⁻ are of one cell, so that the value is that of a linear function of N.",
        ),
    ]  # fmt: skip


def findings(results: Results) -> list[str]:
    """How many regions hold points, and how much of the window keeps its label."""
    lines = []
    for model in results.values("model"):
        runs = results.where(model=model, decomposition=SPLITS[0])
        cells, held = (spread(runs, key).text(0) for key in ("cells", "cells_with_points"))
        alone = spread(runs, "area_with_points", 100).text()
        inside = spread(runs, "test_in_these", 100).text()
        lines.append(
            f"{model}: {held} of {cells} cells in the window hold training points ({alone} % of its area), "
            f"{runs[0]['points']:,} points in all; {inside} % of the test points lie in these cells."
        )
        for method in SPLITS:
            found = results.where(model=model, decomposition=method)
            terms, plus = (spread(found, key).text(0) for key in ("terms", "winning_plus"))
            lines.append(
                f"{model}, {method} split: of {terms} different terms {plus} a⁺ are the largest somewhere in the window; N^(X) "
                f"gives N's label on {spread(found, 'area_agreement', 100).text()} % of the area and on "
                f"{spread(found, 'agreement', 100).text()} % of the test points."
            )
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """A figure a network, of its first run: N, and N^(X) with each split."""
    found = {}
    models = results.values("model")
    for model in models:
        name = "figure1" if model == models[0] else f"figure1-{model}"
        found[name] = _figure(results.first(model), results.where(model=model))
    return found


def _figure(extra: Mapping[str, Any], rows: list[Row]) -> Figure:
    window = np.array(extra["window"])
    wide, tall = window[1] - window[0]
    by_decomposition = {row["decomposition"]: row for row in reversed(rows)}  # of the first run
    titles = {"network": f"N: {rows[0]['cells']:,} cells"}
    titles |= {m: f"N^(X), {m} split:\n{by_decomposition[m]['winning_plus']:,} terms" for m in SPLITS}
    columns = 3 if len(titles) == 3 else 2
    lines = -(-len(titles) // columns)
    across = style.PAPER_WIDTH / columns - 0.3
    figure = style.figure(height=lines * (min(across * tall / wide, 2 * across) + 0.45) + 0.75)
    panels = figure.subplots(lines, columns, squeeze=False).flatten()
    for ax in panels[len(titles) :]:
        ax.remove()
    points, names = np.array(extra["points"]), np.array(extra["labels"])
    for ax, (key, title) in zip(panels, titles.items(), strict=False):
        one = extra[key]
        polygons, boundary = ([np.array(p) for p in one[part]] for part in ("polygons", "boundary"))
        labels = np.array(one["labels"])
        label_map(polygons, labels, window, boundary=boundary, points=points, point_labels=names, size=9, title=title, ax=ax)
        ax.set_xlabel("first coordinate")
        ax.set_ylabel("second coordinate" if ax is panels[0] else "")
    handles, texts = panels[0].get_legend_handles_labels()
    texts = [text.rpartition(" (")[0] for text in texts]
    figure.legend(handles, texts, loc="outside lower center", ncols=min(len(texts), 10), handletextpad=0.1, columnspacing=1.0)
    return figure


def summary(results: Results) -> str:
    """Regions that hold points, and the area that keeps its label."""
    cells, held = (spread(results.where(decomposition=SPLITS[0]), key).text(0) for key in ("cells", "cells_with_points"))
    area = by_decomposition(results, "area_agreement")
    return f"With two inputs, {held} of {cells} cells hold training points; N^(X) gives N's label on {area} % of the area."


STUDY = Study(
    name="figure1",
    title="Figure 1: a network before and after extraction",
    question="A network with two inputs cuts the plane into linear regions. N^(X) has the terms of those that hold training "
    "points, and these spread over the plane. Data with more than two numbers a point are seen in the plane of their first two "
    "principal components, and the network is trained on these. The window is a rectangle around all points. Regions and "
    "boundaries are exact: those of N by its linear regions, those of N^(X) as the upper envelope of its a⁺, of which the "
    "largest gives the label. In the figure: areas in the color of their labels, the decision boundary in black, and some "
    "training points with their true labels.",
    paper="Figure 1 is a sketch: hyperplanes cut the input space into linear regions, most of which hold no data point, and "
    "each data point has a region of its own. After extraction the function is unchanged on the regions of training points, "
    "and test points fall into regions of training points. (With two inputs points may well share regions; in the paper's "
    "networks, with hundreds of inputs, all points have regions of their own.)",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    decompositions=SPLITS,
    summary=summary,
    view=in_the_plane,
)
