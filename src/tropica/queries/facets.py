"""``Facets``: the inequalities of a cell that no others imply, each with a proof."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tropica.exact.rational_arrays import RationalArray
from tropica.runtime.html import HtmlRepr


@dataclass(frozen=True, eq=False, repr=False)
class Facets(HtmlRepr):
    """The facets of a cell.

    Attributes:
        rows: (F,) for each facet a row of ``cell.halfspaces``: of those on its hyperplane that of the domain, if there is one,
            else the first.
        groups: for each facet all rows that are known to be on its hyperplane.
        units: (F,) names of the units, or ``domain[i]``.
        complete: whether every facet is there and every other row is proven redundant.
        undecided: (U,) rows that are neither proven facets nor proven redundant.
        alone: (F,) whether inside of the facet no other row is 0 whose unit could change its piece beyond.
    """

    rows: np.ndarray
    groups: tuple[np.ndarray, ...]
    units: tuple[str, ...]
    undecided: np.ndarray
    alone: np.ndarray
    crossing: Callable[[int], tuple[RationalArray, RationalArray]]
    """For the number of a facet a point (1, D) in its relative interior and a direction that leads out there, exactly."""
    ends: Callable[[int], tuple[np.ndarray, np.ndarray]] | None = None
    """For the number of a facet points (D,) in float64 inside of the cell and beyond that facet alone, if known."""

    @property
    def complete(self) -> bool:
        return not len(self.undecided)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[int]:
        """The numbers of the facets, as :meth:`Cell.neighbor` takes them."""
        return iter(range(len(self.rows)))

    def to_dataframe(self) -> Any:
        """A row for each facet: its unit, its row among the half-spaces, how many rows are on its hyperplane."""
        import pandas as pd

        return pd.DataFrame({"unit": self.units, "row": self.rows, "rows": [len(g) for g in self.groups]})

    def __repr__(self) -> str:
        state = "complete" if self.complete else f"{len(self.undecided):,} inequalities undecided"
        return f"Facets({len(self):,} facets, {state})"
