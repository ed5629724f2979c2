"""The table of implications: what being right, or the same label, says of the others (authors' scripts)."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from tropica.plots import grouped_means, style
from tropica.studies.case import Case
from tropica.studies.study import METHODS, Measured, Results, Row, Study, Table, bands, by_decomposition, families, spread

STATEMENTS = {
    "network_right": "N is right",
    "network_wrong": "N is wrong",
    "extracted_right": "N^(X) is right",
    "extracted_wrong": "N^(X) is wrong",
    "agree": "N^(X) gives N's label",
    "disagree": "N^(X) gives another label",
}
PAIRS = (
    ("network_right", "extracted_right"),
    ("network_wrong", "extracted_wrong"),
    ("extracted_right", "network_right"),
    ("extracted_wrong", "network_wrong"),
    ("network_right", "agree"),
    ("network_wrong", "agree"),
    ("agree", "network_right"),
    ("disagree", "network_right"),
    ("disagree", "extracted_right"),
)


def measure(case: Case) -> Measured:
    """A row a decomposition and implication, with the counts behind it."""
    rows: list[Row] = []
    for method in METHODS:
        found = case.function(method).predict(case.test, progress=case.step(f"labels, {method} split"))
        network, extracted, agree = case.labels == case.truth, found == case.truth, found == case.labels
        facts = dict(zip(STATEMENTS, (network, ~network, extracted, ~extracted, agree, ~agree), strict=True))
        for premise, conclusion in PAIRS:
            cases, both = int(facts[premise].sum()), int((facts[premise] & facts[conclusion]).sum())
            rows.append(
                {
                    "decomposition": method,
                    "premise": premise,
                    "conclusion": conclusion,
                    "cases": cases,
                    "hold": both,
                    "share": both / cases if cases else None,
                }
            )
    return Measured(rows)


def tables(results: Results) -> list[Table]:
    """A row an implication, a column a family and split."""
    groups = [(name, method) for name in families(results) for method in METHODS]
    rows = []
    for premise, conclusion in PAIRS:
        cells = []
        for name, method in groups:
            found = results.where(family=name, decomposition=method, premise=premise, conclusion=conclusion)
            cells.append(f"{spread(found, 'share', 100).text()} (of {sum(row['cases'] for row in found):,})")
        rows.append([f"{STATEMENTS[premise]} ⇒ {STATEMENTS[conclusion]}", *cells])
    headings = ["implication", *(f"{name}, {method}" for name, method in groups)]
    note = "In brackets: the test points, of all runs, for which the premise holds. A run without any is left out of the mean."
    return [Table("How often it holds, in %, mean ± sd over runs", headings, rows, len(groups), note)]


def findings(results: Results) -> list[str]:
    """Both directions between right and right."""
    lines = []
    for name in families(results):
        for method in METHODS:
            found = results.where(family=name, decomposition=method)

            def share(premise: str, conclusion: str, found: list[Row] = found) -> str:
                some = [row for row in found if (row["premise"], row["conclusion"]) == (premise, conclusion)]
                return spread(some, "share", 100).text()

            lines.append(
                f"{name}, {method} split: where N is right, so is N^(X) on {share('network_right', 'extracted_right')} % of "
                f"the test points; where they differ, N is right on {share('disagree', 'network_right')} %, N^(X) on "
                f"{share('disagree', 'extracted_right')} %."
            )
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """A group an implication, a mark a family and split."""
    figure = style.figure(height=3.4)
    ax = figure.subplots()
    series = {}
    for name in families(results):
        for method in METHODS:
            found = [
                spread(results.where(family=name, decomposition=method, premise=p, conclusion=c), "share", 100)
                for p, c in PAIRS
            ]
            series[f"{name}, {method} split"] = bands(found)
    names = [f"{STATEMENTS[p]}\n⇒ {STATEMENTS[c]}" for p, c in PAIRS]
    grouped_means(names, series, ylabel="holds for so many\n% of the cases", ax=ax)
    ax.tick_params(axis="x", rotation=40)
    for label in ax.get_xticklabels():
        label.set_horizontalalignment("right")
        label.set_rotation_mode("anchor")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return {"implications": figure}


def summary(results: Results) -> str:
    """Right follows from right."""
    share = by_decomposition(results, "share", premise="network_right", conclusion="extracted_right")
    return f"Where N is right, so is N^(X) on so many % of the test points: {share}."


STUDY = Study(
    name="implications",
    title="Implications between network, extracted function and truth",
    question="Where the network is right, is N^(X) right? Where they differ, who is right? Each statement about a test point "
    "as premise, and how often the other one holds where it does.",
    paper="The authors' scripts print such a table; the main text reports no number of it.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
