"""Figure 1: the regions of a network with two inputs before and after extraction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from tropica.plots import label_map, label_polygons, style
from tropica.polyhedra.envelope import Envelope, upper_envelope
from tropica.regions.complex.region_complex import RegionComplex
from tropica.regions.domains.constructors import Box
from tropica.regions.linear_regions import linear_regions
from tropica.studies.case import Case, equal_share
from tropica.studies.projection import project_to_plane
from tropica.studies.study import METHODS, Measurement, Results, Row, Study
from tropica.studies.tables import Table, aggregate, by_decomposition, decimals, mean_sd, percent, select
from tropica.terms.linear_terms import LinearTerms

DECOMPOSITIONS = (*METHODS, "minimal")
PICTURE_MARGIN = 0.05
"""Width of the window's border on each side of the points, relative to their extent."""
PIXELS = 600
"""Side of the grid on which labels are compared for the picture."""
SHOWN = 150
"""The largest number of training points in the figure."""
DIGITS = 5
"""The number of decimals of coordinates in the figure's data."""


@dataclass(frozen=True)
class Representatives:
    """One training point for each pair of cell and label among the training points.

    Attributes:
        index: the indices of these training points.
        cell: a number for the cell of each.
    """

    index: np.ndarray
    cell: np.ndarray


def representatives(patterns: np.ndarray, labels: np.ndarray) -> Representatives:
    """The first point of each cell and label, from activation patterns (D, bytes) and the network's labels (D,)."""
    _, number = np.unique(patterns, axis=0, return_inverse=True)
    _, index = np.unique(np.stack([number.ravel(), labels], 1), axis=0, return_index=True)
    return Representatives(index, number.ravel()[index])


def measure(case: Case) -> Measurement:
    """A row for each decomposition; for the figure, the polygons of the network and of N^(X). Computed in float64."""
    case = case.with_dtype(torch.float64)
    points, test = (data.inputs.double().numpy() for data in (case.points, case.test))
    window = _window(np.concatenate([points, test]))
    cx = linear_regions(case.net, Box(*window.tolist()))
    pieces, piece_labels = label_polygons(cx)
    network_labels = case.predict(case.points.inputs).numpy()
    chosen = representatives(case.net.activation_pattern(case.points.inputs.double()).numpy(), network_labels)
    about_network = _measure_network(cx, points, test, case)
    rows: list[Row] = []
    figure_data: dict[str, Any] = {
        "window": window.tolist(),
        "points": points[:SHOWN].tolist(),
        "labels": case.points.labels[:SHOWN].tolist() if case.points.labels is not None else [],
        "network": _picture(pieces, piece_labels, cx.boundary().pieces),
    }
    for method in DECOMPOSITIONS:
        terms = case.terms(method)
        plus, minus = envelopes(terms, chosen, window)
        labels = network_labels[chosen.index]
        number, active, size = plus.areas(pieces)
        polygon, active_minus, shared = minus.areas(plus.polygons)
        straight = chosen.cell[plus.active[polygon]] == chosen.cell[active_minus]
        found = case.function(method).predict(case.test, progress=case.progress(f"labels, {method} decomposition"))
        rows.append(
            {
                "decomposition": method,
                **about_network,
                "terms": len(chosen.index),
                "active_plus": len(plus.active),
                "active_minus": len(minus.active),
                "area_agreement": float(size[piece_labels[number] == labels[active]].sum() / size.sum()),
                "straight_area": float(shared[straight].sum() / shared.sum()),
                "agreement": equal_share(found, case.network_labels),
                "accuracy": equal_share(found, case.true_labels),
                "certificate_holds": terms.certificate.holds,
            }
        )
        ends, pairs = plus.edges()
        figure_data[method] = _picture(plus.polygons, labels[plus.active], ends[labels[pairs[:, 0]] != labels[pairs[:, 1]]])
    return Measurement(rows, figure_data)


def envelopes(terms: LinearTerms, chosen: Representatives, window: np.ndarray) -> tuple[Envelope, Envelope]:
    """max_k a⁺_k and max_k a⁻_k over the window; points of one cell and label share their term."""
    corners = np.array([window[[i, j], [0, 1]] for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))])
    some = terms.select(torch.from_numpy(chosen.index))
    plus, minus = (upper_envelope(a.weight.numpy(), a.bias.numpy(), corners) for a in (some.plus, some.minus))
    return plus, minus


def _window(points: np.ndarray) -> np.ndarray:
    """(2, 2): the lower and the upper corner of a rectangle around the points."""
    low, high = points.min(0), points.max(0)
    pad = PICTURE_MARGIN * np.maximum(high - low, (high - low).max() / 100 or 1.0)
    return np.stack([low - pad, high + pad])


def _measure_network(cx: RegionComplex, points: np.ndarray, test: np.ndarray, case: Case) -> Row:
    """The network's cells in the window, and the cells that contain training points."""
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
        "network_accuracy": equal_share(case.network_labels, case.true_labels),
    }


def _picture(polygons: Sequence[np.ndarray], labels: np.ndarray, boundary: Sequence[np.ndarray] | np.ndarray) -> dict[str, Any]:
    return {
        "polygons": [np.round(p, DIGITS).tolist() for p in polygons],
        "labels": np.asarray(labels).tolist(),
        "boundary": [np.round(piece, DIGITS).tolist() for piece in boundary],
    }


def tables(results: Results) -> list[Table]:
    """The network's regions, and N^(X) in the window."""
    rows = results.rows.assign(number=results.rows["points"].map("{:,}".format))
    before = {
        "cells": ("cells", decimals(0)),
        "regions": ("regions", decimals(0)),
        "maps": ("maps", decimals(0)),
        "cells with points": ("cells_with_points", decimals(0)),
        "points": ("number", lambda numbers: numbers.iloc[0]),
        "their area (%)": ("area_with_points", percent),
        "test points there (%)": ("test_in_these", percent),
        "accuracy (%)": ("network_accuracy", percent),
    }
    after = {
        "terms": ("terms", decimals(0)),
        "active a⁺": ("active_plus", decimals(0)),
        "active a⁻": ("active_minus", decimals(0)),
        "same label, area (%)": ("area_agreement", percent),
        "straight, area (%)": ("straight_area", percent),
        "same label, test (%)": ("agreement", percent),
        "accuracy (%)": ("accuracy", percent),
    }
    return [
        Table(
            "The network in the window, mean ± sd over runs",
            aggregate(select(rows, decomposition=DECOMPOSITIONS[0]), {"network": "model"}, before),
            "Cells: activation patterns; regions: linear regions; maps: affine functions. Points: training points with terms.",
        ),
        Table(
            "N^(X) in the window, mean ± sd over runs",
            aggregate(rows, {"network": "model", "decomposition": "decomposition"}, after),
            "Terms: distinct terms, one for each cell and label of training points. Active: largest somewhere in the window. "
            "Same label: N^(X) gives the label of N. Straight: the active a⁺ and a⁻ come from one cell, so that the value is "
            "that of a linear term of N.",
        ),
    ]


def findings(results: Results) -> list[str]:
    """The cells that contain training points, and the share of the window on which N^(X) gives N's label."""
    lines = []
    for model in results.models:
        rows = select(results.rows, model=model)
        runs = select(rows, decomposition=DECOMPOSITIONS[0])
        cells, held = (mean_sd(runs[key], digits=0) for key in ("cells", "cells_with_points"))
        lines.append(
            f"{model}: {held} of {cells} cells in the window contain training points ({percent(runs['area_with_points'])} % of "
            f"its area), {runs['points'].iloc[0]:,} points in all; {percent(runs['test_in_these'])} % of the test points lie "
            "in these cells."
        )
        for method in DECOMPOSITIONS:
            found = select(rows, decomposition=method)
            terms, plus = (mean_sd(found[key], digits=0) for key in ("terms", "active_plus"))
            lines.append(
                f"{model}, {method} decomposition: of {terms} distinct terms {plus} are active somewhere in the "
                f"window; N^(X) gives N's label on {percent(found['area_agreement'])} % of the area and on "
                f"{percent(found['agreement'])} % of the test points."
            )
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """A figure for each network, of its first run: N, and N^(X) with each decomposition."""
    first = results.models[0]
    return {
        "figure1" if model == first else f"figure1-{model}": _figure(
            results.first_run(model), select(results.rows, model=model)
        )
        for model in results.models
    }


def _figure(data: Mapping[str, Any], rows: pd.DataFrame) -> Figure:
    window = np.array(data["window"])
    wide, tall = window[1] - window[0]
    first = rows.drop_duplicates("decomposition").set_index("decomposition")
    titles = {"network": f"N: {first['cells'].iloc[0]:,} cells"}
    titles |= {m: f"N^(X), {m}: {first['active_plus'][m]:,} terms" for m in DECOMPOSITIONS}
    columns = 2
    across = style.PAPER_WIDTH / columns - 0.3
    lines = -(-(len(titles) + 1) // columns)
    figure = style.figure(height=lines * (min(across * tall / wide, 2 * across) + 0.45) + 0.75)
    figure.set_layout_engine("constrained", h_pad=0.1)  # titles stay off the labels above them
    panels = figure.subplots(lines, columns, squeeze=False).flatten()
    points, names = np.array(data["points"]), np.array(data["labels"])
    for ax, (key, title) in zip(panels, titles.items(), strict=False):
        one = data[key]
        polygons, boundary = ([np.array(p) for p in one[part]] for part in ("polygons", "boundary"))
        labels = np.array(one["labels"])
        label_map(
            polygons,
            labels,
            window,
            boundary=boundary,
            points=points,
            point_labels=names,
            size=9,
            title=title,
            written=False,
            ax=ax,
        )
        ax.set_xlabel("first coordinate")
        ax.set_ylabel("second coordinate" if ax is panels[0] else "")
    _draw_difference(panels[len(titles)], data, window)
    for ax in panels[len(titles) + 1 :]:
        ax.remove()
    handles, texts = panels[0].get_legend_handles_labels()
    texts = [text.rpartition(" (")[0] for text in texts]
    figure.legend(handles, texts, loc="outside lower center", ncols=min(len(texts), 10), handletextpad=0.1, columnspacing=1.0)
    return figure


def _draw_difference(ax: Axes, data: Mapping[str, Any], window: np.ndarray) -> None:
    """Mark where N^(X) with the calibrated decomposition gives another label than N."""
    one, other = (_label_image(data[key], window) for key in ("network", METHODS[1]))
    differ = one != other
    extent = (window[0, 0], window[1, 0], window[0, 1], window[1, 1])
    ax.imshow(np.where(differ, 1.0, 0.0), cmap="Reds", vmin=0, vmax=1.4, extent=extent, origin="lower", aspect="equal")
    for segment in data["network"]["boundary"]:
        ax.plot(*np.array(segment).T, color=style.BLACK, linewidth=0.7)
    ax.set_title(f"N^(X), {METHODS[1]}: not N's label on {100 * differ.mean():.1f} %")
    style.set_plane(ax, window[0], window[1], ("first coordinate", "second coordinate"))


def _label_image(one: Mapping[str, Any], window: np.ndarray) -> np.ndarray:
    """The labels of polygons on a grid of PIXELS × PIXELS, the first row at the bottom."""
    image = Image.new("I", (PIXELS, PIXELS), -1)
    draw = ImageDraw.Draw(image)
    for polygon, label in zip(one["polygons"], one["labels"], strict=True):
        at = (np.array(polygon) - window[0]) / (window[1] - window[0]) * (PIXELS - 1)
        draw.polygon([tuple(corner) for corner in at.tolist()], fill=int(label))
    return np.asarray(image)


def summary(results: Results) -> str:
    """The cells that contain training points, and the area on which N^(X) gives N's label."""
    rows = select(results.rows, decomposition=DECOMPOSITIONS[0])
    cells, held = (mean_sd(rows[key], digits=0) for key in ("cells", "cells_with_points"))
    area = by_decomposition(results.rows, "area_agreement", METHODS)
    return f"With two inputs, {held} of {cells} cells contain training points; N^(X) gives N's label on {area} % of the area."


STUDY = Study(
    name="figure1",
    title="Figure 1: a network before and after extraction",
    question="A network with two inputs cuts the plane into linear regions. N^(X) has the terms of the regions that contain "
    "training points, and these terms extend over the plane. Points with more than two coordinates are projected to their "
    "first two principal components, and the network is trained on these. The window is a rectangle around all points. Regions "
    "and boundaries are exact: those of N by its linear regions, those of N^(X) by the upper envelope of its a⁺, the largest "
    "of which gives the label. In the figure: areas in the color of their labels, the decision boundary in black, and some "
    "training points with their true labels.",
    paper="Figure 1 is a sketch: hyperplanes cut the input space into linear regions, most of which hold no data point, and "
    "each data point has a region of its own. After extraction the function is unchanged on the regions of training points, "
    "and test points fall into regions of training points. (With two inputs points may well share regions; in the paper's "
    "networks, with hundreds of inputs, all points have regions of their own.)",
    measure=measure,
    needs="networks of two inputs, which it trains on projected points",
    tables=tables,
    findings=findings,
    figures=figures,
    decompositions=DECOMPOSITIONS,
    summary=summary,
    transform=project_to_plane,
)
