"""Branch and bound for the least value of an objective on a box: by inputs where there are few, else by units.

Nodes are taken in the order of their bounds, the worst first, many at a time. A node's bound comes with multipliers; where it
is above the target, the node is a leaf of the proof. Else an input is halved, or the sign of a unit is fixed; for those nodes
HiGHS solves the linear relaxation in networks that are not large.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tropica.queries.backward_bounds import CLEARLY, BoxBounds, bound_rows, fixed
from tropica.queries.multipliers import LEVELS, Ascended, Multipliers, Objective, ascended, first_multipliers
from tropica.queries.proof_tree import ProofWriter
from tropica.queries.relaxation import relaxed
from tropica.queries.threshold_program import Program
from tropica.queries.watch import Watch

FEW_INPUTS = 8
"""Inputs with room up to which inputs are split."""
SMALLEST = 2.0**-40
"""Sides of boxes, relative to the domain's, below which a box is left undecided."""
BATCH = 64
BLOCK_NUMBERS = 1 << 21
"""Nodes, and numbers of units of all nodes, that are bounded at a time."""
STEPS, FIRST_STEPS = 10, 60
"""Steps upwards in a node, and in the first one."""
RELAXED = 4096
"""Units up to which the linear relaxation of every node is solved; beyond, of those alone in which no unit may bend."""
REFRESH = 3 * 10**7
"""Products up to which the rows of a node are bounded anew."""
MOST_OPEN = 1 << 20
"""Nodes that wait, at most."""


@dataclass(frozen=True, eq=False)
class OpenNode:
    """A node that waits: its number, its box, the units that are fixed (± (1 + unit)), and its parent's multipliers."""

    number: int
    lo: np.ndarray
    hi: np.ndarray
    path: tuple[int, ...]
    alpha: np.ndarray
    beta: np.ndarray
    weights: np.ndarray
    share: float


@dataclass(frozen=True, eq=False)
class Branched:
    """How a search ended.

    Attributes:
        nodes: how many nodes were bounded.
        left: the share of the box that is undecided; 0 for a proof.
    """

    nodes: int
    left: float


@dataclass(eq=False)
class Chunk:
    """Branches and leaves that are not written yet."""

    branches: list[tuple[int, int, float, int]] = field(default_factory=list)
    leaves: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)

    def write(self, writer: ProofWriter, rows: int, columns: int) -> None:
        """Write and forget them."""
        node, axis, cut, child = zip(*self.branches, strict=True) if self.branches else ((), (), (), ())
        leaf, weights, alpha, beta = zip(*self.leaves, strict=True) if self.leaves else ((), (), (), ())
        writer.write(
            node=np.array(node, np.int64),
            axis=np.array(axis, np.int64),
            cut=np.array(cut, np.float64),
            child=np.array(child, np.int64),
            leaf=np.array(leaf, np.int64),
            weights=np.array(weights, np.float64).reshape(len(leaf), rows),
            alpha=np.array(alpha, np.uint8).reshape(len(leaf), columns),
            beta=np.concatenate([np.zeros(0), *beta]),
            count=np.array([len(b) for b in beta], np.int64),
        )
        self.branches.clear()
        self.leaves.clear()


class BranchAndBound:
    """One search.

    Args:
        program: the network.
        lo, hi: (D,) the box.
        objective: what is bounded from below.
        target: the value above which a node is a leaf; asked anew for each batch.
        visit: told points (n, D) at which the objective may be small; True stops the search.
        root: bounds of all rows over the box, where they are known.
        closes: whether open nodes are written as leaves, with the multipliers of their parents, when a limit comes.
    """

    def __init__(
        self,
        program: Program,
        lo: np.ndarray,
        hi: np.ndarray,
        objective: Objective,
        target: Callable[[], float],
        visit: Callable[[np.ndarray], bool],
        root: BoxBounds | None = None,
        closes: bool = False,
    ) -> None:
        self.program, self.lo, self.hi, self.objective = program, lo, hi, objective
        self.target, self.visit, self.closes = target, visit, closes
        self.by_inputs = int((hi > lo).sum()) <= FEW_INPUTS
        self.refresh = self.by_inputs or program.refresh_cost <= REFRESH
        with np.errstate(all="ignore"):
            self.root = root or bound_rows(program, lo[None], hi[None])
        low, high = self.root.joined()
        bends = np.concatenate([layer.bends for layer in program.layers]) if program.layers else np.zeros(0, bool)
        self.bends = bends
        self.columns = np.flatnonzero(((low < 0) & (high > 0))[0] & bends)
        self.made = 1

    def run(self, writer: ProofWriter, max_nodes: float, until: float, watch: Watch) -> Branched:
        """Search until no node is open, a limit or Ctrl-C comes, or ``visit`` stops it."""
        with np.errstate(all="ignore"):
            return self._run(writer, max_nodes, until, watch)

    def _run(self, writer: ProofWriter, max_nodes: float, until: float, watch: Watch) -> Branched:
        first = first_multipliers(self.program, self.root, len(self.objective.rows))
        start = OpenNode(0, self.lo, self.hi, (), self._stored(first.alpha[0]), np.zeros(0), first.weights[0], 1.0)
        queue: list[tuple[float, int, OpenNode]] = [(-np.inf, 0, start)]
        batch_size = max(1, min(BATCH, BLOCK_NUMBERS // max(1, self.program.units + self.program.inputs)))
        count, left, chunk = 0, 0.0, Chunk()
        rows, columns = len(self.objective.rows), len(self.columns)
        while queue and not (count >= max_nodes or _over(until, watch) or len(queue) > MOST_OPEN):
            batch = [heapq.heappop(queue)[2] for _ in range(min(batch_size, len(queue)))]
            bounds = self._bounds(batch)
            found = self._ascended(bounds, batch, FIRST_STEPS if count == 0 else STEPS)
            count += len(batch)
            watch.add(len(batch))
            found = self._relaxed(bounds, found, until, watch)
            unproven = self._unproven(found)
            if unproven.any() and self.visit(np.concatenate([found.point, (bounds.lo + bounds.hi) / 2])[np.tile(unproven, 2)]):
                return Branched(count, 1.0)
            unproven = self._unproven(found)
            for k, node in enumerate(batch):
                if not unproven[k]:
                    self._leaf(chunk, node, found, k)
                    continue
                children = self._children(chunk, node, bounds, found, k)
                if children is None:
                    left += node.share
                    self._leaf(chunk, node, found, k)
                    continue
                for child in children:
                    heapq.heappush(queue, (float(found.bound[k]), child.number, child))
            chunk.write(writer, rows, columns)
        for _, _, node in queue:
            left += node.share
            if self.closes:
                chunk.leaves.append((node.number, node.weights, node.alpha, node.beta))
        chunk.write(writer, rows, columns)
        return Branched(count, left)

    # ── bounds ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _bounds(self, batch: list[OpenNode]) -> BoxBounds:
        lo, hi = np.stack([n.lo for n in batch]), np.stack([n.hi for n in batch])
        if len(batch) == 1 and not batch[0].number:
            return self.root if self.by_inputs else fixed(self.program, self.root, self._none())
        if self.by_inputs:
            return bound_rows(self.program, lo, hi, base=self.root)
        signs = np.zeros((len(batch), self.program.units), np.int8)
        for k, node in enumerate(batch):
            path = np.array(node.path, np.int64)
            signs[k, np.abs(path) - 1] = np.sign(path)
        parts = self.program.parts(signs)
        return bound_rows(self.program, lo, hi, parts, self.root) if self.refresh else fixed(self.program, self.root, parts)

    def _none(self) -> list[np.ndarray]:
        """No signs."""
        return self.program.parts(np.zeros((1, self.program.units), np.int8))

    def _ascended(self, bounds: BoxBounds, batch: list[OpenNode], steps: int) -> Ascended:
        """The bounds of a batch: with the parents' multipliers, and after steps where those do not do."""
        start = first_multipliers(self.program, bounds, len(self.objective.rows))
        alpha, beta = start.alpha, start.beta
        alpha[:, self.columns] = np.stack([n.alpha for n in batch]) / LEVELS
        for k, node in enumerate(batch):
            beta[k, np.abs(np.array(node.path, np.int64)) - 1] = node.beta
        given = Multipliers(alpha, beta, np.stack([n.weights for n in batch]))
        found = ascended(self.program, bounds, self.objective, given, 1)
        index = np.flatnonzero(self._unproven(found))
        if len(index):
            some = ascended(self.program, bounds.at(index), self.objective, given.at(index), steps)
            found = found.replaced(index, some)
        return found

    def _relaxed(self, bounds: BoxBounds, found: Ascended, until: float, watch: Watch) -> Ascended:
        """The bounds of nodes that are not proven, by their linear relaxations."""
        if self.by_inputs:
            return found
        low, high = bounds.joined()
        settled = ~((low < 0) & (high > 0) & self.bends).any(1)
        wanted = self._unproven(found) & (settled | (self.program.units <= RELAXED))
        for k in np.flatnonzero(wanted).tolist():
            if _over(until, watch):
                break
            one = bounds.at(np.array([k]))
            end = relaxed(self.program, one, self.objective, until - time.monotonic())
            if end is None:
                continue
            better = ascended(self.program, one, self.objective, end.multipliers, 1).at_point(end.point)
            if better.bound[0] > found.bound[k]:
                found = found.replaced(np.array([k]), better)
        return found

    def _unproven(self, found: Ascended) -> np.ndarray:
        return ~(found.bound > self.target() + CLEARLY * found.size)

    def _stored(self, alpha: np.ndarray) -> np.ndarray:
        return np.round(alpha[self.columns] * LEVELS).astype(np.uint8)

    # ── the tree ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _leaf(self, chunk: Chunk, node: OpenNode, found: Ascended, k: int) -> None:
        m = found.multipliers
        beta = m.beta[k, np.abs(np.array(node.path, np.int64)) - 1]
        chunk.leaves.append((node.number, m.weights[k], self._stored(m.alpha[k]), beta))

    def _children(self, chunk: Chunk, node: OpenNode, bounds: BoxBounds, found: Ascended, k: int) -> list[OpenNode] | None:
        """The two nodes that a node is split into; None where it cannot be."""
        m, number = found.multipliers, self.made
        alpha, beta = self._stored(m.alpha[k]), m.beta[k, np.abs(np.array(node.path, np.int64)) - 1]
        if self.by_inputs:
            i = self._axis(node, found.influence[k])
            middle = node.lo[i] / 2 + node.hi[i] / 2
            room = node.hi[i] - node.lo[i] > (self.hi[i] - self.lo[i]) * SMALLEST
            if not room or not node.lo[i] < middle < node.hi[i]:
                return None
            left, right = node.hi.copy(), node.lo.copy()
            left[i] = right[i] = middle
            ends = ((node.lo, left, node.path, beta), (right, node.hi, node.path, beta))
            chunk.branches.append((node.number, i, float(middle), number))
        else:
            unit = self._unit(bounds, found, k)
            if unit is None:
                return None
            longer = np.append(beta, 0.0)
            ends = tuple((node.lo, node.hi, (*node.path, s * (unit + 1)), longer) for s in (-1, 1))
            chunk.branches.append((node.number, -2 - unit, 0.0, number))
        self.made += 2
        return [
            OpenNode(number + j, lo, hi, path, alpha, b, m.weights[k], node.share / 2)
            for j, (lo, hi, path, b) in enumerate(ends)
        ]

    def _axis(self, node: OpenNode, influence: np.ndarray) -> int:
        """The input to split: that of the largest influence, among wide ones; the widest one where none has any.

        The objective's slope at a loose bound says little of an input, so the width relative to the box counts once more.
        """
        width, size = node.hi - node.lo, self.hi - self.lo
        wide = np.where(size > 0, width / np.where(size > 0, size, 1.0), -1.0)
        score = np.where(width > 0, influence * width * wide, -1.0)
        return int(score.argmax()) if np.isfinite(score).all() and score.max() > 0 else int(wide.argmax())

    def _unit(self, bounds: BoxBounds, found: Ascended, k: int) -> int | None:
        """The unit whose lines leave most room in the objective; None if none may bend."""
        low, high = (np.concatenate([part[k] for part in parts]) for parts in (bounds.low, bounds.high))
        mixed = (low < 0) & (high > 0) & self.bends
        if not mixed.any():
            return None
        room = np.where(mixed, high * -low / (high - low), 0.0)
        score = np.where(mixed, np.abs(found.factors[k]) * room, -1.0)
        return int(np.nan_to_num(score, nan=0.0).argmax())


def _over(until: float, watch: Watch) -> bool:
    return time.monotonic() > until or watch.ended
