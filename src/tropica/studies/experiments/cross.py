"""Straight and cross terms: whether the active a⁺ and the active a⁻ come from one training point (authors' scripts)."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from tropica.plots import grouped_means
from tropica.studies.case import Case, equal_share
from tropica.studies.panels import PERCENT, decomposition_panels
from tropica.studies.study import METHODS, Measurement, Results, Row, Study
from tropica.studies.tables import Table, aggregate, by_decomposition, percent, select, spread

HEADINGS = {
    "straight": "straight",
    "agreement, straight": "agreement_straight",
    "agreement, cross": "agreement_cross",
    "accuracy, straight": "accuracy_straight",
    "accuracy, cross": "accuracy_cross",
}
LEAST = 20
"""Points that a share in the figure must be of."""


def measure(case: Case) -> Measurement:
    """A row for each decomposition."""
    rows: list[Row] = []
    for method in METHODS:
        function, progress = case.function(method), case.progress(f"active terms, {method} decomposition")
        labels, plus = function.labels_and_terms(case.test, progress=progress)
        straight = plus == function.active_minus_term(case.test, progress=progress)
        row: Row = {"decomposition": method, "points": len(straight), "straight": float(straight.double().mean())}
        for name, chosen in (("straight", straight), ("cross", ~straight)):
            row[f"number_{name}"] = int(chosen.sum())
            row[f"agreement_{name}"] = equal_share(labels, case.network_labels, chosen)
            row[f"accuracy_{name}"] = equal_share(labels, case.true_labels, chosen)
            row[f"network_{name}"] = equal_share(case.network_labels, case.true_labels, chosen)
        rows.append(row)
    return Measurement(rows)


def tables(results: Results) -> list[Table]:
    """The table by network and decomposition."""
    cells = {heading: (column, percent) for heading, column in HEADINGS.items()}
    frame = aggregate(results.rows, {"in %": "model", "decomposition": "decomposition"}, cells)
    note = "Agreement of N^(X) with N, and accuracy of N^(X), among the straight and among the cross points."
    return [Table("Test points, mean ± sd over runs", frame, note)]


def findings(results: Results) -> list[str]:
    """The share of straight points, and the agreement of N^(X) with N on straight and on cross points."""
    lines = []
    for family in results.families:
        for method in METHODS:
            found = select(results.rows, family=family, decomposition=method)
            straight, a, b = (percent(found[c]) for c in ("straight", "agreement_straight", "agreement_cross"))
            few, many = (found[f"number_{kind}"].sum() for kind in ("straight", "cross"))
            lines.append(
                f"{family}, {method} decomposition: {straight} % of the test points are straight; N^(X) agrees with N on {a} % "
                f"of the straight points ({few:,} in all runs) and on {b} % of the cross points ({many:,})."
            )
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """A panel for each decomposition, a group for each quantity, a mark for each network."""
    figure, panels = decomposition_panels(2.6)
    names = ("straight\npoints", "fidelity,\nstraight", "fidelity,\ncross")
    columns = ["straight", "agreement_straight", "agreement_cross"]
    for ax, method in zip(panels[0], METHODS, strict=True):
        rows = select(results.rows, decomposition=method).copy()
        for kind in ("straight", "cross"):  # a share of a few points says nothing
            rows.loc[rows[f"number_{kind}"] < LEAST, f"agreement_{kind}"] = None
        found = rows.melt(["model"], columns, "quantity", "share")
        series = {m: spread(select(found, model=m), "quantity", "share", groups=columns) for m in results.models}
        first = ax is panels[0][0]
        ylabel = "% of test points" if first else ""
        look = {"legend": first, "within": PERCENT}
        grouped_means(names, series, ylabel=ylabel, title=f"{method} decomposition", ax=ax, **look)
    return {"cross": figure}


def summary(results: Results) -> str:
    """The share of straight points."""
    shares = by_decomposition(results.rows, "straight", METHODS)
    return f"Test points whose active a⁺ and a⁻ come from one training point (in %): {shares}."


STUDY = Study(
    name="cross",
    title="Straight and cross terms",
    question="The value of N^(X) at a test point is the largest a⁺ minus the largest a⁻. Do both come from one training "
    "point (straight), so that the value is that of one linear term of N, or from two (cross)? All training points are "
    "straight, by Theorem 3.3.",
    paper="The authors' scripts count straight and cross terms; the main text reports no numbers for them.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
