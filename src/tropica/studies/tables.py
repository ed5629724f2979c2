"""Tables of numbers over runs: means and standard deviations by pandas group-by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from tropica.plots.mean_curves import Curve

Cells = Mapping[str, tuple[str, Callable[[pd.Series], str]]]
"""Headings to (column, aggregation), as in pandas' named aggregation."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table of a report.

    Attributes:
        title: the text above the table.
        frame: the cells, as text; the levels of the index are the left columns (names), the columns are numbers.
        note: the text below the table.
    """

    title: str
    frame: pd.DataFrame
    note: str = ""

    @property
    def headings(self) -> list[str]:
        """The headings of all columns, those of the index first."""
        return [*map(str, self.frame.index.names), *map(str, self.frame.columns)]

    @property
    def cells(self) -> list[list[str]]:
        """The texts of all rows, those of the index first."""
        return self.frame.reset_index().astype(str).to_numpy().tolist()

    @property
    def num_names(self) -> int:
        """The number of left columns that hold names."""
        return self.frame.index.nlevels


def mean_sd(values: pd.Series, scale: float = 1.0, digits: int = 1) -> str:
    """Mean ± sample standard deviation of a column times ``scale``; missing values are left out.

    >>> mean_sd(pd.Series([97.5, 97.9])), mean_sd(pd.Series([97.5, None])), mean_sd(pd.Series([None]))
    ('97.7 ± 0.3', '97.5', '–')
    """
    found = scale * pd.to_numeric(values).dropna().astype(float)
    if found.empty:
        return "–"
    sd = f" ± {found.std():.{digits}f}" if len(found) > 1 else ""
    return f"{found.mean():.{digits}f}{sd}"


def percent(values: pd.Series) -> str:
    """Mean ± standard deviation in percent, of shares in [0, 1].

    >>> percent(pd.Series([0.975, 0.979]))
    '97.7 ± 0.3'
    """
    return mean_sd(values, 100)


def decimals(digits: int) -> Callable[[pd.Series], str]:
    """The aggregation :func:`mean_sd` with a given number of decimals.

    >>> decimals(0)(pd.Series([1, 2, 3]))
    '2 ± 1'
    """
    return partial(mean_sd, digits=digits)


def select(rows: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    """The rows that have these values; None selects missing values.

    >>> rows = pd.DataFrame({"rule": ["sum", None], "share": [0.5, 0.7]})
    >>> select(rows, rule=None)["share"].tolist()
    [0.7]
    """
    for column, value in wanted.items():
        rows = rows[rows[column].isna() if value is None else rows[column] == value]
    return rows


def aggregate(rows: pd.DataFrame, by: Mapping[str, str], cells: Cells, across: str | None = None) -> pd.DataFrame:
    """A table with a row for each group, in the order of the rows.

    Args:
        rows: the numbers of all runs.
        by: headings of the left columns to the columns that make the groups.
        cells: headings to (column, aggregation).
        across: a column whose values become columns of the table, such as "decomposition".

    >>> rows = pd.DataFrame({"model": ["a", "a", "b"], "share": [0.5, 0.7, 0.9]})
    >>> aggregate(rows, {"network": "model"}, {"in %": ("share", percent)})["in %"].to_dict()
    {'a': '60.0 ± 14.1', 'b': '90.0'}
    """
    if across is not None:
        parts = {value: aggregate(select(rows, **{across: value}), by, cells) for value in rows[across].unique()}
        return pd.concat([part.add_suffix(f", {value}") for value, part in parts.items()], axis=1)
    frame = rows.groupby(list(by.values()), sort=False, dropna=False).agg(**dict(cells))  # type: ignore[arg-type]
    return frame.rename_axis(index=list(by))


def by_family(rows: pd.DataFrame, column: str, scale: float = 100.0) -> str:
    """The mean of a column in each family of networks, FCN first; a family without values is left out.

    >>> rows = pd.DataFrame({"family": ["CNN", "FCN", "FCN"], "share": [0.9, 0.955, 0.965]})
    >>> by_family(rows, "share")
    'FCN 96.0, CNN 90.0'
    """
    means = scale * pd.to_numeric(rows[column]).groupby(rows["family"]).mean().dropna()
    return ", ".join(f"{family} {mean:.1f}" for family, mean in means.sort_index(ascending=False).items())


def by_decomposition(rows: pd.DataFrame, column: str, methods: Sequence[str], scale: float = 100.0) -> str:
    """The text of :func:`by_family` for each decomposition.

    >>> rows = pd.DataFrame({"family": ["FCN"] * 2, "decomposition": ["paper", "calibrated"], "share": [0.5, 0.7]})
    >>> by_decomposition(rows, "share", ["paper", "calibrated"])
    'FCN 50.0 (paper decomposition); FCN 70.0 (calibrated decomposition)'
    """
    texts = (f"{by_family(select(rows, decomposition=method), column, scale)} ({method} decomposition)" for method in methods)
    return "; ".join(texts)


def spread(
    rows: pd.DataFrame, by: str, column: str, scale: float = 100.0, groups: Sequence[Any] | None = None
) -> tuple[list[float], list[float]]:
    """Means and standard deviations of a column in groups, as :func:`tropica.plots.grouped_means` takes them.

    Args:
        rows: the numbers of all runs.
        by: the column that makes the groups.
        column: the numbers.
        scale: a factor.
        groups: the groups in the order of the figure; by default in the order of the rows.
    """
    found = scale * pd.to_numeric(rows[column]).astype(float).groupby(rows[by], sort=False).agg(["mean", "std"])
    found = found if groups is None else found.reindex(list(groups))
    return found["mean"].tolist(), found["std"].tolist()


def curve(rows: pd.DataFrame, x: str, column: str, scale: float = 100.0) -> Curve:
    """The means of a column over ``x``, with their standard deviations."""
    return Curve(rows[x].unique().tolist(), *spread(rows, x, column, scale))
