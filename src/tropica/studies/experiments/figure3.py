"""Figure 3: accuracy and agreement as layer after layer, from the output on, is merged into an extracted function."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure

from tropica.compare.layerwise import layer_cuts
from tropica.decomposition.decompose import decompose
from tropica.decomposition.prepare import inner_points
from tropica.evaluation.function import ExtractedFunction
from tropica.network.graph import INPUT
from tropica.network.network import PiecewiseLinearNetwork
from tropica.plots import mean_curves
from tropica.studies.case import Case, equal_share
from tropica.studies.panels import PERCENT, panel_grid
from tropica.studies.study import METHODS, Measurement, Results, Row, Study
from tropica.studies.tables import Table, aggregate, by_decomposition, by_family, curve, percent, select

BATCH = 256
NAMES = {"agreement": "fidelity", "accuracy": "test accuracy"}


def measure(case: Case) -> Measurement:
    """A row for each decomposition and number of merged layers; 0 is the network itself."""
    cuts = list(layer_cuts(case.net))
    rows: list[Row] = []
    for method in METHODS:
        rows.append(_row(case, method, 0, "", case.network_labels))
        for merged, (name, before) in enumerate(cuts, start=1):
            head, tail = (None, case.net) if before == INPUT else case.net.cut(before)
            labels = _labels(case, method, head, tail, f"{method} decomposition, {merged} layers merged")
            rows.append(_row(case, method, merged, name, labels))
    return Measurement(rows)


def _labels(
    case: Case, method: str, head: PiecewiseLinearNetwork | None, tail: PiecewiseLinearNetwork, what: str
) -> torch.Tensor:
    """The labels of the function extracted from the tail, on the head's outputs; its terms are not kept."""
    progress = case.progress(what)
    points, test = (x if head is None else inner_points(head, x, BATCH) for x in (case.points, case.test))
    decomposition = decompose(tail, points, method=method, progress=progress)
    return ExtractedFunction.streaming(tail, points, decomposition, progress=progress).predict(test, progress=progress)


def _row(case: Case, method: str, merged: int, layer: str, labels: torch.Tensor) -> Row:
    agreement, accuracy = equal_share(labels, case.network_labels), equal_share(labels, case.true_labels)
    row = {"decomposition": method, "merged": merged, "layer": layer}
    return {**row, "agreement": agreement, "accuracy": accuracy}


def tables(results: Results) -> list[Table]:
    """A table for each network."""
    found = []
    for model in results.models:
        rows = select(results.rows, model=model)
        rows = rows.assign(last=rows["layer"].replace("", "none"))
        cells = {key: (key, percent) for key in ("agreement", "accuracy")}
        frame = aggregate(rows, {"merged": "merged", "last merged": "last"}, cells, across="decomposition")
        found.append(Table(f"{model}: in % of the test points, mean ± sd over runs", frame))
    return found


def findings(results: Results) -> list[str]:
    """The loss of accuracy from the network to N^(X), and the layer with the largest loss."""
    lines = []
    for model in results.models:
        for method in METHODS:
            rows = select(results.rows, model=model, decomposition=method)
            means = 100 * rows.groupby(["merged", "layer"])["accuracy"].mean()
            falls = -means.diff().iloc[1:].round(6)
            largest, (_, layer) = falls.max(), falls.idxmax()
            fall = (
                f"the largest single fall, {largest:.1f} points, comes with {layer}"
                if largest > 0
                else "no layer costs accuracy"
            )
            first, last = means.iloc[0], means.iloc[-1]
            lines.append(
                f"{model}, {method} decomposition: accuracy goes from {first:.1f} % to {last:.1f} % "
                f"({last - first:+.1f} points); {fall}."
            )
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """A panel for each network: accuracy and agreement with both decompositions."""
    figure, panels = panel_grid(len(results.models), 2.6, sharey=True)
    for ax, model in zip(panels, results.models, strict=True):
        rows = select(results.rows, model=model)
        lines = {
            f"{NAMES[key]}, {method} decomposition": curve(select(rows, decomposition=method), "merged", key)
            for method in METHODS
            for key in ("agreement", "accuracy")
        }
        ticks = dict(zip(rows["merged"], rows["layer"].replace("", "none"), strict=True))
        first = ax is panels[0]
        ylabel = "% of test points" if first else ""
        xlabel = "layer merged last, from the output"
        look = {"legend": False, "within": PERCENT}
        mean_curves(lines, xlabel=xlabel, ylabel=ylabel, title=model, ticks=ticks, ax=ax, **look)
        ax.tick_params("x", rotation=60 if len(ticks) > 3 else 0)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return {"figure3": figure}


def summary(results: Results) -> str:
    """The accuracy with no layer and with all layers merged."""
    rows = results.rows
    last = rows[rows["merged"] == rows.groupby("model")["merged"].transform("max")]
    return (
        f"Accuracy in % before any layer is merged: {by_family(select(rows, merged=0), 'accuracy')}; with all merged: "
        f"{by_decomposition(last, 'accuracy', METHODS)}."
    )


STUDY = Study(
    name="figure3",
    title="Figure 3: from the network to its extracted function, layer by layer",
    question="The layers of a network are merged one by one into an extracted function, the last first: test points go through "
    "the remaining layers, and the function that is extracted from the merged layers, at the training points' values before "
    "them, gives the label. With all layers merged it is N^(X); with none it is the network. "
    "Activations, norms and reshapes are merged with the layer before them.",
    paper="Fully connected networks keep more of their accuracy at every step than convolutional ones, in all networks. Narrow "
    "(a CNN) loses 36.6 points of accuracy, Wide (fully connected, with as many nodes) 8.1.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
