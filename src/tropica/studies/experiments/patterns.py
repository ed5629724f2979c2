"""Appendix E.5: how much of a test point's activation pattern its deciding training point shares."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor

from tropica.compare.patterns import pattern_agreement
from tropica.plots import mean_curves
from tropica.studies.case import Case
from tropica.studies.panels import PERCENT, panel_grid
from tropica.studies.study import METHODS, Measurement, Results, Row, Study
from tropica.studies.tables import Table, aggregate, by_family, curve, percent, select

PAIRINGS = (*METHODS, "random")
"""The training point that a test point is paired with: the deciding point with a decomposition, or a random one."""


def measure(case: Case) -> Measurement:
    """A row for each pairing and nonlinearity."""
    rows: list[Row] = []
    generator = torch.Generator().manual_seed(case.run.seed)
    drawn = torch.randint(len(case.points), (len(case.test),), generator=generator)
    for pairing in PAIRINGS:
        found = None if pairing == "random" else case.deciding_points(pairing)
        partners = case.points.inputs[drawn if found is None else found.index]
        progress = case.progress(f"patterns, {pairing}")
        shares = pattern_agreement(case.net, case.test.inputs, partners, per_point=True, floating="model", progress=progress)
        right = None if found is None else found.extracted_labels == case.true_labels
        for i, nonlinearity in enumerate(case.net.nonlinearities):
            rows.append(
                {
                    "pairing": pairing,
                    "depth": i + 1,
                    "nonlinearity": nonlinearity.path or nonlinearity.name,
                    "units": nonlinearity.units,
                    "agreement": float(shares[:, i].mean()),
                    "agreement_right": None if right is None else _mean(shares[right, i]),
                    "agreement_wrong": None if right is None else _mean(shares[~right, i]),
                }
            )
    return Measurement(rows)


def _mean(values: Tensor) -> float | None:
    return float(values.mean()) if len(values) else None


def tables(results: Results) -> list[Table]:
    """A table for each network."""
    note = (
        "With the deciding training point, by decomposition, over all test points and over right and wrong answers of N^(X); "
        "with a training point drawn at random."
    )
    found = []
    for model in results.models:
        rows = select(results.rows, model=model)
        rows = rows.assign(number=rows["units"].map("{:,}".format))
        by = {"nonlinearity": "nonlinearity", "units": "number"}
        parts = []
        for method in METHODS:
            cells = {f"{method}{what.replace('_', ', ')}": (f"agreement{what}", percent) for what in ("", "_right", "_wrong")}
            parts.append(aggregate(select(rows, pairing=method), by, cells))
        parts.append(aggregate(select(rows, pairing="random"), by, {"random": ("agreement", percent)}))
        frame = parts[0].join(parts[1:])
        found.append(Table(f"{model}: units with equal activation, in %, mean ± sd over runs", frame, note))
    return found


def findings(results: Results) -> list[str]:
    """The range of the agreement over layers, with deciding points and with random points."""
    lines = []
    for family in results.families:
        for pairing in PAIRINGS:
            rows = select(results.rows, family=family, pairing=pairing)
            by_layer = 100 * rows.groupby(["model", "depth"])["agreement"].mean()
            who = "a training point drawn at random" if pairing == "random" else f"the deciding point ({pairing} decomposition)"
            lines.append(
                f"{family}, with {who}: {by_layer.min():.0f} to {by_layer.max():.0f} % of the units of a layer agree, "
                f"{by_layer.mean():.0f} % on average over the layers."
            )
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """A panel for each network, over depth."""
    figure, panels = panel_grid(len(results.models), 2.7, columns=len(results.models), sharey=True)
    for ax, model in zip(panels, results.models, strict=True):
        rows = select(results.rows, model=model)
        names = {p: "random training point" if p == "random" else f"deciding, {p} decomposition" for p in PAIRINGS}
        lines = {name: curve(select(rows, pairing=pairing), "depth", "agreement") for pairing, name in names.items()}
        ticks = dict(zip(rows["depth"], rows["nonlinearity"], strict=True))
        first = ax is panels[0]
        ylabel = "units with equal activation (%)" if first else ""
        look = {"legend": first, "within": PERCENT}
        mean_curves(lines, xlabel="layer", ylabel=ylabel, title=model, ticks=ticks, ax=ax, **look)
        if len(ticks) > 6:
            ax.tick_params(axis="x", rotation=60)
    return {"patterns": figure}


def summary(results: Results) -> str:
    """The mean agreement over layers, with deciding points and with random points."""
    means = (f"{by_family(select(results.rows, pairing=pairing), 'agreement')} ({pairing})" for pairing in PAIRINGS)
    return f"Units of a layer with equal activation in %, for the deciding points and for random pairs: {'; '.join(means)}."


STUDY = Study(
    name="patterns",
    title="Appendix E.5: activation patterns of test points and of their deciding training points",
    question="For each test point and its deciding training point: what share of the units of each layer is active at both or "
    "at neither (for max-pools: takes the same position of the window)? For comparison, the same share with a training point "
    "drawn at random.",
    paper="In each layer about 80 % of the activations agree: the patterns of test points deviate considerably from those of "
    "their deciding training points, and generalization cannot be explained by very similar patterns.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
