"""The norms of the Jacobians of the cells in a box, the objective ``"lipschitz"`` of ``tp.output_range``."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch

from tropica.errors import InputError
from tropica.exact.rational_arrays import nearest_float, rationals
from tropica.exact.roundoff import EPSILON
from tropica.network.network import PiecewiseLinearNetwork
from tropica.queries.all_cells import AllCells
from tropica.queries.cell import Cell, cell_at
from tropica.queries.jacobian_bounds import JacobianBounds
from tropica.queries.range_search import RangeSearch
from tropica.queries.threshold_program import threshold_program
from tropica.queries.walls import walls_of
from tropica.regions.domains.constructors import Box
from tropica.regions.lower.lowering import Lowered


class LipschitzSearch(RangeSearch):
    """A search for the least of sign · ‖J‖ over all cells in a box.

    ‖J‖ is the operator norm that belongs to the norm of inputs and outputs: for l1 the largest sum of |entries| of a column,
    for linf that of a row, for l2 of one output the length of its gradient, of which the square is taken.
    """

    def __init__(
        self,
        net: PiecewiseLinearNetwork,
        lowered: Lowered,
        domain: Box,
        norm: str,
        outputs: list[int],
        sign: int,
        seed: int,
    ) -> None:
        super().__init__(net, lowered, domain, [Fraction(0)] * net.num_outputs, seed)
        self.norm, self.outputs, self.sign = norm, outputs, sign
        self.jacobians = JacobianBounds(threshold_program(lowered))

    def bounded(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        below, above, bent = self.jacobians(low, high)
        below, above = below[:, self.outputs], above[:, self.outputs]
        most = np.maximum(np.abs(below), np.abs(above))
        least = np.where((below > 0) | (above < 0), np.minimum(np.abs(below), np.abs(above)), 0.0)
        norms = self._norms(most if self.sign < 0 else least)
        slack = norms * (below.shape[1] + below.shape[2] + 8) * EPSILON * 2 + 1e-300
        return self.sign * norms - slack, (above - below).sum(1), bent

    def _norms(self, sizes: np.ndarray) -> np.ndarray:
        """The norms (B,) of matrices (B, s, D) of absolute values; the square for l2."""
        if self.norm == "l2":
            return (sizes**2).sum((1, 2))
        return sizes.sum(1).max(1) if self.norm == "l1" else sizes.sum(2).max(1)

    def candidates(self, here: Cell) -> Iterator[tuple[Fraction, tuple[Fraction, ...]]]:
        exact = here.outputs.exact
        assert exact is not None
        inside = here.inside
        point = tuple(Fraction(int(n), inside.denominator) for n in inside.numerators[0])
        yield self._exact_norm(exact.numerators[:, :-1].astype(object), exact.denominator), point

    def _exact_norm(self, jacobian: np.ndarray, denominator: int = 1) -> Fraction:
        """sign · ‖J / denominator‖ for a matrix (s, D) of exact numbers."""
        rows = np.abs(jacobian[self.outputs])
        if self.norm == "l2":
            return self.sign * Fraction((rows**2).sum()) / denominator**2
        return self.sign * Fraction(rows.sum(0 if self.norm == "l1" else 1).max()) / denominator

    def least_of(self, cells: AllCells) -> tuple[Fraction, tuple[Fraction, ...]]:
        given, error = (part[:, self.outputs] for part in cells.jacobians())
        with np.errstate(all="ignore"):
            ends = self._norms(np.maximum(np.abs(given) - error, 0)), self._norms(np.abs(given) + error)
        slack = (given.shape[1] + given.shape[2] + 8) * EPSILON * 2
        low, high = ends[0] * (1 - slack) - 1e-300, ends[1] * (1 + slack) + 1e-300
        low, high = (low, high) if self.sign > 0 else (-high, -low)
        candidates = np.flatnonzero(~(low > np.nan_to_num(high, nan=np.inf).min()))
        value, cell = min((self._exact_norm(jacobian), k) for jacobian, k in cells.exact_jacobians(candidates))
        return value, cells.inside(cell)

    def tried(self, x: np.ndarray) -> None:
        """Take the cell of the point whose Jacobian is best in floating point."""
        double = self.net.to(torch.float64).to("cpu")
        given = torch.from_numpy(np.ascontiguousarray(x)).reshape(-1, *self.net.input_shape).requires_grad_()
        with torch.enable_grad():
            y = double(given).reshape(len(x), -1)
            slopes = [
                torch.autograd.grad(y[:, i].sum(), given, retain_graph=True, allow_unused=True, materialize_grads=True)[0]
                for i in self.outputs
            ]
        sizes = np.abs(torch.stack(slopes, 1).flatten(2).numpy())
        values = self.sign * self._norms(sizes)
        k = int(np.nan_to_num(values, nan=np.inf).argmin())
        if self.value is not None and not values[k] < nearest_float(*self.value.as_integer_ratio()):
            return
        walls = walls_of(self.domain, self.net.input_shape)
        try:
            here = cell_at(self.lowered, rationals(x[k][None]), walls)
        except InputError:  # on a border
            if self.value is not None:
                return
            here = cell_at(self.lowered, self.inside(self.domain.lo, self.domain.hi, walls), walls)
        for value, point in self.candidates(here):
            self.keep(value, point)
