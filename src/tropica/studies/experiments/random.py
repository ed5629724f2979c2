"""Random inputs in place of the training points (an experiment of the authors' scripts)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from matplotlib.figure import Figure
from torch import Tensor

from tropica.decomposition.decompose import decompose
from tropica.decomposition.extract import extract
from tropica.evaluation.function import ExtractedFunction
from tropica.plots import grouped_means, style
from tropica.studies.case import Case
from tropica.studies.study import METHODS, Measured, Results, Row, Study, Table, bands, by_decomposition, spread

SOURCES = {
    "data": "the training points themselves",
    "shuffled": "each input dimension drawn from the training points by itself",
    "uniform": "each input dimension uniform between its smallest and largest value",
}


def drawn(source: str, points: Tensor, generator: torch.Generator) -> Tensor:
    """As many points of a source as there are training points.

    >>> x = torch.arange(6.0).reshape(3, 2)
    >>> bool((drawn("shuffled", x, torch.Generator().manual_seed(0)).sort(0).values == x).all())
    True
    """
    if source == "data":
        return points
    flat = points.flatten(1)
    noise = torch.rand(flat.shape, generator=generator)
    if source == "shuffled":
        return flat.gather(0, noise.argsort(0)).reshape(points.shape)
    low, high = flat.amin(0), flat.amax(0)
    return (low + (high - low) * noise).reshape(points.shape)


def measure(case: Case) -> Measured:
    """A row a decomposition and source."""
    rows: list[Row] = []
    generator = torch.Generator().manual_seed(case.run.seed)
    for source in SOURCES:
        x = drawn(source, case.points.inputs, generator)
        fresh = case.test.inputs if source == "data" else drawn(source, case.points.inputs, generator)[: len(case.test)]
        given = case.predict(case.net, fresh)
        for method in METHODS:
            step = case.step(f"{source} points, {method} split")
            points = replace(case.points, inputs=x, labels=None)
            made = decompose(case.net, points, method=method, progress=step)
            terms = extract(case.net, points, made, check=False, progress=step)
            function = ExtractedFunction(terms)
            labels = function.predict(case.test, progress=step)
            rows.append(
                {
                    "decomposition": method,
                    "source": source,
                    "classes": len(terms.labels.unique()),
                    "agreement": float((labels == case.labels).double().mean()),
                    "accuracy": float((labels == case.truth).double().mean()),
                    "agreement_on_source": float((function.predict(fresh, progress=step) == given).double().mean()),
                }
            )
    return Measured(rows)


def tables(results: Results) -> list[Table]:
    """Agreement by source."""
    rows = []
    keys = ("agreement", "accuracy", "agreement_on_source")
    for model in results.values("model"):
        for source in SOURCES:
            for method in METHODS:
                found = results.where(model=model, source=source, decomposition=method)
                cells = [spread(found, key, 100).text() for key in keys]
                rows.append([model, source, method, *cells, spread(found, "classes").text()])
    headings = ["network", "terms of", "decomposition", "agreement, test", "accuracy, test", "agreement, source", "labels met"]
    note = "; ".join(f"{name}: {text}" for name, text in SOURCES.items())
    note += ". Source: on as many fresh points of the same source (for data, the test points). Labels met: that N gives them."
    return [Table("In % of the points, mean ± sd over runs", headings, rows, 4, note)]


def findings(results: Results) -> list[str]:
    """Is it the place of the terms that counts?"""
    lines = []
    for model in results.values("model"):
        for method in METHODS:
            means = [
                spread(results.where(model=model, source=source, decomposition=method), "agreement", 100).text()
                for source in SOURCES
            ]
            lines.append(
                f"{model}, {method} split: terms of the data agree with N on {means[0]} % of the test points, of shuffled "
                f"points on {means[1]} %, of uniform ones on {means[2]} %."
            )
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """A panel a split, a mark a network and source."""
    models = results.values("model")
    figure = style.figure(height=2.5)
    panels = figure.subplots(1, len(METHODS), sharey=True)
    for ax, method in zip(panels, METHODS, strict=True):
        series = {}
        for model in models:
            found = [spread(results.where(model=model, source=s, decomposition=method), "agreement", 100) for s in SOURCES]
            series[model] = bands(found)
        first = ax is panels[0]
        label = "N vs N^(X) (% of test points)" if first else ""
        grouped_means(list(SOURCES), series, ylabel=label, title=f"{method} split", limits=(0, 102), legend=first, ax=ax)
        ax.set_xlabel("points that terms are taken of")
    return {"random": figure}


def summary(results: Results) -> str:
    """Each source."""
    found = "; ".join(f"{source}: {by_decomposition(results, 'agreement', source=source)}" for source in SOURCES)
    return f"Agreement in % on test points with terms of the {found}."


STUDY = Study(
    name="random",
    title="Random inputs in place of the data",
    question="N^(X) is built from the terms at random inputs in place of the training points, as many of them, with the labels "
    "that N gives there. Does it still agree with N on the test points, and on further random inputs?",
    paper="The authors' scripts extract from random inputs; the main text reports no number for it.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
