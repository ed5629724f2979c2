"""N^(X) from a random share of the training points (an experiment of the authors' scripts)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure

from tropica.evaluation.function import ExtractedFunction
from tropica.plots import mean_curves
from tropica.studies.case import Case, equal_share
from tropica.studies.panels import FIDELITY, PERCENT, decomposition_panels
from tropica.studies.study import METHODS, Measurement, Results, Row, Study
from tropica.studies.tables import Table, aggregate, by_decomposition, curve, percent, select

SHARES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
DRAWS = 5


def measure(case: Case) -> Measurement:
    """A row for each decomposition, share and draw; the draws are the same for all decompositions."""
    rows: list[Row] = []
    number = len(case.points)
    generator = torch.Generator().manual_seed(case.run.seed)
    draws = [torch.randperm(number, generator=generator) for _ in range(DRAWS)]
    for method in METHODS:
        terms = case.terms(method)
        progress = case.progress(f"shares of the terms, {method} decomposition")
        for share in SHARES:
            taken = max(1, round(number * share / 100))
            for draw, order in enumerate(draws[:1] if share == 100 else draws):
                function = ExtractedFunction(terms.select(order[:taken].sort().values))
                labels = function.predict(case.test, progress=progress)
                rows.append(
                    {
                        "decomposition": method,
                        "share": share,
                        "draw": draw,
                        "terms": taken,
                        "agreement": equal_share(labels, case.network_labels),
                        "accuracy": equal_share(labels, case.true_labels),
                    }
                )
    return Measurement(rows)


def tables(results: Results) -> list[Table]:
    """Agreement and accuracy by share."""
    rows = results.rows.assign(
        percent=results.rows["share"].map("{} %".format), number=results.rows["terms"].map("{:,}".format)
    )
    by = {"network": "model", "share": "percent", "terms": "number"}
    frame = aggregate(rows, by, {key: (key, percent) for key in ("agreement", "accuracy")}, across="decomposition")
    return [Table(f"In % of the test points, mean ± sd over runs and {DRAWS} draws", frame)]


def findings(results: Results) -> list[str]:
    """Agreement with a tenth of the terms, with half and with all."""
    lines = []
    for model in results.models:
        for method in METHODS:
            found = select(results.rows, model=model, decomposition=method)
            few, half, all_terms = (100 * select(found, share=share)["agreement"].mean() for share in (10, 50, 100))
            lines.append(
                f"{model}, {method} decomposition: {few:.1f} % agreement with a tenth of the terms, {half:.1f} % with half, "
                f"{all_terms:.1f} % with all."
            )
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """A panel for each decomposition, a curve for each network."""
    figure, panels = decomposition_panels(2.6)
    for ax, method in zip(panels[0], METHODS, strict=True):
        rows = select(results.rows, decomposition=method)
        lines = {model: curve(select(rows, model=model), "share", "agreement") for model in results.models}
        first = ax is panels[0][0]
        label = FIDELITY if first else ""
        title = f"{method} decomposition"
        mean_curves(
            lines, xlabel="share of the training points (%)", ylabel=label, title=title, legend=first, within=PERCENT, ax=ax
        )
    return {"share": figure}


def summary(results: Results) -> str:
    """The agreement with a tenth of the terms and with all."""
    few, all_terms = (by_decomposition(select(results.rows, share=share), "agreement", METHODS) for share in (10, 100))
    return f"Agreement in % with a tenth of the terms: {few}; with all: {all_terms}."


STUDY = Study(
    name="share",
    title="N^(X) from a share of the terms",
    question="How many of the training points does N^(X) need? It is rebuilt from random shares of the terms, five draws each; "
    "the decomposition is that of all training points.",
    paper="The authors' scripts measure N^(X) from 10 % to 90 % of the training points in five draws; the main text reports no "
    "numbers for it.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
