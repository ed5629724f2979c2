"""N^(X) from a random share of the training points (an experiment of the authors' scripts)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure

from tropica.evaluation.function import ExtractedFunction
from tropica.plots import mean_curves, style
from tropica.plots.mean_curves import Curve
from tropica.studies.case import Case
from tropica.studies.study import METHODS, Measured, Results, Row, Study, Table, bands, by_decomposition, spread

SHARES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
DRAWS = 5


def measure(case: Case) -> Measured:
    """A row a split, share and draw; the same draws for both splits."""
    rows: list[Row] = []
    number = len(case.points)
    generator = torch.Generator().manual_seed(case.run.seed)
    draws = [torch.randperm(number, generator=generator) for _ in range(DRAWS)]
    for method in METHODS:
        terms = case.terms(method)
        step = case.step(f"shares of the terms, {method} split")
        for share in SHARES:
            taken = max(1, round(number * share / 100))
            for draw, order in enumerate(draws[:1] if share == 100 else draws):
                some = terms.select(order[:taken].sort().values)
                labels = ExtractedFunction(some).predict(case.test, progress=step)
                rows.append(
                    {
                        "decomposition": method,
                        "share": share,
                        "draw": draw,
                        "terms": taken,
                        "agreement": float((labels == case.labels).double().mean()),
                        "accuracy": float((labels == case.truth).double().mean()),
                    }
                )
    return Measured(rows)


def tables(results: Results) -> list[Table]:
    """Agreement by share."""
    rows = []
    for model in results.values("model"):
        for share in SHARES:
            cells = []
            for method in METHODS:
                found = results.where(model=model, decomposition=method, share=share)
                cells += [spread(found, key, 100).text() for key in ("agreement", "accuracy")]
            terms = results.where(model=model, share=share)[0]["terms"]
            rows.append([model, f"{share} %", f"{terms:,}", *cells])
    headings = ["network", "share", "terms", *(f"{key}, {method}" for method in METHODS for key in ("agreement", "accuracy"))]
    return [Table(f"In % of the test points, mean ± sd over runs and {DRAWS} draws", headings, rows, 6)]


def findings(results: Results) -> list[str]:
    """What ten times the terms bring."""
    lines = []
    for model in results.values("model"):
        for method in METHODS:
            few, half, whole = (
                spread(results.where(model=model, decomposition=method, share=share), "agreement", 100).mean
                for share in (10, 50, 100)
            )
            lines.append(
                f"{model}, {method} split: {few:.1f} % agreement with a tenth of the terms, {half:.1f} % with half, "
                f"{whole:.1f} % with all."
            )
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """A panel a split, a curve a network."""
    figure = style.figure(height=2.6)
    panels = figure.subplots(1, len(METHODS), sharey=True)
    for ax, method in zip(panels, METHODS, strict=True):
        lines = {}
        for model in results.values("model"):
            found = [
                spread(results.where(model=model, decomposition=method, share=share), "agreement", 100) for share in SHARES
            ]
            lines[model] = Curve(SHARES, *bands(found))
        first = ax is panels[0]
        label = "N vs N^(X) (% of test points)" if first else ""
        mean_curves(
            lines, xlabel="share of the training points (%)", ylabel=label, title=f"{method} split", legend=first, ax=ax
        )
    return {"share": figure}


def summary(results: Results) -> str:
    """Few terms beside all."""
    few, whole = (by_decomposition(results, "agreement", share=share) for share in (10, 100))
    return f"Agreement in % with a tenth of the terms: {few}; with all: {whole}."


STUDY = Study(
    name="share",
    title="N^(X) from a share of the terms",
    question="How much does N^(X) need of the training points? It is rebuilt from random shares of the terms, five draws each; "
    "the decomposition is the one for all points.",
    paper="The authors' scripts measure N^(X) from 10 % to 90 % of the training points in five draws; the main text reports no "
    "number for it.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
