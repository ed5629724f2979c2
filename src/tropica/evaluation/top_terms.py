"""``TopTerms``: the terms with the largest values at each point, the active term first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.evaluation.settings import EvaluationSettings
from tropica.evaluation.sources import KeptTerms, TermSource
from tropica.evaluation.storage_rounding import TermRecomputation
from tropica.exact.double_double import DoubleDouble
from tropica.runtime.processes import Processes
from tropica.runtime.progress import ProgressCallback
from tropica.terms.affine_functions import functions_of, split_key
from tropica.terms.double_double_maxima import DoubleDoubleMaxima, functions_for, maxima_for
from tropica.terms.maxima import RunningMaxima
from tropica.terms.top_terms import RunningTop, possible_top

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class TopTerms:
    """The k terms with the largest a⁺ at each of B points, largest first: the active term and the runners-up.

    Attributes:
        index: (B, k) int64, the number of the data point that the term is of.
        label: (B, k) int64, the term's label.
        value: (B, k) float64, a⁺_k(x) − max over all j of a⁻_j(x): what N^(X) gives the term's label at x by this term. The
            value of the active term is the largest entry of N^(X)(x).

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> x = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    >>> top = tp.ExtractedFunction(tp.extract(net, x)).top_terms(x, k=2)
    >>> top.index.tolist(), top.label.tolist(), top.value.tolist()
    ([[0, 1], [1, 0]], [[0, 1], [1, 0]], [[2.0, 1.0], [3.0, 1.0]])
    """

    index: Tensor
    label: Tensor
    value: Tensor

    @classmethod
    def of(cls, packed: Tensor, output: int = 0) -> TopTerms:
        """The terms that :func:`find_top` found; the terms of one output of a regression are found with label 0."""
        label, index = split_key(packed[:, 0])
        return cls(index, label + output, packed[:, 1].contiguous().view(torch.float64))

    @property
    def k(self) -> int:
        """The number of terms at each point."""
        return self.index.shape[1]

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, points: Tensor | slice) -> TopTerms:
        """The terms of some of the points."""
        return TopTerms(self.index[points], self.label[points], self.value[points])

    def to_dataframe(self) -> DataFrame:
        """A pandas table with a row for each point and rank: point, rank, term, label, value."""
        import pandas as pd

        point = torch.arange(len(self)).repeat_interleave(self.k)
        columns = {"point": point, "rank": torch.arange(1, self.k + 1).repeat(len(self))}
        columns |= {"term": self.index.flatten(), "label": self.label.flatten(), "value": self.value.flatten()}
        return pd.DataFrame({name: column.numpy() for name, column in columns.items()})

    def __repr__(self) -> str:
        return f"TopTerms({self.k} terms at each of {len(self):,} points)"

    def _repr_html_(self) -> str:
        return self.to_dataframe().to_html(max_rows=20, index=False)


def terms_to_rank(terms: TermSource, k: int, output: int | None) -> TermSource:
    """The terms among which the k largest are sought: all, or in regression those of one output.

    Raises:
        InputError: k or ``output`` does not fit the terms.
    """
    outputs = terms.num_targets
    if not outputs and output is not None:
        raise InputError("output= is that of a regression; these terms distinguish labels")
    if outputs:
        if output is None and outputs > 1:
            raise InputError(f"the regression has {outputs} outputs: say which, output=0 … {outputs - 1}")
        if not isinstance(terms, KeptTerms):
            raise InputError("the terms of a regression are listed where they are kept: tp.ExtractedFunction(tp.extract(...))")
        terms = KeptTerms(terms.terms.of_output(output or 0), terms.device)
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= terms.num_terms:
        raise InputError(f"k must be a whole number in 1 … {terms.num_terms:,}, the number of terms; got {k!r}")
    return terms


def find_top(
    terms: TermSource,
    x: Tensor,
    k: int,
    settings: EvaluationSettings,
    processes: Processes,
    recomputation: TermRecomputation | None,
    report: ProgressCallback | None,
) -> Tensor:
    """The keys of the k largest a⁺ at points (N, d), and the bits of their values less the largest a⁻: (N, 2, k) int64.

    With ``recomputation`` these are the terms as extracted, before rounding to the dtype that they are stored in.
    """
    state = RunningTop(x, k, settings.maxima)
    minus = maxima_for(x, terms.precision == "double-double", 1, settings.maxima)
    if recomputation is None:
        for first, block in terms.blocks(processes, report):
            state.update(functions_for(block, "plus", first))
            minus.update(functions_for(block, "minus", first))
    else:
        for functions, point, index in recomputation.extracted(*_possible(terms, state, minus, processes, report)):
            state.take(functions, point, index)
    state.all_reduce(processes)
    minus.all_reduce(processes)
    low = minus.low if isinstance(minus, DoubleDoubleMaxima) else torch.zeros_like(minus.value)
    value = DoubleDouble(state.value, state.low) - DoubleDouble(minus.value.expand_as(state.value), low.expand_as(state.value))
    return torch.stack([state.key, value.high.contiguous().view(torch.int64)], 1)


def values_of(plus: RunningMaxima, minus: RunningMaxima) -> Tensor:
    """The values of N^(X) from the maxima by label and the maximum of a⁻: (N, labels) float64, −∞ for labels without a term."""
    if isinstance(plus, DoubleDoubleMaxima) and isinstance(minus, DoubleDoubleMaxima):
        return torch.where(plus.value.isneginf(), plus.value, (plus.values - minus.expanded(plus.value)).high)
    return plus.value - minus.value


def margin_of(plus: RunningMaxima) -> Tensor:
    """The largest value minus the second largest at each point, of maxima by label: (N,) float64, ∞ with one label alone."""
    two, label = plus.value.topk(2, 1)
    margin = two[:, 0] - two[:, 1]
    if isinstance(plus, DoubleDoubleMaxima):
        low = plus.low.gather(1, label)
        precise = DoubleDouble(two[:, 0], low[:, 0]) - DoubleDouble(two[:, 1], low[:, 1])
        margin = torch.where(margin.isinf(), margin, precise.high)
    return margin


def _possible(
    terms: TermSource, state: RunningTop, minus: RunningMaxima, processes: Processes, report: ProgressCallback | None
) -> tuple[Tensor, Tensor]:
    """Pairs of a point and a term that may be among the k largest within the bounds on rounding, in this process's blocks."""
    reached = torch.full_like(state.value, -torch.inf)
    empty = torch.zeros(0, dtype=torch.int64, device=reached.device)
    points, indices, upper = empty, empty, reached.new_zeros(0)
    for first, block in terms.blocks(processes, report):
        minus.update(functions_of(block, "minus", first))
        functions = functions_of(block, "plus", first, uncertain=True)
        for point, index, (low, high) in possible_top(functions, state.x, state.norm, reached[:, -1], state.k, state.sizes):
            reached = _k_largest(reached, point, low)
            points, indices = torch.cat([points, point]), torch.cat([indices, index + first])
            upper = torch.cat([upper, high])
        kept = upper >= reached[points, -1]
        points, indices, upper = points[kept], indices[kept], upper[kept]
    return points, indices


def _k_largest(found: Tensor, point: Tensor, value: Tensor) -> Tensor:
    """Merge values (n,) at points (n,) with the k largest so far, (N, k)."""
    k = found.shape[1]
    points = torch.cat([torch.arange(len(found), device=point.device).repeat_interleave(k), point])
    values = torch.cat([found.flatten(), value])
    order = values.argsort(descending=True)
    order = order[points[order].argsort(stable=True)]
    count = torch.bincount(points, minlength=len(found))
    first = (count.cumsum(0) - count)[:, None] + torch.arange(k, device=point.device)
    return values[order[first]]
