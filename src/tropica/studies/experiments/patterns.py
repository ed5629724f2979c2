"""Appendix E.5: how much of a test point's activation pattern the training point that decides it shares."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor

from tropica.compare.patterns import pattern_agreement
from tropica.plots import mean_curves, style
from tropica.plots.mean_curves import Curve
from tropica.studies.case import Case
from tropica.studies.study import METHODS, Measured, Results, Row, Study, Table, bands, by_family, families, spread

PAIRS = (*METHODS, "random")
"""Whom a test point is paired with: the training point that decides it, by split, or some training point."""


def measure(case: Case) -> Measured:
    """A row a pairing and nonlinearity."""
    rows: list[Row] = []
    generator = torch.Generator().manual_seed(case.run.seed)
    drawn = torch.randint(len(case.points), (len(case.test),), generator=generator)
    for pairing in PAIRS:
        found = None if pairing == "random" else case.deciders(pairing)
        partner = drawn if found is None else found.winner
        y = case.points.inputs[partner]
        step = case.step(f"patterns, {pairing}")
        shares = pattern_agreement(case.net, case.test.inputs, y, per_point=True, progress=step)
        right = None if found is None else found.extracted == case.truth
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
    return Measured(rows)


def _mean(values: Tensor) -> float | None:
    return float(values.mean()) if len(values) else None


def tables(results: Results) -> list[Table]:
    """A table a network."""
    found = []
    for model in results.values("model"):
        rows = []
        for depth in results.values("depth", model=model):
            at = results.where(model=model, depth=depth)
            cells = [
                spread([row for row in at if row["pairing"] == pairing], key, 100).text()
                for pairing in METHODS
                for key in ("agreement", "agreement_right", "agreement_wrong")
            ]
            by_chance = spread([row for row in at if row["pairing"] == "random"], "agreement", 100).text()
            rows.append([at[0]["nonlinearity"], f"{at[0]['units']:,}", *cells, by_chance])
        headings = [
            "nonlinearity",
            "units",
            *(f"{method}{what}" for method in METHODS for what in ("", ", right", ", wrong")),
            "random",
        ]
        note = (
            "With the deciding training point, by split, over all test points and over right and wrong answers of N^(X); with "
        )
        note += "a training point drawn at random."
        title = f"{model}: units with equal activation, in %, mean ± sd over runs"
        found.append(Table(title, headings, rows, len(headings) - 1, note))
    return found


def findings(results: Results) -> list[str]:
    """Per layer: the range over layers, beside chance."""
    lines = []
    for name in families(results):
        for pairing in PAIRS:
            found = results.where(family=name, pairing=pairing)
            by_layer = [
                spread([row for row in found if (row["model"], row["depth"]) == key], "agreement", 100).mean
                for key in dict.fromkeys((row["model"], row["depth"]) for row in found)
            ]
            who = "a training point drawn at random" if pairing == "random" else f"the deciding one ({pairing} split)"
            lines.append(
                f"{name}, with {who}: {min(by_layer):.0f} to {max(by_layer):.0f} % of the units of a layer agree, "
                f"{sum(by_layer) / len(by_layer):.0f} % on average over the layers."
            )
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """A panel a network, over depth."""
    models = results.values("model")
    figure = style.figure(height=2.7)
    panels = figure.subplots(1, len(models), squeeze=False, sharey=True)[0]
    for ax, model in zip(panels, models, strict=True):
        depths = results.values("depth", model=model)
        lines = {}
        for pairing in PAIRS:
            found = [spread(results.where(model=model, pairing=pairing, depth=d), "agreement", 100) for d in depths]
            name = "random training point" if pairing == "random" else f"deciding, {pairing} split"
            lines[name] = Curve(depths, *bands(found))
        ticks = {d: results.where(model=model, depth=d)[0]["nonlinearity"] for d in depths}
        first = ax is panels[0]
        ylabel = "units with equal activation (%)" if first else ""
        mean_curves(lines, xlabel="layer", ylabel=ylabel, title=model, ticks=ticks, legend=first, ax=ax)
        if len(depths) > 6:
            ax.tick_params(axis="x", rotation=60)
    return {"patterns": figure}


def summary(results: Results) -> str:
    """The deciding training points beside random ones, on average over layers."""
    means = "; ".join(f"{by_family(results, 'agreement', pairing=pairing)} ({pairing})" for pairing in PAIRS)
    return f"Units of a layer with equal activation in %, by the decomposition that decides, and for random pairs: {means}."


STUDY = Study(
    name="patterns",
    title="Appendix E.5: activation patterns of test points and of the training points that decide them",
    question="For each test point and the training point whose term decides it: what share of the units of each layer is "
    "active at both or at neither (for max-pools: takes the same place of the window)? Beside it, what a training point drawn "
    "at random shares.",
    paper="In each layer about 80 % of the activations agree: the patterns of test points deviate considerably from those of "
    "the training points that decide them, and generalization cannot be explained by very similar patterns.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
