"""``tp.verify``: whether a property holds on a box, with a tree that proves it or a point that violates it."""

from __future__ import annotations

import itertools
import time
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
from tropica.queries.arguments import positive
from tropica.queries.attack import attack
from tropica.queries.enclosures import Enclosure
from tropica.queries.properties import Property, Unsafe
from tropica.queries.split_tree import SplitTree, check_tree
from tropica.regions.domains.constructors import Box
from tropica.regions.domains.domain import Domain
from tropica.regions.lower.exact_points import exact_points
from tropica.regions.lower.lowering import Lowered, lower
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import HtmlRepr

BATCH = 256
"""Boxes that are bounded at a time."""
SMALLEST = 2.0**-40
"""Sides of boxes, relative to the domain's, below which a box is left undecided."""
SAMPLES = 2048


@dataclass(frozen=True, eq=False, repr=False)
class Verdict(HtmlRepr):
    """What was found of a property.

    Attributes:
        status: "holds", "violated" or "undecided".
        point: a float32 point (*input,) that violates the property, or None.
        rational: the violating point, exactly: the float32 point, or another if no float32 point was found; else None.
        outputs: the exact outputs there, as Fractions.
        float32_outputs: the outputs of the network's own float32 arithmetic at ``point``.
        boxes: how many boxes were bounded.
        left: the fraction of the boxes' volume that is undecided.
        trees: for "holds" the proof, one tree for each case of the property.
        seconds: time it took.

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
    trees: tuple[SplitTree, ...]
    seconds: float

    @property
    def holds(self) -> bool:
        return self.status == "holds"

    def save(self, path: str | Path) -> None:
        """Write the proof to an ``.npz`` file, which :func:`tropica.check_verdict` checks.

        Raises:
            InputError: a property that was not proven.
        """
        if not self.holds:
            raise InputError(f"only a proof is saved; the property is {self.status}")
        arrays = {f"{name}{k}": getattr(t, name) for k, t in enumerate(self.trees) for name in ("axis", "cut", "child", "rows")}
        with open(path, "wb") as file:
            np.savez_compressed(file, **arrays)

    def __repr__(self) -> str:
        more = f", {self.left:.2g} of the volume left" if self.status == "undecided" else ""
        if self.status == "violated" and self.point is None:
            more = ", by a rational point"
        return f"Verdict({self.status}, {self.boxes:,} boxes, {self.seconds:.1f} s{more})"


@own_settings()
def verify(
    net: PiecewiseLinearNetwork | torch.nn.Module,
    domain: Domain | None,
    prop: Property,
    *,
    max_boxes: int | None = None,
    max_seconds: float | None = None,
    seed: int = 0,
) -> Verdict:
    """Verify a property of the outputs on a box.

    The network is that of real numbers with the weights as they are. Boxes are split until bounds of the outputs, rounded
    outwards, exclude every unsafe conjunction; a point that violates the property is evaluated exactly before it counts.
    "holds" comes with the tree of splits, checked by :func:`tropica.queries.split_tree.check_tree` before it is returned.

    Args:
        net: a network or a module; splitting inputs is for few of them.
        domain: a box; None for the boxes of a property read from a file.
        prop: a :class:`Property`.
        max_boxes, max_seconds: limits, within which the verdict may be "undecided".
        seed: of the points that are tried first.

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
    lowered = lower(net)
    cases = [(_exact_box(box, domain, net), unsafe) for box, unsafe in prop.cases]
    for _, unsafe in cases:
        if any(u.outputs != net.num_outputs for u in unsafe):
            raise InputError(f"the property speaks of {unsafe[0].outputs} outputs; the network has {net.num_outputs}")
    trees: list[SplitTree] = []
    boxes, left = 0, 0.0
    for box, unsafe in cases:
        limits = (max_boxes, None if max_seconds is None else start + max_seconds)
        found = _case(net, lowered, box, unsafe, limits, boxes, seed)
        boxes += found.boxes
        if found.status == "violated":
            return replace(found, boxes=boxes, seconds=time.monotonic() - start)
        trees += found.trees
        left += found.left / len(cases)
    status = "holds" if left == 0 else "undecided"
    return Verdict(status, None, None, None, None, boxes, left, tuple(trees), time.monotonic() - start)


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
    try:
        with np.load(path, allow_pickle=False) as arrays:
            stored = {name: arrays[name] for name in arrays.files}
        trees = [SplitTree(*(stored[f"{n}{k}"] for n in ("axis", "cut", "child", "rows"))) for k in range(len(stored) // 4)]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} is no proof of a verdict: {error}") from None
    lowered = lower(net)
    cases = [(_exact_box(box, domain, net), unsafe) for box, unsafe in prop.cases]
    if len(trees) != len(cases):
        return False
    return all(check_tree(lowered, t, *_outward(box), unsafe) for t, (box, unsafe) in zip(trees, cases, strict=True))


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


def _case(
    net: PiecewiseLinearNetwork,
    lowered: Lowered,
    box: RationalArray,
    unsafe: Sequence[Unsafe],
    limits: tuple[int | None, float | None],
    before: int,
    seed: int,
) -> Verdict:
    lo, hi = _outward(box)
    starts = np.cumsum([0, *(len(u.rows.numerators) for u in unsafe)])
    rows = np.concatenate([u.rows.floats() for u in unsafe])
    judge = _Judge(net, lowered, box, unsafe)
    for x in attack(net, lo, hi, rows, starts, samples=SAMPLES, seed=seed):
        if (found := judge(x)) is not None:
            return found
    enclosure = Enclosure(lowered, rows[:, :-1])
    bounds_up = np.nextafter(rows[:, -1], np.inf)
    axis, cut, child, proof = [-1], [0.0], [0], [np.zeros(len(unsafe), np.int16)]
    open_boxes: list[tuple[int, np.ndarray, np.ndarray]] = [(0, lo, hi)]
    smallest = (hi - lo) * SMALLEST
    count, undecided = 0, 0.0
    volume = _volume(lo, hi, hi - lo)
    while open_boxes:
        if (limits[0] is not None and before + count >= limits[0]) or (limits[1] is not None and time.monotonic() > limits[1]):
            undecided += sum(_volume(a, b, hi - lo) for _, a, b in open_boxes) / volume
            break
        batch, open_boxes = open_boxes[-BATCH:], open_boxes[:-BATCH]
        low, high = np.stack([b[1] for b in batch]), np.stack([b[2] for b in batch])
        forms, _ = enclosure(low, high)
        count += len(batch)
        gain = forms.low - bounds_up
        best = np.stack([gain[:, a:b].argmax(1) for a, b in itertools.pairwise(starts)], 1)
        proven = np.stack([gain[:, a:b].max(1) > 0 for a, b in itertools.pairwise(starts)], 1)
        slopes = _influence(forms.lower_slopes, starts, best, proven)
        for x in judge.likely((low + high)[~proven.all(1)] / 2):
            if (found := judge(x)) is not None:
                return replace(found, boxes=count)
        for k, (node, a, b) in enumerate(batch):
            if proven[k].all():
                proof[node] = best[k].astype(np.int16)
                continue
            i = _axis(slopes[k], a, b, hi - lo)
            middle = (a[i] + b[i]) / 2
            if b[i] - a[i] <= smallest[i] or not a[i] < middle < b[i]:
                undecided += _volume(a, b, hi - lo) / volume
                continue
            axis[node], cut[node], child[node] = i, middle, len(axis)
            left, right = b.copy(), a.copy()
            left[i] = right[i] = middle
            open_boxes += [(len(axis), a, left), (len(axis) + 1, right, b)]
            axis += [-1, -1]
            cut += [0.0, 0.0]
            child += [0, 0]
            proof += [proof[0], proof[0]]
    if undecided:
        return Verdict("undecided", None, None, None, None, count, undecided, (), 0.0)
    tree = SplitTree(np.array(axis, np.int32), np.array(cut), np.array(child, np.int64), np.array(proof))
    if not check_tree(lowered, tree, lo, hi, tuple(unsafe)):
        return Verdict("undecided", None, None, None, None, count, 1.0, (), 0.0)
    return Verdict("holds", None, None, None, None, count, 0.0, (tree,), 0.0)


def _influence(slopes: np.ndarray, starts: np.ndarray, best: np.ndarray, proven: np.ndarray) -> np.ndarray:
    """How much each input (B, D) moves the rows that are nearest to a proof."""
    at = starts[:-1] + best
    taken = np.abs(np.take_along_axis(slopes, at[:, :, None], 1))
    return (taken * ~proven[:, :, None]).sum(1)


def _axis(influence: np.ndarray, a: np.ndarray, b: np.ndarray, size: np.ndarray) -> int:
    """The input to split: that of the largest influence; the widest one where none has any."""
    wide = np.where(size > 0, (b - a) / np.where(size > 0, size, 1.0), 0.0)
    score = np.where(b > a, influence, -1.0)
    return int(score.argmax()) if np.isfinite(score).all() and score.max() > 0 else int(wide.argmax())


def _volume(a: np.ndarray, b: np.ndarray, size: np.ndarray) -> float:
    """The volume of a box relative to another; fixed inputs do not count."""
    wide = size > 0
    return float(np.prod(((b - a) / np.where(wide, size, 1.0))[wide]))


class _Judge:
    """Decides exactly whether points violate a property."""

    def __init__(self, net: PiecewiseLinearNetwork, lowered: Lowered, box: RationalArray, unsafe: Sequence[Unsafe]) -> None:
        self.net, self.lowered, self.box, self.unsafe = net, lowered, box, unsafe
        self.double = net.to(torch.float64).to("cpu")
        floats = box.floats()
        self.lo, self.hi = floats
        self.rows = [u.rows.floats() for u in unsafe]

    def likely(self, x: np.ndarray) -> np.ndarray:
        """Of points (B, D) those that seem to violate the property in floating point."""
        if not len(x):
            return x
        with torch.no_grad():
            y = self.double(torch.from_numpy(x).reshape(-1, *self.net.input_shape)).numpy()
        seems = np.zeros(len(x), bool)
        for rows in self.rows:
            size = np.abs(y) @ np.abs(rows[:, :-1]).T + np.abs(rows[:, -1])
            seems |= (y @ rows[:, :-1].T - rows[:, -1] <= 1e-9 * size).all(1)
        return x[seems]

    def __call__(self, x: np.ndarray) -> Verdict | None:
        """The verdict that a point (D,) is good for: the nearest float32 point first, then the point itself."""
        exact = [Fraction(int(v), self.box.denominator) for v in self.box.numerators.ravel()]
        lo, hi = exact[: len(x)], exact[len(x) :]
        single = np.clip(x, self.lo, self.hi).astype(np.float32)
        for i, v in enumerate(single.tolist()):
            if Fraction(v) < lo[i]:
                single[i] = np.nextafter(single[i], np.float32(np.inf))
            elif Fraction(v) > hi[i]:
                single[i] = np.nextafter(single[i], np.float32(-np.inf))
        double = [min(max(Fraction(float(v)), a), b) for v, a, b in zip(x.tolist(), lo, hi, strict=True)]
        for is_single, point in ((True, [Fraction(float(v)) for v in single]), (False, double)):
            if any(not a <= p <= b for p, a, b in zip(point, lo, hi, strict=True)):
                continue
            outputs = self._outputs(point)
            if any(u.holds(outputs) for u in self.unsafe):
                shaped = single.reshape(self.net.input_shape) if is_single else None
                own = None if shaped is None else self._own(shaped)
                return Verdict("violated", shaped, tuple(point), tuple(outputs), own, 0, 0.0, (), 0.0)
        return None

    def _outputs(self, point: Sequence[Fraction]) -> list[Fraction]:
        out = exact_points(self.lowered, from_fractions(point, (1, len(point)))).outputs
        return [Fraction(int(v), out.denominator) for v in out.numerators[0]]

    def _own(self, single: np.ndarray) -> np.ndarray:
        net: Any = self.net.to(torch.float32).to("cpu")
        with torch.no_grad():
            return net(torch.from_numpy(single)[None])[0].numpy()
