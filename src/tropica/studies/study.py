"""A study: a function that measures one trained network, and functions that make tables, findings and figures of all runs.

trained network ── measure ──▶ rows of plain numbers (and data for figures)      once for each run, kept on disk
rows of all runs ── tables, findings, figures ──▶ the report                     on every call
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import pandas as pd
from matplotlib.figure import Figure

from tropica.data.labelled import LabelledData
from tropica.studies.case import Case
from tropica.studies.tables import Table

Row = dict[str, Any]
"""A row of measured numbers: column names to texts, numbers, booleans or None."""

METHODS = ("paper", "calibrated")
"""The DC decompositions that all studies compare, the paper's first."""

WEAK = 0.45
"""Networks of a lower test accuracy say nothing about the paper's, the worst of which reaches 49 %."""


@dataclass(frozen=True)
class Measurement:
    """The numbers of one run, all of them plain (JSON).

    Attributes:
        rows: the rows of the study's table of numbers.
        figure_data: further data for figures.
    """

    rows: list[Row]
    figure_data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Results:
    """The numbers of all runs of a study.

    Attributes:
        rows: the rows of all runs; the first columns are ``model``, ``family`` ("FCN" or "CNN") and ``seed``.
        figure_data: the figure data of each run, by model and seed.
        settings: the settings of the study, as in ``numbers.json``.
    """

    rows: pd.DataFrame
    figure_data: Mapping[tuple[str, int], Mapping[str, Any]]
    settings: Mapping[str, Any]

    @cached_property
    def models(self) -> list[str]:
        """The names of the models, in the order of the rows."""
        return self.rows["model"].unique().tolist()

    @cached_property
    def families(self) -> list[str]:
        """The families of the models, FCN first."""
        return sorted(self.rows["family"].unique(), reverse=True)

    @cached_property
    def weak(self) -> list[str]:
        """The networks that say nothing, with their test accuracies: below `WEAK`, or no better than one label for all."""
        accuracy: Mapping[str, float] = self.settings.get("test_accuracy", {})
        constant = self.settings.get("largest_class", 0.0)
        texts = {model: f"{model} has {100 * share:.0f} % test accuracy" for model, share in accuracy.items()}
        return [
            text + (f", and the most frequent class has {100 * constant:.0f} % of the points" if one <= constant else "")
            for (model, text), one in zip(texts.items(), accuracy.values(), strict=True)
            if one < WEAK or one <= constant
        ]

    def first_run(self, model: str) -> Mapping[str, Any]:
        """The figure data of a model's first run."""
        return next(data for (name, _), data in self.figure_data.items() if name == model)


@dataclass(frozen=True)
class StudyData:
    """The points that a study's networks are given.

    Attributes:
        train, test: the points.
        suffix: appended to the model's name in the folder of networks trained on these points; empty for unchanged points.
        note: a description of the transformation, for the report.
    """

    train: LabelledData
    test: LabelledData
    suffix: str = ""
    note: str = ""


@dataclass(frozen=True)
class Study:
    """A study; each study is a file in ``experiments``.

    Attributes:
        name: the name on the command line.
        title: the report's title.
        question: what is measured and how, in a paragraph.
        paper: what the paper (or the authors' scripts) found.
        measure: measures one trained network.
        tables, findings: the results of all runs, as tables and as sentences.
        figures: the figures of all runs, by file name without ``.png``.
        activation: the networks' activation function.
        decompositions: the methods that the study compares.
        num_networks: the number of networks that a run compares: that of its own seed and those of the next seeds
            (``Case.other_runs``).
        transform: maps training and test points to the points that the networks are given; by default the identity.
        needs: what the study needs beyond a trained network, for networks of the user's own; "" for nothing.
        summary: the results in one or two sentences, for the report of several studies; by default the first finding.
    """

    name: str
    title: str
    question: str
    paper: str
    measure: Callable[[Case], Measurement]
    tables: Callable[[Results], list[Table]]
    findings: Callable[[Results], list[str]]
    figures: Callable[[Results], Mapping[str, Figure]]
    activation: Literal["relu", "leaky"] = "relu"
    decompositions: Sequence[str] = METHODS
    num_networks: int = 1
    transform: Callable[[LabelledData, LabelledData], StudyData] = StudyData
    needs: str = ""
    summary: Callable[[Results], str] | None = None

    def conclusions(self, results: Results) -> list[str]:
        """The findings, after a warning for each network that says nothing."""
        return [f"{text}: what is measured on it says nothing of trained networks." for text in results.weak] + self.findings(
            results
        )

    def summarize(self, results: Results) -> str:
        """Return the summary, or the first finding of a study without one."""
        return self.summary(results) if self.summary else self.findings(results)[0]
