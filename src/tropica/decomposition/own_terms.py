"""The values of data points' own terms at the points, and the sizes that bound their rounding."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import torch
from torch import Tensor

from tropica.exact.double_double import DoubleDouble
from tropica.runtime.processes import Processes
from tropica.terms.affine_functions import AffineFunctions, key_of, norms_of, power_of_two
from tropica.terms.certificate import UNITS
from tropica.terms.double_double_maxima import functions_for, values_at
from tropica.terms.term_block import TermBlock

Side = Literal["plus", "minus"]
SIDES: tuple[Side, ...] = ("plus", "minus")
ROW_NUMBERS = 2**18
"""Numbers of points that are converted to float64 at once, so that they fit the processor's cache."""
NETWORK_UNITS = 16
"""The rounding error of the scores of N, in units of the extraction's dtype: what may hide the label of N itself."""


@dataclass(frozen=True)
class OwnTerms:
    """The values of N points' own terms at the points, and the sizes that bound their rounding: tensors (N,).

    Values of a⁻ leave out the center, which is common to all terms.

    Attributes:
        labels: the label that N gives each point; in regression, where a point has a row for each output, the output.
        local: a_k(x_k) in float64, the largest score of N.
        minus, minus_low: a⁻_k(x_k), in float64 or double-double.
        margin: the difference of the two largest scores of N at each point; 0 in regression.
        local_norm, minus_norm: ‖∇N_i‖ and ‖∇F⁻‖, the latter with the center.
        minus_value: |F⁻(x_k)|.
        centered_norm: ‖∇F⁻ − center‖.
        local_bias, minus_bias: the constant parts.
        reach, distance: ‖x_k‖, and the distance of x_k from a point amidst the data.
    """

    labels: Tensor
    local: Tensor
    minus: Tensor
    minus_low: Tensor
    margin: Tensor
    local_norm: Tensor
    minus_norm: Tensor
    minus_value: Tensor
    centered_norm: Tensor
    local_bias: Tensor
    minus_bias: Tensor
    reach: Tensor
    distance: Tensor

    @classmethod
    def of(cls, x: Tensor, block: TermBlock, margin: Tensor, center: Tensor, amidst: Tensor) -> OwnTerms:
        """Evaluate the own terms of consecutive points (n, d), which the block holds; ``amidst`` is a point (d,) amidst all."""
        every, reach = torch.arange(len(x), device=x.device), norms_of(x)
        minus = values_at(functions_for(block, "minus"), every, x, every)
        center = center.to(x.device)
        along = torch.cat([part.double() @ center for part in x.split(max(1, ROW_NUMBERS // x.shape[1]))])
        local_norm, centered = norms_of(block.local), norms_of(block.minus)
        unit = max(power_of_two(centered), power_of_two(center))
        common = center / unit
        square = (
            (centered / unit) ** 2 + 2 * (block.minus @ common.to(block.minus.dtype)).double() / unit + common.square().sum()
        )
        return cls(
            block.labels,
            AffineFunctions((block.local,), block.local_bias).values(every, x, every),
            minus.high,
            minus.low,
            margin.to(x.device),
            local_norm,
            unit * square.clamp(min=0).sqrt(),
            (minus.high + along).abs(),
            centered,
            block.local_bias,
            block.minus_bias,
            reach,
            torch.cat([norms_of(part - amidst.to(x)) for part in x.split(max(1, ROW_NUMBERS // x.shape[1]))]),
        )

    @classmethod
    def concatenate(cls, parts: list[tuple[int, OwnTerms]], points: int, device: torch.device) -> OwnTerms:
        """Join the own terms of runs of points, each given with the number of its first point; 0 elsewhere."""
        columns = []
        for field in fields(cls):
            dtype = torch.int64 if field.name == "labels" else torch.float64
            column = torch.zeros(points, dtype=dtype, device=device)
            for first, part in parts:
                column[first : first + len(part.labels)] = getattr(part, field.name)
            columns.append(column)
        return cls(*columns)

    def all_reduce(self, processes: Processes) -> OwnTerms:
        """Join the own terms of all processes, each of which has 0 at the points of the others."""
        return OwnTerms(*(processes.all_reduce_sum(getattr(self, field.name)) for field in fields(self)))

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides on which terms differ. Without F⁻ all a⁻ are 0, and comparing these ties would take long."""
        return SIDES if bool(self.minus_norm.any()) else ("plus",)

    def value(self, side: Side, factor: float = 1.0) -> DoubleDouble:
        """The values a⁻_k(x_k) or a⁺_k(x_k), with K multiplied by ``factor``: (N,)."""
        minus = DoubleDouble(self.minus, self.minus_low)
        if factor != 1:
            minus = minus.times(torch.full_like(self.minus, factor))
        return minus.plus(self.local) if side == "plus" else minus

    def keys(self, side: Side, num_targets: int = 0) -> Tensor:
        """The keys of the own terms among the functions of a side (``AffineFunctions.keys``), (N,)."""
        every = torch.arange(len(self.labels), device=self.labels.device)
        return key_of(self.labels, every) if side == "plus" and not num_targets else every

    def tolerance(self, precision: str, factor: float = 1.0) -> float:
        """The error that rounding can cause in the value of a term at a point of the data, with K multiplied by ``factor``.

        The rounding of the gradient ∇F⁺ of point j counts with x − x_j, as the constant part is value − ⟨gradient, x_j⟩ of the
        rounded gradient. The rounding of the values N(x_j) and F⁻(x_j) is that of sums as large as ‖gradient‖‖x_j‖.
        The evaluation in float64, or in double-double, is rounded in proportion to ‖gradient‖‖x‖ and the constant part.
        """
        diameter, reach = 2 * float(self.distance.max()), float(self.reach.max())
        extraction = (self.local_norm + factor * self.minus_norm) * (diameter + self.reach)
        extraction = extraction + factor * self.minus_value + self.local.abs()
        local = self.local_norm * reach + self.local_bias.abs()
        minus = factor * (self.centered_norm * reach + self.minus_bias.abs())
        fine = UNITS["double-double" if precision == "double-double" else "float64"]
        evaluation = UNITS["float64"] * local + fine * minus
        return UNITS[precision] * float(extraction.max()) + float(evaluation.max())

    def tie_tolerance(self, dtype: torch.dtype) -> Tensor:
        """The margin of N at each point up to which the rounding of N itself may change its label, (N,)."""
        return NETWORK_UNITS * torch.finfo(dtype).eps * (self.local_norm * self.reach + self.local.abs())

    def scale(self, num_targets: int = 0) -> float:
        """The spread of N on the data, which few outliers hardly inflate.

        1.48 times the median absolute deviation of the two largest scores, between 1/30 of their standard deviation and all of
        it; the largest score if all are equal. In regression (``num_targets`` > 0) the smallest spread of an output that is not
        constant.
        """
        scores = torch.cat([self.local, self.local - self.margin]).view(-1, 1) if not num_targets else None
        scores = self.local.view(-1, num_targets) if scores is None else scores
        unit = power_of_two(scores)
        deviation = unit * (scores / unit).std(0, correction=0)
        robust = 1.4826 * (scores - scores.median(0).values).abs().median(0).values
        spread = torch.minimum(deviation, torch.maximum(robust, deviation / 30))
        varied = spread[spread != 0]  # NaN stays
        return float(varied.min()) if len(varied) else float(scores.abs().max())


def amid(x: Tensor) -> Tensor:
    """A point (d,) amidst points (N, d): their mean, as far as their dtype holds it."""
    return (x.new_full((1, len(x)), 1 / len(x)) @ x)[0].double()
