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
from tropica.plots import grouped_means
from tropica.studies.baselines import NOTE, baseline_cells, baseline_shares
from tropica.studies.case import Case, equal_share
from tropica.studies.panels import FIDELITY, PERCENT, decomposition_panels
from tropica.studies.study import METHODS, Measurement, Results, Row, Study
from tropica.studies.tables import Table, aggregate, by_decomposition, mean_sd, percent, select, spread

SOURCES = {
    "data": "the training points themselves",
    "shuffled": "each input dimension drawn from the training points by itself",
    "uniform": "each input dimension uniform between its smallest and largest value",
}


def random_points(source: str, points: Tensor, generator: torch.Generator) -> Tensor:
    """Points drawn from a source, as many as there are training points.

    >>> x = torch.arange(6.0).reshape(3, 2)
    >>> bool((random_points("shuffled", x, torch.Generator().manual_seed(0)).sort(0).values == x).all())
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


def measure(case: Case) -> Measurement:
    """A row for each decomposition and source."""
    rows: list[Row] = []
    generator = torch.Generator().manual_seed(case.run.seed)
    train = case.points.inputs
    for source in SOURCES:
        x = random_points(source, train, generator)
        fresh = case.test.inputs if source == "data" else random_points(source, train, generator)[: len(case.test)]
        network_labels = case.predict(fresh)
        baselines = baseline_shares(case, x, case.predict(x))
        for method in METHODS:
            progress = case.progress(f"{source} points, {method} decomposition")
            points = replace(case.points, inputs=x, labels=None)
            decomposition = decompose(case.net, points, method=method, progress=progress)
            terms = extract(case.net, points, decomposition, check="none", progress=progress)
            function = ExtractedFunction(terms)
            labels = function.predict(case.test, progress=progress)
            rows.append(
                {
                    "decomposition": method,
                    "source": source,
                    "classes": len(terms.labels.unique()),
                    "agreement": equal_share(labels, case.network_labels),
                    "accuracy": equal_share(labels, case.true_labels),
                    "agreement_on_source": equal_share(function.predict(fresh, progress=progress), network_labels),
                    **baselines,
                }
            )
    return Measurement(rows)


def tables(results: Results) -> list[Table]:
    """Agreement by source."""
    cells = {
        "agreement, test": ("agreement", percent),
        "accuracy, test": ("accuracy", percent),
        "agreement, source": ("agreement_on_source", percent),
        "labels met": ("classes", mean_sd),
        **baseline_cells(results.rows),
    }
    by = {"network": "model", "terms of": "source", "decomposition": "decomposition"}
    note = "; ".join(f"{name}: {text}" for name, text in SOURCES.items())
    note += (
        ". Agreement, source: on fresh points of the same source (for data: the test points). Labels met: by N, of the source. "
        + NOTE
    )
    return [Table("In % of the points, mean ± sd over runs", aggregate(results.rows, by, cells), note)]


def findings(results: Results) -> list[str]:
    """The agreement on test points, with the terms of each source."""
    lines = []
    for model in results.models:
        for method in METHODS:
            rows = select(results.rows, model=model, decomposition=method)
            data, shuffled, uniform = (percent(select(rows, source=source)["agreement"]) for source in SOURCES)
            lines.append(
                f"{model}, {method} decomposition: terms of the data agree with N on {data} % of the test points, terms of "
                f"shuffled points on {shuffled} %, terms of uniform points on {uniform} %."
            )
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """A panel for each decomposition, a mark for each network and source."""
    figure, panels = decomposition_panels(2.5)
    sources = list(SOURCES)
    for ax, method in zip(panels[0], METHODS, strict=True):
        rows = select(results.rows, decomposition=method)
        series = {m: spread(select(rows, model=m), "source", "agreement", groups=sources) for m in results.models}
        first = ax is panels[0][0]
        label = FIDELITY if first else ""
        look = {"limits": (0, 102), "within": PERCENT, "legend": first}
        grouped_means(sources, series, ylabel=label, title=f"{method} decomposition", ax=ax, **look)
        ax.set_xlabel("source of the terms")
    return {"random": figure}


def summary(results: Results) -> str:
    """The agreement for each source."""
    texts = (f"{s}: {by_decomposition(select(results.rows, source=s), 'agreement', METHODS)}" for s in SOURCES)
    return f"Agreement in % on test points with terms of the {'; '.join(texts)}."


STUDY = Study(
    name="random",
    title="Random inputs in place of the data",
    question="N^(X) is built from the terms at random inputs in place of the training points, equally many, with the labels "
    "that N gives them. Does it still agree with N on the test points, and on further random inputs?",
    paper="The authors' scripts extract from random inputs; the main text reports no numbers for it.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
