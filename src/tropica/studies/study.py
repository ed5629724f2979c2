"""What a study is: a function that measures one trained network, and functions that make tables, figures and findings of it.

trained network ── measure ──▶ rows of plain numbers (and what figures need beside them)      once a run, kept on disk
rows of all runs ── tables, findings, figures ──▶ the report                                   anew each time
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from matplotlib.figure import Figure

from tropica.data.labelled import LabelledData

if TYPE_CHECKING:
    from tropica.studies.case import Case

Row = dict[str, Any]
"""A row of a study's CSV file: names to texts, numbers, truth values or None."""

METHODS = ("paper", "calibrated")
"""The splits that studies compare, the paper's first."""


@dataclass(frozen=True)
class Measured:
    """What one run gives, all of it plain (JSON): rows, and what the figures need beside them."""

    rows: list[Row]
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """The runs of a study.

    Attributes:
        rows: of all runs; each begins with its ``model``, ``family`` and ``seed``.
        extra: by model and seed.
        settings: of the study, as in the JSON file.
    """

    rows: list[Row]
    extra: Mapping[tuple[str, int], Mapping[str, Any]]
    settings: Mapping[str, Any]

    def where(self, **wanted: Any) -> list[Row]:
        """The rows with these values."""
        return [row for row in self.rows if all(row.get(key) == value for key, value in wanted.items())]

    def values(self, key: str, **wanted: Any) -> list[Any]:
        """The different values of a column, in the order of the rows."""
        return list(dict.fromkeys(row[key] for row in self.where(**wanted) if key in row))

    def first(self, model: str) -> Mapping[str, Any]:
        """What the figures need of a model's first run."""
        return next(extra for (name, _), extra in self.extra.items() if name == model)


@dataclass(frozen=True)
class Table:
    """A table of the report: its last ``numbers`` columns are numbers."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: int
    note: str = ""


@dataclass(frozen=True)
class View:
    """The points that a study's networks are given.

    Attributes:
        train, test: the points.
        kind: what folders of networks trained on them have after the model's name; nothing where they are the data's own.
        note: what was done to the data, in words for the report.
    """

    train: LabelledData
    test: LabelledData
    kind: str = ""
    note: str = ""


@dataclass(frozen=True)
class Study:
    """A study, one file each.

    Attributes:
        name: as it is typed.
        title: of the report.
        question: what is measured and how, a paragraph.
        paper: what the paper (or the authors' scripts) found.
        measure: one trained network to its numbers.
        tables, findings: of all runs: what this run found, as tables and in sentences.
        figures: of all runs, by name (the files' names without .png), drawn with :mod:`tropica.plots`.
        activation: of the networks.
        splits: those it measures.
        networks: how many separately trained ones a run takes: its own seed's and those of the next seeds (``Case.others``).
        view: training and test points, as the networks are given them; as they are by default.
        summary: of all runs, in a sentence or two for the report of all studies; the first finding where there is none.
    """

    name: str
    title: str
    question: str
    paper: str
    measure: Callable[[Case], Measured]
    tables: Callable[[Results], list[Table]]
    findings: Callable[[Results], list[str]]
    figures: Callable[[Results], Mapping[str, Figure]]
    activation: Literal["relu", "leaky"] = "relu"
    decompositions: Sequence[str] = METHODS
    networks: int = 1
    view: Callable[[LabelledData, LabelledData], View] = View
    summary: Callable[[Results], str] | None = None

    def in_short(self, results: Results) -> str:
        """The summary."""
        return self.summary(results) if self.summary else self.findings(results)[0]


@dataclass(frozen=True)
class Spread:
    """A mean and a sample standard deviation, which one number alone does not have (NaN)."""

    mean: float
    sd: float
    number: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread:
        """Of numbers; None is left out.

        >>> Spread.of([1.0, 3.0, None])
        Spread(mean=2.0, sd=1.4142135623730951, number=2)
        """
        found = [float(value) for value in values if value is not None]
        mean = statistics.fmean(found) if found else float("nan")
        return cls(mean, statistics.stdev(found) if len(found) > 1 else float("nan"), len(found))

    def text(self, digits: int = 1) -> str:
        """As papers write it.

        >>> Spread.of([97.5, 97.9]).text(), Spread.of([97.5]).text(), Spread.of([]).text()
        ('97.7 ± 0.3', '97.5', '–')
        """
        if not self.number:
            return "–"
        sd = f" ± {self.sd:.{digits}f}" if self.number > 1 else ""
        return f"{self.mean:.{digits}f}{sd}"


def spread(rows: Iterable[Row], key: str, scale: float = 1.0) -> Spread:
    """Mean and deviation of a column, times ``scale`` (100 makes shares per cent)."""
    return Spread.of(None if row[key] is None else scale * row[key] for row in rows)


def bands(found: Sequence[Spread]) -> tuple[list[float], list[float]]:
    """Means and deviations apart, as :class:`tropica.plots.Curve` and :func:`tropica.plots.grouped_means` take them.

    >>> bands([Spread.of([1.0, 3.0]), Spread.of([2.0, 2.0])])
    ([2.0, 2.0], [1.4142135623730951, 0.0])
    """
    return [one.mean for one in found], [one.sd for one in found]


def families(results: Results) -> list[str]:
    """The families there are, FCN first."""
    return sorted(results.values("family"), reverse=True)


def by_family(results: Results, key: str, scale: float = 100.0, **wanted: Any) -> str:
    """Means of a column over runs and networks, a family beside the other; without rows of a family none of it.

    >>> rows = [{"family": "CNN", "share": 0.9}, {"family": "FCN", "share": 0.955}, {"family": "FCN", "share": 0.965}]
    >>> by_family(Results(rows, {}, {}), "share")
    'FCN 96.0, CNN 90.0'
    """
    found = {name: spread(results.where(family=name, **wanted), key, scale) for name in families(results)}
    return ", ".join(f"{name} {one.mean:.1f}" for name, one in found.items() if one.number)


def by_decomposition(results: Results, key: str, scale: float = 100.0, **wanted: Any) -> str:
    """:func:`by_family` for each split."""
    return "; ".join(f"{by_family(results, key, scale, decomposition=method, **wanted)} ({method} split)" for method in METHODS)
