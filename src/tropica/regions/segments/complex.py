"""A network along a segment: every breakpoint between two inputs, with the affine function between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape

import numpy as np
import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.patterns import pack_patterns
from tropica.polyhedra.thumbnails import svg
from tropica.regions.domains.constructors import Segment
from tropica.regions.segments.cells import LabelChanges, LineMap, Made, SegmentCell, SegmentRegion
from tropica.regions.segments.exact import Dyadic
from tropica.regions.segments.lines import Changes, Grid, Lines
from tropica.regions.segments.maps import same_maps, sharpened
from tropica.regions.segments.nonlinearities import Window
from tropica.regions.segments.plan import AffineStep, Plan, plan_of
from tropica.regions.segments.resolve import exact_walk, resolve
from tropica.regions.segments.roots import window_choice, window_roots
from tropica.regions.segments.split import refined
from tropica.regions.segments.walk import Walked, walk
from tropica.runtime.html import HtmlRepr

WORK = 5e7
"""Products of integers that doubtful places may take: some seconds at most."""
ROWS = 512
"""Patterns that are packed at a time."""
MOST_OUTPUTS = 10
"""Outputs in the small picture of a notebook."""


@dataclass(frozen=True, eq=False)
class SegmentRegions(HtmlRepr):
    """The linear regions of a network along x(t) = (1 − t) a + t b, 0 ≤ t ≤ 1.

    Attributes:
        net: the network, in float64 on the CPU.
        segment: the segment.
        t: 0, the breakpoints, 1: increasing, (m + 1,) in float64, each within a few units in its last place times the
            condition of its own crossing.
        slopes, values: the logits on the m cells, slopes · t + values, (m, s) in float64.
        map_of: the number of each cell's affine map, (m,); equal numbers <=> equal functions of t.
        undecided: the places that float64 leaves in doubt and ``work`` did not suffice for, and intervals too short for
            float64; 0 <=> ``certified``.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])  # |x|
    >>> found = tp.linear_regions(net, tp.Segment([-1.0], [3.0]))
    >>> found.t.tolist(), found.values.flatten().tolist(), found.certified
    ([0.0, 0.25, 1.0], [1.0, -1.0], True)
    """

    net: PiecewiseLinearNetwork
    segment: Segment
    t: Tensor
    slopes: Tensor
    values: Tensor
    map_of: Tensor
    undecided: int
    _plan: Plan
    _changes: dict[str, Changes]
    _lines: Lines

    @property
    def certified(self) -> bool:
        """Is every breakpoint, and the order of all of them, that of the exact network with these float64 weights?"""
        return self.undecided == 0

    @property
    def volume(self) -> float:
        """The length of the segment, |b − a|."""
        return float(np.linalg.norm(self.segment.b - self.segment.a))

    # ── the pieces ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def cells(self) -> Sequence[SegmentCell]:
        """The intervals between breakpoints: adjacent ones have different activation patterns."""
        return Made(len(self.t) - 1, self._cell)

    @property
    def regions(self) -> Sequence[SegmentRegion]:
        """The linear regions: adjacent cells with one affine function of t, as many as there are."""
        return Made(len(self._starts), self._region)

    @cached_property
    def maps(self) -> list[LineMap]:
        """The distinct affine functions of t, in the order in which they are met."""
        first = np.unique(self.map_of.numpy(), return_index=True)[1]
        return [LineMap(self.slopes[i], self.values[i]) for i in first.tolist()]

    @cached_property
    def patterns(self) -> Tensor:
        """The activation pattern of each cell as packed bits, uint8 (m, bytes), as ``net.activation_pattern`` gives them."""
        left = self.t[:-1]
        return torch.cat([self._packed(left[low : low + ROWS]) for low in range(0, len(left), ROWS)])

    def _packed(self, places: Tensor) -> Tensor:
        choices = []
        for nonlinearity in self.net.nonlinearities:
            form = self._plan.steps[nonlinearity.name]
            assert not isinstance(form, AffineStep)
            choices.append((nonlinearity, self._changes[nonlinearity.name].at(places), form.options))
        return pack_patterns(choices, len(places))

    @cached_property
    def _starts(self) -> Tensor:
        """The first cell of each region."""
        new = torch.ones(len(self.map_of), dtype=torch.bool)
        new[1:] = self.map_of[1:] != self.map_of[:-1]
        return torch.nonzero(new).flatten()

    def _cell(self, i: int) -> SegmentCell:
        ends = (float(self.t[i]), float(self.t[i + 1]))
        line = LineMap(self.slopes[i], self.values[i])
        return SegmentCell(i, ends, self.patterns[i], line, self.points(self.t[i : i + 2]), (ends[1] - ends[0]) * self.volume)

    def _region(self, i: int) -> SegmentRegion:
        low = int(self._starts[i])
        high = int(self._starts[i + 1]) if i + 1 < len(self._starts) else len(self.map_of)
        ends = (float(self.t[low]), float(self.t[high]))
        line = LineMap(self.slopes[low], self.values[low])
        return SegmentRegion(i, ends, range(low, high), line, (ends[1] - ends[0]) * self.volume)

    # ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def points(self, t: Tensor) -> Tensor:
        """x(t) for numbers (B,): (B, *input) in float64."""
        a, b = torch.from_numpy(self.segment.a), torch.from_numpy(self.segment.b)
        return ((1 - t)[:, None] * a + t[:, None] * b).reshape(-1, *self.net.input_shape)

    def locate(self, where: float | Tensor) -> Tensor:
        """The number of the cell of each place; at a breakpoint the cell behind it.

        Args:
            where: t as a number or as numbers (B,); or points (B, *input) on the segment.

        Raises:
            InputError: t outside [0, 1], points of another shape, or off the segment by more than 1e-6 of its length.
        """
        given = torch.as_tensor(where, dtype=torch.float64)
        t = given if given.ndim < 2 else self._place(given)
        if not bool(((t >= 0) & (t <= 1)).all()):
            raise InputError(f"a place on the segment is a number between 0 and 1; found {float(t.min())} to {float(t.max())}")
        return (torch.searchsorted(self.t, t, right=True) - 1).clamp(max=len(self.t) - 2)

    def _place(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.net.input_shape:
            wanted = ", ".join(map(str, ("B", *self.net.input_shape)))
            raise InputError(f"the points have shape {tuple(x.shape)}; this network takes ({wanted})")
        a = torch.from_numpy(self.segment.a)
        along = torch.from_numpy(self.segment.b) - a
        length = float(along @ along)
        t = (((x.flatten(1) - a) @ along) / length).clamp(0, 1)
        off = (x.flatten(1) - a - t[:, None] * along).norm(dim=1)
        if float(off.max()) > 1e-6 * length**0.5:
            raise InputError(f"point {int(off.argmax())} is not on the segment; it is {float(off.max()):.3g} away")
        return t

    def boundary(self) -> LabelChanges:
        """The points where the predicted label changes, inside cells as well: the decision boundary on the segment.

        A label is the first of the largest scores, as in ``net.predict``.
        """
        grid, label, certified = self._labelled
        new = torch.nonzero(label[1:] != label[:-1]).flatten()
        t = grid.t[new + 1]
        return LabelChanges(t, self.points(t), torch.stack([label[new], label[new + 1]], 1), certified)

    @cached_property
    def _labelled(self) -> tuple[Grid, Tensor, bool]:
        """The cells cut further where scores cross, the label on each piece, and whether float64 decides all of it."""
        scores = Lines(self.net.as_scores(self.slopes), self.net.as_scores(self.values), self._lines.errors)
        if self.net.num_outputs == 1:
            scores = Lines(scores.slope, scores.start, scores.errors.repeat(1, 2))
        form = Window(torch.arange(self.net.num_classes)[None], self.net.num_classes)
        grid = Grid.plain(self.t, 2.0**-52 * self.t)
        roots = window_roots(form, grid, scores)
        grid, parent, _ = refined(grid, roots)
        scores = scores.rows(parent)
        label = window_choice(form, scores.slope, scores.start, grid.middle[:, None])[:, 0]
        return grid, label, self.certified and not bool(grid.doubt.any() or grid.unclear.any())

    def table(self) -> list[dict[str, float | int | str]]:
        """A row a cell, ready for ``csv.DictWriter``: cell, t0, t1, region, map, labels (in the order met), slopes, values."""
        grid, label, _ = self._labelled
        cell = self.locate(grid.middle).tolist()
        labels: list[list[str]] = [[] for _ in range(len(self.t) - 1)]
        for i, name in zip(cell, map(str, label.tolist()), strict=True):
            if labels[i][-1:] != [name]:
                labels[i].append(name)
        region = torch.searchsorted(self._starts, torch.arange(len(self.map_of)), right=True) - 1
        columns = zip(self.t.tolist(), self.t[1:].tolist(), region.tolist(), self.map_of.tolist(), strict=False)
        rows: list[dict[str, float | int | str]] = []
        for i, (low, high, which, number) in enumerate(columns):
            row: dict[str, float | int | str] = {"cell": i, "t0": low, "t1": high, "region": which, "map": number}
            row["labels"] = " ".join(labels[i])
            row |= {f"slope_{k}": v for k, v in enumerate(self.slopes[i].tolist())}
            row |= {f"value_{k}": v for k, v in enumerate(self.values[i].tolist())}
            rows.append(row)
        return rows

    def __repr__(self) -> str:
        found = f"{len(self.cells):,} cells, {len(self.regions):,} regions, {len(self.maps):,} maps"
        return f"SegmentRegions({found}, {'certified' if self.certified else f'{self.undecided} places undecided'})"

    def _repr_html_(self) -> str:
        """The line of the ``repr``, and the first outputs as functions of t."""
        line = f"<p><code>{escape(repr(self))}</code></p>"
        outputs = self.slopes[:, :MOST_OUTPUTS], self.values[:, :MOST_OUTPUTS]
        ends = torch.stack([self.t[:-1], self.t[1:]])
        values = (outputs[0] * ends[..., None] + outputs[1]).numpy()  # (2, m, s)
        low, high = float(values.min()), float(values.max())
        height = (values - low) / max(high - low, 1e-300)
        points = np.stack([np.broadcast_to(ends.numpy()[..., None], height.shape), height], -1)
        return line + svg([*points.transpose(1, 2, 0, 3).reshape(-1, 2, 2)], (np.array([0.0, -0.05]), np.array([1.0, 1.05])))


def segment_regions(net: PiecewiseLinearNetwork, segment: Segment, *, work: float = WORK) -> SegmentRegions:
    """Every breakpoint of a network between two inputs, and its affine function on each interval between them.

    Along x(t) = (1 − t) a + t b the input of every unit is affine in t between two breakpoints, z(t) = s t + c, so a unit that
    changes its sign does so at t = −c/s, and a maximum changes where two of its pieces cross. By each of them the intervals
    are cut at all of these. Two points of one interval have the same activation pattern; adjacent intervals have different
    ones. All is done in float64, whatever the network's dtype, with an error bound on every number; what the bounds do not
    decide is decided in exact arithmetic with the float64 weights as the rationals they are (breakpoints that coincide, units
    that are zero all along, ties). Coinciding breakpoints are one breakpoint.

    Time: a nonlinearity of u units behind m intervals takes the work of the layers before it for 2 m points, and passes over
    m · u numbers; a dense layer behind a threshold only takes its work for one point of each interval before that threshold.
    Memory: a few times m · u numbers at a time, but for wide layers in chunks of 8 MB, and the breakpoints. The network keeps
    |W|, of dense layers Wᵀ, and of layers that were once computed with sharp bounds (the first, and all where there was a
    doubt) W in two parts, all in float64.

    Args:
        net: the traced network.
        segment: the two inputs.
        work: how many products of integers the exact arithmetic may take; what is not decided by then is counted in
            ``undecided``, and the result is not ``certified``.

    Raises:
        InputError: the ends have not as many numbers as the network has inputs, or net is not a traced network.

    Source: the idea of exact line segments is of Sotoudeh and Thakur, Computing Linear Restrictions of Neural Networks,
    NeurIPS 2019.

    >>> import torch, tropica as tp
    >>> from tropica.regions.domains.constructors import Segment
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 2, bias=False), torch.nn.ReLU(), torch.nn.Linear(2, 1, bias=False))
    >>> model[0].weight.data, model[2].weight.data = torch.tensor([[1.0], [-1.0]]), torch.tensor([[1.0, 1.0]])
    >>> found = segment_regions(tp.trace(model.eval(), torch.zeros(2, 1)), Segment([-1.0], [3.0]))  # |x|
    >>> found.t.tolist(), found.slopes.flatten().tolist(), found.certified
    ([0.0, 0.25, 1.0], [-4.0, 4.0], True)
    """
    if not isinstance(net, PiecewiseLinearNetwork):
        raise InputError(f"a traced network is needed (tp.trace(model, example)), got {type(net).__name__}")
    if not isinstance(segment, Segment):
        raise InputError(f"a Segment is needed, got {type(segment).__name__}")
    segment.check_input(net.input_shape)
    plan = plan_of(net)
    a, b = torch.from_numpy(segment.a), torch.from_numpy(segment.b)
    exact = exact_walk(plan, a, b, work)
    resolved = resolve(plan, a, b, walk(plan, a, b), exact)
    walked = _pruned(resolved.walked)
    t = walked.grid.t

    def exactly(cells: Tensor) -> Dyadic:
        places = t[cells]
        return exact.lines({name: c.at(places).numpy() for name, c in walked.changes.items()}, len(places))

    number, lost = same_maps(plan, walked, exactly)
    lines = sharpened(walked.output.rows(walked.row), exactly)
    undecided = resolved.undecided + lost
    shape = (-1, plan.net.num_outputs)
    return SegmentRegions(
        plan.net,
        segment,
        t,
        lines.slope.reshape(shape),
        lines.start.reshape(shape),
        number,
        undecided,
        plan,
        walked.changes,
        lines,
    )


def _pruned(walked: Walked) -> Walked:
    """Without the ends at which no unit changes."""
    grid = walked.grid
    t = torch.unique(torch.cat([grid.t[[0, -1]], *(c.t for c in walked.changes.values())]))
    if len(t) == len(grid.t):
        return walked
    at = torch.searchsorted(grid.t, t)
    used, row = torch.unique(walked.row[at[:-1]], return_inverse=True)
    return Walked(Grid.plain(t, grid.spread[at]), walked.changes, walked.output.rows(used), row)
