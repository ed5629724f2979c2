"""``tp.verify``: whether a property holds on a box, with a tree that proves it or a point that violates it."""

from __future__ import annotations

import math
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tropica.errors import DataError, InputError
from tropica.exact.rational_arrays import RationalArray, from_fractions, rationals
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.queries.all_cells import AllCells
from tropica.queries.arguments import positive
from tropica.queries.attack import attack
from tropica.queries.branching import BranchAndBound
from tropica.queries.cell import MOST_DIMENSIONS
from tropica.queries.multipliers import Objective
from tropica.queries.proof_check import Checker
from tropica.queries.proof_tree import Proof, ProofWriter, proven_bound
from tropica.queries.properties import Property, Unsafe
from tropica.queries.threshold_program import Program, threshold_program
from tropica.queries.watch import Watch, watched
from tropica.regions.domains.constructors import Box
from tropica.regions.domains.domain import Domain
from tropica.regions.lower.exact_points import exact_points
from tropica.regions.lower.lowering import Lowered, lower
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.files import write_file
from tropica.runtime.html import HtmlRepr
from tropica.runtime.progress import ProgressCallback

SAMPLES = 2048
"""Points that are tried first."""
PATIENCE = 8
"""Batches of nodes with points that may violate the property, after which the vertices of all cells are looked at."""
LARGEST = float(np.finfo(np.float32).max)
MOST_JUDGED = 4
"""Points of a batch that are evaluated exactly."""


@dataclass(frozen=True, eq=False, repr=False)
class Verdict(HtmlRepr):
    """What was found of a property.

    Attributes:
        status: "holds", "violated" or "undecided".
        point: a float32 point (*input,) that violates the property, or None.
        rational: the violating point, exactly: the float32 point, or another if no float32 point was found; else None.
        outputs: the exact outputs there, as Fractions.
        float32_outputs: the outputs of the network's own float32 arithmetic at ``point``.
        boxes: how many nodes of trees were bounded: boxes, or sets of fixed units.
        left: the share of the trees that is undecided: of the volume where inputs are split.
        proof: for "holds" the proof, a tree for each unsafe conjunction of each case of the property.
        seconds: time it took, with that of the checker.
        stopped: "Ctrl-C" where that left the property undecided, else None.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])  # |x|
    >>> found = tp.verify(net, tp.Box(-1, 1, d=1), tp.Property.below(0, 0.5, 1))
    >>> found.status, found.holds, found.point, found.outputs
    ('violated', False, array([1.], dtype=float32), (Fraction(1, 1),))
    """

    status: str
    point: np.ndarray | None
    rational: tuple[Fraction, ...] | None
    outputs: tuple[Fraction, ...] | None
    float32_outputs: np.ndarray | None
    boxes: int
    left: float
    proof: Proof | None
    seconds: float
    stopped: str | None = None

    @property
    def holds(self) -> bool:
        return self.status == "holds"

    def save(self, path: str | Path) -> None:
        """Write the proof to a file, which :func:`tropica.check_verdict` checks: a zip of NumPy arrays.

        Raises:
            InputError: a property that was not proven.
        """
        if self.proof is None:
            raise InputError(f"only a proof is saved; the property is {self.status}")
        write_file(Path(path), self.proof.content())

    def __repr__(self) -> str:
        more = f", {self.left:.2g} left" if self.status == "undecided" else ""
        if self.status == "violated" and self.point is None:
            more = ", by a rational point"
        return f"Verdict({self.status}, {self.boxes:,} nodes, {self.seconds:.1f} s{more})"


@own_settings()
def verify(
    net: PiecewiseLinearNetwork | torch.nn.Module,
    domain: Domain | None,
    prop: Property,
    *,
    max_boxes: int | None = None,
    max_seconds: float | None = None,
    seed: int = 0,
    progress: bool | ProgressCallback = False,
) -> Verdict:
    """Verify a property of the outputs on a box.

    The network is that of real numbers with the weights as they are. Up to 8 inputs boxes are split; for more inputs the signs
    of units are fixed, one after the other, and where no unit may bend any more HiGHS solves a linear program. Bounds go from
    the outputs backwards, with multipliers that steps upwards improve. A point that violates the property is evaluated exactly
    before it counts. "holds" comes with the trees of splits with multipliers at their leaves, which a checker with arithmetic
    of its own, rounded outwards, has accepted (:mod:`tropica.queries.proof_check`).

    Args:
        net: a network or a module.
        domain: a box; None for the boxes of a property read from a file.
        prop: a :class:`Property`.
        max_boxes, max_seconds: limits (nodes of trees, seconds), within which the verdict may be "undecided".
        seed: of the points that are tried first.
        progress: True for a bar, or a function (nodes, 0, message).

    Ctrl-C ends the search as a limit does; a second Ctrl-C ends it at once.

    Raises:
        InputError: no box, a property of another number of outputs, limits that are not positive, a large network.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])  # |x|
    >>> tp.verify(net, tp.Box(-1, 1, d=1), tp.Property.below(0, 1.5, 1)).status
    'holds'
    >>> found = tp.verify(net, tp.Box(-1, 1, d=1), tp.Property.below(0, 0.5, 1))
    >>> found.status, found.outputs[0] >= 0.5
    ('violated', True)
    """
    net = as_network(net, inputs=domain.input_size if isinstance(domain, Domain) else None)
    if not isinstance(prop, Property):
        raise InputError(f"a property is needed, as tp.Property.label(3, outputs=10); found {type(prop).__name__}")
    positive(max_boxes, "max_boxes")
    positive(max_seconds, "max_seconds")
    start = time.monotonic()
    task, until = _Task.of(net, domain, prop), math.inf if max_seconds is None else start + max_seconds
    with watched(progress) as watch:
        found = _verified(task, max_boxes or math.inf, until, seed, watch)
        stopped = watch.stopped if found.status == "undecided" else None
        return replace(found, seconds=time.monotonic() - start, stopped=stopped)


@own_settings()
def check_verdict(net: PiecewiseLinearNetwork, domain: Domain | None, prop: Property, path: str | Path) -> bool:
    """Check a saved proof: whether its trees prove the property, by the checker alone.

    Raises:
        DataError: no such file, or no proof.
        InputError: as :func:`verify`.

    >>> import tempfile, tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])  # |x|
    >>> interval, prop = tp.Box(-1, 1, d=1), tp.Property.below(0, 1.5, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tp.verify(net, interval, prop).save(f"{folder}/proof.npz")
    ...     tp.check_verdict(net, interval, prop, f"{folder}/proof.npz")
    True
    """
    task = _Task.of(as_network(net, inputs=domain.input_size if isinstance(domain, Domain) else None), domain, prop)
    try:
        with open(path, "rb") as file:
            return task.checked(Proof(file))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is no proof of a verdict: {error}") from None


def _exact_box(box: RationalArray | None, domain: Domain | None, net: PiecewiseLinearNetwork) -> RationalArray:
    """lo and hi (2, D) of a case, exactly."""
    if box is not None:
        if domain is not None:
            raise InputError("the property has boxes of its own; domain must be None")
        if box.numerators.shape[1] != int(np.prod(net.input_shape)):
            raise InputError(f"the property speaks of {box.numerators.shape[1]} inputs; the network has {net.input_shape}")
        return box
    if not isinstance(domain, Box):
        raise InputError(f"verify needs a box, as tp.Box(lo, hi); found {type(domain).__name__}")
    domain.check_input(net.input_shape)
    return rationals(np.stack([domain.lo, domain.hi]))


def _outward(box: RationalArray) -> tuple[np.ndarray, np.ndarray]:
    """A float64 box that contains an exact one."""
    near = box.floats()
    own = rationals(near)
    difference = own.numerators.astype(object) * box.denominator - box.numerators.astype(object) * own.denominator
    lo = np.where((difference[0] > 0).astype(bool), np.nextafter(near[0], -np.inf), near[0])
    hi = np.where((difference[1] < 0).astype(bool), np.nextafter(near[1], np.inf), near[1])
    return lo, hi


@dataclass(frozen=True, eq=False)
class _Task:
    """A network and the exact boxes and unsafe conjunctions of a property."""

    net: PiecewiseLinearNetwork
    lowered: Lowered
    program: Program
    cases: list[tuple[RationalArray, tuple[Unsafe, ...]]]

    @classmethod
    def of(cls, net: PiecewiseLinearNetwork, domain: Domain | None, prop: Property) -> _Task:
        """The task of a property on a domain."""
        lowered = lower(net)
        cases = [(_exact_box(box, domain, net), unsafe) for box, unsafe in prop.cases]
        for _, unsafe in cases:
            if any(u.outputs != net.num_outputs for u in unsafe):
                raise InputError(f"the property speaks of {unsafe[0].outputs} outputs; the network has {net.num_outputs}")
        return cls(net, lowered, threshold_program(lowered), cases)

    def checked(self, proof: Proof) -> bool:
        """Whether the checker accepts a proof of the whole property."""
        wanted = {(i, j) for i, (_, unsafe) in enumerate(self.cases) for j in range(len(unsafe))}
        for tree in proof.trees():
            if (tree.case, tree.conjunction) not in wanted:
                return False
            wanted.remove((tree.case, tree.conjunction))
            box, unsafe = self.cases[tree.case]
            rows = unsafe[tree.conjunction].rows.floats()
            checker = Checker(self.program, rows[:, :-1], rows[:, -1])
            if not proven_bound(checker, tree, *_outward(box)) > 0:
                return False
        return not wanted


def _verified(task: _Task, max_nodes: float, until: float, seed: int, watch: Watch) -> Verdict:
    """The verdict on all boxes of a property."""
    writer, nodes, left = ProofWriter(), 0, 0.0
    watch.begin("nodes")
    for number in range(len(task.cases)):
        found = _case(task, number, writer, max_nodes - nodes, until, seed, watch)
        nodes += found.boxes
        if found.status == "violated":
            return replace(found, boxes=nodes)
        left += found.left / len(task.cases)
    proof = None if left else writer.finish()
    if proof is not None and not task.checked(proof):
        proof, left = None, 1.0
    return Verdict("undecided" if proof is None else "holds", None, None, None, None, nodes, left, proof, 0.0)


def _case(
    task: _Task,
    number: int,
    writer: ProofWriter,
    max_nodes: float,
    until: float,
    seed: int,
    watch: Watch,
) -> Verdict:
    """One box of a property: points that may violate it, then a tree for each unsafe conjunction."""
    box, unsafe = task.cases[number]
    lo, hi = _outward(box)
    starts = np.cumsum([0, *(len(u.rows.numerators) for u in unsafe)])
    rows = np.concatenate([u.rows.floats() for u in unsafe])
    judge = _Judge(task.net, task.lowered, box, unsafe, until)
    if judge.any(attack(task.net, lo, hi, rows, starts, samples=SAMPLES, seed=seed)):
        return judge.verdict(0)
    nodes, left, root = 0, 0.0, None
    for j, u in enumerate(unsafe):
        near = u.rows.floats()
        objective = Objective(near[:, :-1], near[:, -1])
        search = BranchAndBound(task.program, lo, hi, objective, lambda: 0.0, judge.any_likely, root)
        root = search.root
        writer.begin(number, j, search.columns, refresh=search.refresh)
        found = search.run(writer, max_nodes - nodes, until, watch)
        nodes += found.nodes
        if judge.found is not None:
            return judge.verdict(nodes)
        left += found.left / len(unsafe)
    return Verdict("undecided" if left else "holds", None, None, None, None, nodes, left, None, 0.0)


class _Judge:
    """Decides exactly whether points violate a property."""

    def __init__(
        self,
        net: PiecewiseLinearNetwork,
        lowered: Lowered,
        box: RationalArray,
        unsafe: Sequence[Unsafe],
        until: float,
    ) -> None:
        self.net, self.lowered, self.box, self.unsafe = net, lowered, box, unsafe
        self.double = net.to(torch.float64).to("cpu")
        floats = box.floats()
        self.lo, self.hi = floats
        self.rows = [u.rows.floats() for u in unsafe]
        self.found: Verdict | None = None
        self.until, self.asked = until, 0

    def any_likely(self, x: np.ndarray) -> bool:
        """Whether one of points (B, D) violates the property, of those that seem to in floating point the clearest ones.

        After some batches: whether a vertex of a cell does, if the box has few cells. A property that an extreme of an output
        just violates is violated at no other point.
        """
        self.asked += 1
        if self.asked == PATIENCE and self._any_vertex():
            return True
        with torch.no_grad():
            y = self.double(torch.from_numpy(np.ascontiguousarray(x)).reshape(-1, *self.net.input_shape)).numpy()
        least = np.full(len(x), np.inf)
        for rows in self.rows:
            size = np.abs(y) @ np.abs(rows[:, :-1]).T + np.abs(rows[:, -1])
            excess = y @ rows[:, :-1].T - rows[:, -1]
            with np.errstate(divide="ignore", invalid="ignore"):
                least = np.fmin(least, np.where(size > 0, excess / size, 0.0).max(1))
        order = least.argsort()[:MOST_JUDGED]
        return self.any(x[order[least[order] <= 1e-9]])

    def any(self, x: np.ndarray) -> bool:
        """Whether one of points (B, D) violates the property, exactly."""
        for one in x:
            if (found := self(one)) is not None:
                self.found = found
                return True
        return False

    def _any_vertex(self) -> bool:
        """Whether the least value of an unsafe set of one condition, which a vertex of a cell has, is in it."""
        exact = rationals(np.stack([self.lo, self.hi]))
        same = exact.numerators.astype(object) * self.box.denominator == self.box.numerators.astype(object) * exact.denominator
        if not same.all() or not (self.lo < self.hi).all() or len(self.lo) > MOST_DIMENSIONS:
            return False
        cells = AllCells(self.net, Box(self.lo, self.hi))
        if cells.within(self.until - time.monotonic()) is None:
            return False
        for u in self.unsafe:
            if len(u.rows.numerators) != 1:
                continue
            *c, level = (Fraction(int(v), u.rows.denominator) for v in u.rows.numerators[0])
            best = cells.least(c)
            if best is not None and best[0] <= level:
                self.found = self(np.array([float(v) for v in best[1]]), best[1])
                return self.found is not None
        return False

    def verdict(self, nodes: int) -> Verdict:
        """The verdict of the point that was found."""
        assert self.found is not None
        return replace(self.found, boxes=nodes)

    def __call__(self, x: np.ndarray, rational: Sequence[Fraction] | None = None) -> Verdict | None:
        """The verdict that a point (D,) is good for: the nearest float32 point first, then the point itself."""
        exact = [Fraction(int(v), self.box.denominator) for v in self.box.numerators.ravel()]
        lo, hi = exact[: len(x)], exact[len(x) :]
        single = np.clip(np.clip(x, self.lo, self.hi), -LARGEST, LARGEST).astype(np.float32)
        with np.errstate(over="ignore"):
            for i, v in enumerate(single.tolist()):
                if Fraction(v) < lo[i]:
                    single[i] = np.nextafter(single[i], np.float32(np.inf))
                elif Fraction(v) > hi[i]:
                    single[i] = np.nextafter(single[i], np.float32(-np.inf))
        double = [min(max(Fraction(float(v)), a), b) for v, a, b in zip(x.tolist(), lo, hi, strict=True)]
        points = [(False, double), (False, list(rational or double))]
        if np.isfinite(single).all():  # a box may lie beyond the largest float32 number
            points.insert(0, (True, [Fraction(float(v)) for v in single]))
        for is_single, point in points:
            if any(not a <= p <= b for p, a, b in zip(point, lo, hi, strict=True)):
                continue
            outputs = self._outputs(point)
            if any(u.holds(outputs) for u in self.unsafe):
                shaped = single.reshape(self.net.input_shape) if is_single else None
                own = None if shaped is None else self._own(shaped)
                return Verdict("violated", shaped, tuple(point), tuple(outputs), own, 0, 0.0, None, 0.0)
        return None

    def _outputs(self, point: Sequence[Fraction]) -> list[Fraction]:
        out = exact_points(self.lowered, from_fractions(point, (1, len(point)))).outputs
        return [Fraction(int(v), out.denominator) for v in out.numerators[0]]

    def _own(self, single: np.ndarray) -> np.ndarray:
        net: Any = self.net.to(torch.float32).to("cpu")
        with torch.no_grad():
            return net(torch.from_numpy(single)[None])[0].numpy()
