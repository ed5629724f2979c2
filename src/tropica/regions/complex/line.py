"""Cells of a one-dimensional domain: their order, the breakpoints between them, and where the label changes along the way."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from tropica.errors import InputError
from tropica.polyhedra.thumbnails import svg
from tropica.regions.complex.enumerated import Enumerated
from tropica.regions.complex.output_cells import OutputCells, clip, label_functions
from tropica.regions.domains.domain import Domain
from tropica.regions.engine.exact_vertices import interior_point
from tropica.runtime.arithmetic import under_own_settings
from tropica.runtime.html import HtmlRepr

MOST_OUTPUTS = 10
"""Outputs in the small picture of a notebook."""
NEAR = 1e-9
"""Parts of a cell whose middles differ by less, as a share of the domain, are put into order exactly."""


@dataclass(frozen=True, eq=False)
class LabelChanges(HtmlRepr):
    """The points of a one-dimensional domain where the predicted label changes.

    Attributes:
        t: where, increasing, (k,).
        x: the same points as inputs, (k, *input), float64.
        labels: (k, 2) the label before and the label behind each.
        certified: whether no sign rests on floating point alone.
    """

    t: np.ndarray
    x: Tensor
    labels: np.ndarray
    certified: bool

    def __len__(self) -> int:
        return len(self.t)

    def __repr__(self) -> str:
        return f"LabelChanges({len(self)} at t = {np.array2string(self.t, threshold=6, precision=6)})"


@under_own_settings
class LineMethods:
    """A mixin of :class:`RegionComplex`, for domains of one dimension: their cells are in order."""

    domain: Domain

    if TYPE_CHECKING:  # of RegionComplex

        @property
        def complete(self) -> bool: ...
        @property
        def stopped(self) -> str | None: ...
        @property
        def certified(self) -> bool: ...
        @cached_property
        def corners(self) -> tuple[np.ndarray, np.ndarray]: ...
        @cached_property
        def logits(self) -> tuple[np.ndarray, np.ndarray]: ...
        def embed(self, t: np.ndarray) -> Tensor: ...
        def _enumerated(self, wanted: str) -> Enumerated: ...

    @property
    def breakpoints(self) -> np.ndarray:
        """The ends t (C + 1,) of the cells of a bounded one-dimensional domain: cell i lies between the i-th and the next. The
        first and the last are the ends of the domain.

        Raises:
            InputError: another domain, or cells that are not all there.

        >>> import tropica as tp
        >>> net = tp.from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])  # |x|
        >>> tp.linear_regions(net, tp.Segment([-1.0], [3.0])).breakpoints.tolist()
        [0.0, 0.25, 1.0]
        """
        self._check_line("breakpoints")
        starts, corners = self.corners
        low, high = self.domain.vertices.min(), self.domain.vertices.max()
        inner = np.maximum.reduceat(corners[:, 0], starts[:-1])[:-1]
        return np.maximum.accumulate(np.concatenate([[low], inner, [high]]).clip(low, high))

    def label_changes(self) -> LabelChanges:
        """The points of a bounded one-dimensional domain where the label changes, in order: the decision boundary on the way.

        The labels are those of ``net.predict``, the first of the largest logits; they change inside of cells as well.

        Raises:
            InputError: another domain; cells that are not all there; a complex from a file without its network.

        >>> import tropica as tp
        >>> net = tp.from_layers([([[1.0], [-1.0]], [0.0, 1.0])])
        >>> changes = tp.linear_regions(net, tp.Segment([0.0], [2.0])).label_changes()
        >>> changes.t.tolist(), changes.x.tolist(), changes.labels.tolist()
        ([0.25], [[0.5]], [[1, 0]])
        """
        self._check_line("changes of the label")
        t, labels, certified = _label_changes(self._enumerated("changes of the label"))
        return LabelChanges(t, self.embed(t[:, None]), labels, certified and self.certified)

    def _check_line(self, what: str) -> None:
        if self.domain.dimension != 1 or self.domain.limits() is None:
            raise InputError(f"{what} in order are those of a bounded domain of one dimension, as tp.Segment(a, b)")
        if not self.complete:
            raise InputError(f"the cells are not all there, {self.stopped} ended the enumeration: no {what} in order")

    def _outputs_svg(self) -> str:
        """The first outputs as functions of t."""
        if not self.complete:
            return ""
        t, (slopes, constants) = self.breakpoints, self.logits
        ends = np.stack([t[:-1], t[1:]], 1)[..., None]  # (C, 2, 1)
        values = ends * slopes[:, None, :MOST_OUTPUTS, 0] + constants[:, None, :MOST_OUTPUTS]
        low, high = float(values.min()), float(values.max())
        height = (values - low) / max(high - low, 1e-300)
        points = np.stack([np.broadcast_to((ends - t[0]) / (t[-1] - t[0]), height.shape), height], -1)  # (C, 2, s, 2)
        return svg([*points.transpose(0, 2, 1, 3).reshape(-1, 2, 2)], (np.array([0.0, -0.05]), np.array([1.0, 1.05])))


def _label_changes(found: Enumerated) -> tuple[np.ndarray, np.ndarray, bool]:
    """Where the label changes along the cells of a one-dimensional domain.

    Returns:
        The places t (k,), the labels before and behind (k, 2), and whether all of it is proven.
    """
    parts = clip(found, label_functions(found.maps[0].shape[1]))
    middle = np.add.reduceat(parts.parts.at[:, 0], parts.parts.start[:-1]) / np.diff(parts.parts.start)
    order = np.lexsort((middle, parts.parent))
    near = np.diff(middle[order]) <= NEAR * np.ptp(found.domain.vertices)
    near &= parts.parent[order[1:]] == parts.parent[order[:-1]]
    for run in np.split(np.arange(len(order)), np.flatnonzero(~near) + 1):
        if len(run) > 1 and found.problem.exact.proves:
            order[run] = sorted(order[run], key=lambda part: _exact_middle(parts, int(part)))
    label, end = parts.piece[order], np.maximum.reduceat(parts.parts.at[:, 0], parts.parts.start[:-1])[order]
    change = np.flatnonzero(label[1:] != label[:-1])
    return end[change], np.stack([label[change], label[change + 1]], 1), found.proven and parts.undecided == 0


def _exact_middle(parts: OutputCells, part: int) -> Fraction:
    """The middle of an interval, exactly."""
    rows = range(int(parts.parts.start[part]), int(parts.parts.start[part + 1]))
    return interior_point([parts.corner(row) for row in rows])[0]
