"""Implications between right and wrong answers of the network and of the extracted function (authors' scripts)."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from tropica.plots import grouped_means, style
from tropica.studies.case import Case
from tropica.studies.panels import PERCENT
from tropica.studies.study import METHODS, Measurement, Results, Row, Study
from tropica.studies.tables import Table, by_decomposition, percent, select, spread

STATEMENTS = {
    "network_right": "N is right",
    "network_wrong": "N is wrong",
    "extracted_right": "N^(X) is right",
    "extracted_wrong": "N^(X) is wrong",
    "agree": "N^(X) gives N's label",
    "disagree": "N^(X) gives another label",
}
IMPLICATIONS = (
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


def measure(case: Case) -> Measurement:
    """A row for each decomposition and implication, with the counts behind it."""
    rows: list[Row] = []
    for method in METHODS:
        found = case.function(method).predict(case.test, progress=case.progress(f"labels, {method} decomposition"))
        network, extracted = case.network_labels == case.true_labels, found == case.true_labels
        agree = found == case.network_labels
        holds = dict(zip(STATEMENTS, (network, ~network, extracted, ~extracted, agree, ~agree), strict=True))
        for premise, conclusion in IMPLICATIONS:
            cases, both = int(holds[premise].sum()), int((holds[premise] & holds[conclusion]).sum())
            row = {"decomposition": method, "premise": premise, "conclusion": conclusion, "cases": cases, "hold": both}
            rows.append({**row, "share": both / cases if cases else None})
    return Measurement(rows)


def tables(results: Results) -> list[Table]:
    """A row for each implication, a column for each family and decomposition."""
    columns = {}
    for family in results.families:
        for method in METHODS:
            found = select(results.rows, family=family, decomposition=method).groupby(["premise", "conclusion"], sort=False)
            shares, cases = found["share"].agg(percent), found["cases"].sum()
            columns[f"{family}, {method}"] = [f"{shares[key]} (of {cases[key]:,})" for key in IMPLICATIONS]
    names = pd.Index([f"{STATEMENTS[p]} ⇒ {STATEMENTS[c]}" for p, c in IMPLICATIONS], name="implication")
    note = "In parentheses: the number of test points, in all runs, for which the premise holds. Runs without any do not count."
    return [Table("How often the implication holds, in %, mean ± sd over runs", pd.DataFrame(columns, index=names), note)]


def findings(results: Results) -> list[str]:
    """The answers of N^(X) where N is right, and the right answers of both where they differ."""
    lines = []
    for family in results.families:
        for method in METHODS:
            found = select(results.rows, family=family, decomposition=method)
            shares = found.groupby(["premise", "conclusion"])["share"].agg(percent)
            lines.append(
                f"{family}, {method} decomposition: where N is right, so is N^(X) on "
                f"{shares['network_right', 'extracted_right']} % of the test points; where they differ, N is right on "
                f"{shares['disagree', 'network_right']} %, N^(X) on {shares['disagree', 'extracted_right']} %."
            )
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """A group for each implication, a mark for each family and decomposition."""
    figure = style.figure(height=3.4)
    ax = figure.subplots()
    names = [f"{STATEMENTS[p]}\n⇒ {STATEMENTS[c]}" for p, c in IMPLICATIONS]
    rows = results.rows.assign(implication=results.rows["premise"] + " " + results.rows["conclusion"])
    groups = [f"{p} {c}" for p, c in IMPLICATIONS]
    series = {
        f"{family}, {method} decomposition": spread(
            select(rows, family=family, decomposition=method), "implication", "share", groups=groups
        )
        for family in results.families
        for method in METHODS
    }
    grouped_means(names, series, ylabel="holds in % of the cases", within=PERCENT, ax=ax)
    ax.tick_params(axis="x", rotation=40)
    for label in ax.get_xticklabels():
        label.set_horizontalalignment("right")
        label.set_rotation_mode("anchor")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return {"implications": figure}


def summary(results: Results) -> str:
    """The share of right answers of N^(X) where N is right."""
    rows = select(results.rows, premise="network_right", conclusion="extracted_right")
    return f"Where N is right, so is N^(X) on test points (in %): {by_decomposition(rows, 'share', METHODS)}."


STUDY = Study(
    name="implications",
    title="Implications between network, extracted function and truth",
    question="Where the network is right, is N^(X) right? Where they differ, which of the two is right? For pairs of "
    "statements about a test point: how often does the conclusion hold where the premise holds?",
    paper="The authors' scripts print such a table; the main text reports no numbers for it.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    summary=summary,
)
