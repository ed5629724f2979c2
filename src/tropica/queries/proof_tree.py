"""The tree of splits that a proof is, written piece by piece, and its walk by the checker.

Node 0 is a box. A node splits an input at a number (axis ≥ 0), or fixes the sign of unit −2 − axis: its first child has
x ≤ cut, or z ≤ 0, the next node is its other child. A leaf has multipliers. The file is a zip of NumPy arrays, chunk by chunk.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np

from tropica.queries.proof_check import Checker, Leaves

IN_MEMORY = 1 << 26
"""Bytes of a proof up to which it stays in memory; larger ones go to a temporary file as they grow."""
BATCH = 64
"""Leaves that are checked at a time, at most."""
BATCH_NUMBERS = 1 << 20
LEVELS = 255.0
FORMAT = "tropica proof 1"
BRANCH_ARRAYS = ("node", "axis", "cut", "child")
LEAF_ARRAYS = ("leaf", "weights", "alpha", "beta", "count")


@dataclass(frozen=True, eq=False)
class Tree:
    """A tree for one unsafe conjunction of one case of a property.

    Attributes:
        case, conjunction: their numbers.
        refresh: whether rows are bounded in each leaf anew; otherwise over the whole box alone.
        columns: the units whose α are stored.
        node, axis, cut, child: (N,) the branches.
        leaf: (L,) the nodes that are leaves.
        weights: (L, R); alpha: (L, columns) uint8, 255 for 1; beta: of the fixed signs of each leaf, from the root, one leaf
            after the other; count: (L,) how many those are.
    """

    case: int
    conjunction: int
    refresh: bool
    columns: np.ndarray
    node: np.ndarray
    axis: np.ndarray
    cut: np.ndarray
    child: np.ndarray
    leaf: np.ndarray
    weights: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray
    count: np.ndarray


@dataclass(frozen=True, eq=False)
class Proof:
    """A proof as a file, in memory while it is small."""

    file: IO[bytes]

    def content(self) -> bytes:
        """All bytes of the file."""
        self.file.seek(0)
        return self.file.read()

    def trees(self) -> Iterator[Tree]:
        """The trees, one at a time.

        Raises:
            ValueError, KeyError, zipfile.BadZipFile: no proof.
        """
        self.file.seek(0)
        with zipfile.ZipFile(self.file) as archive:
            about = json.loads(archive.read("about.json"))
            if not isinstance(about, dict) or about.get("format") != FORMAT:
                raise ValueError("another format")
            for number, one in enumerate(about["trees"]):
                yield _read_tree(archive, number, one)


def _read_tree(archive: zipfile.ZipFile, number: int, about: dict[str, Any]) -> Tree:
    def array(chunk: int, name: str) -> np.ndarray:
        with archive.open(f"{number}/{chunk}/{name}.npy") as file:
            return np.lib.format.read_array(file, allow_pickle=False)

    chunks = range(int(about["chunks"]))
    joined = {n: np.concatenate([array(k, n) for k in chunks]) for n in (*BRANCH_ARRAYS, *LEAF_ARRAYS)}
    columns = np.array(about["columns"], np.int64)
    return Tree(int(about["case"]), int(about["conjunction"]), bool(about["refresh"]), columns, **joined)


@dataclass(eq=False)
class ProofWriter:
    """Writes trees, one after the other, each in chunks."""

    file: IO[bytes] = field(default_factory=lambda: tempfile.SpooledTemporaryFile(max_size=IN_MEMORY))  # noqa: SIM115
    trees: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.archive = zipfile.ZipFile(self.file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)

    def begin(self, case: int, conjunction: int, columns: np.ndarray, *, refresh: bool) -> None:
        """Begin a tree."""
        about = {"case": case, "conjunction": conjunction, "refresh": refresh, "columns": columns.tolist(), "chunks": 0}
        self.trees.append(about)

    def write(self, **arrays: np.ndarray) -> None:
        """Write a chunk: branches and leaves, as :class:`Tree` has them."""
        about = self.trees[-1]
        for name in (*BRANCH_ARRAYS, *LEAF_ARRAYS):
            entry = f"{len(self.trees) - 1}/{about['chunks']}/{name}.npy"
            with self.archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(arrays[name]), allow_pickle=False)
        about["chunks"] += 1

    def finish(self) -> Proof:
        """Close the archive."""
        self.archive.writestr("about.json", json.dumps({"format": FORMAT, "trees": self.trees}))
        self.archive.close()
        return Proof(self.file)


@dataclass(frozen=True, eq=False)
class LeafBound:
    """A leaf of a tree: its number among the leaves, its box, the fixed signs of units (± (1 + unit)), and its bound."""

    number: int
    lo: np.ndarray
    hi: np.ndarray
    path: tuple[int, ...]
    bound: float


def proven_bound(checker: Checker, tree: Tree, lo: np.ndarray, hi: np.ndarray) -> float:
    """The least bound of all leaves of a tree over a box (D,): −∞ where it is no tree over the whole box.

    Args:
        checker: for the objective of the tree.
        tree: what is checked.
        lo, hi: the box.
    """
    least, leaves = np.inf, 0
    for leaf in leaf_bounds(checker, tree, lo, hi):
        least, leaves = min(least, leaf.bound), leaves + 1
        if not least > -np.inf:
            return -np.inf
    return least if leaves else -np.inf


def leaf_bounds(checker: Checker, tree: Tree, lo: np.ndarray, hi: np.ndarray) -> Iterator[LeafBound]:
    """The leaves of a tree over a box, each with its bound; one with the bound −∞ where it is no tree over the whole box."""
    wrong = LeafBound(-1, lo, hi, (), -np.inf)
    if not _well_formed(checker, tree):
        yield wrong
        return
    root = checker.root_rows(lo[None], hi[None])
    branch = {int(n): i for i, n in enumerate(tree.node.tolist())}
    leaf = {int(n): i for i, n in enumerate(tree.leaf.tolist())}
    if len(branch) != len(tree.node) or len(leaf) != len(tree.leaf):
        yield wrong
        return
    starts = np.cumsum([0, *tree.count.tolist()])
    size = max(1, min(BATCH, BATCH_NUMBERS // max(checker.program.units, 1)))
    pending: list[tuple[int, np.ndarray, np.ndarray, tuple[int, ...]]] = [(0, lo, hi, ())]
    found: list[tuple[int, np.ndarray, np.ndarray, tuple[int, ...]]] = []
    visited = 0
    while pending:
        node, low, high, path = pending.pop()
        visited += 1
        if visited > len(branch) + len(leaf) or (node in branch) == (node in leaf):
            yield wrong
            return
        if node in leaf:
            if int(tree.count[leaf[node]]) != len(path):
                yield wrong
                return
            found.append((leaf[node], low, high, path))
            if len(found) == size or not pending:
                for one, bound in zip(found, _bounds(checker, tree, found, starts, root), strict=True):
                    yield LeafBound(*one, bound=float(bound))
                found = []
            continue
        i = branch[node]
        axis, cut, child = int(tree.axis[i]), float(tree.cut[i]), int(tree.child[i])
        if axis >= 0:
            if axis >= len(lo) or not low[axis] <= cut <= high[axis]:
                yield wrong
                return
            left, right = high.copy(), low.copy()
            left[axis], right[axis] = cut, cut
            pending += [(child, low, left, path), (child + 1, right, high, path)]
        else:
            unit = -2 - axis
            if not 0 <= unit < checker.program.units:
                yield wrong
                return
            pending += [(child, low, high, (*path, -unit - 1)), (child + 1, low, high, (*path, unit + 1))]


def _well_formed(checker: Checker, tree: Tree) -> bool:
    """Whether arrays have the shapes and values that are read."""
    leaves, columns = len(tree.leaf), tree.columns
    shapes = (
        tree.weights.shape == (leaves, len(checker.rows))
        and tree.alpha.shape == (leaves, len(columns))
        and tree.alpha.dtype == np.uint8
        and tree.count.shape == (leaves,)
        and all(a.ndim == 1 and len(a) == len(tree.node) for a in (tree.node, tree.axis, tree.cut, tree.child))
        and tree.beta.ndim == 1
        and len(tree.beta) == int(tree.count.sum())
    )
    inside = not len(columns) or (columns.min() >= 0 and columns.max() < checker.program.units)
    finite = np.isfinite(tree.weights).all() and np.isfinite(tree.beta).all()
    return bool(shapes and inside and finite and (tree.count >= 0).all())


def _bounds(checker: Checker, tree: Tree, found: list, starts: np.ndarray, root: Any) -> np.ndarray:
    """Bounds of some leaves; −∞ where nothing is known."""
    leaves = read_leaves(checker, tree, found, starts)
    return np.nan_to_num(checker.least(leaves, root, refresh=tree.refresh), nan=-np.inf, posinf=np.inf, neginf=-np.inf)


def read_leaves(checker: Checker, tree: Tree, found: list, starts: np.ndarray) -> Leaves:
    """Leaves (number, lo, hi, path) with their multipliers; ``starts`` are the places of their β."""
    index = np.array([f[0] for f in found])
    signs = np.zeros((len(found), checker.program.units), np.int8)
    beta = np.zeros(signs.shape)
    for k, (i, _, _, path) in enumerate(found):
        units = np.abs(np.array(path, np.int64)) - 1
        signs[k, units] = np.sign(np.array(path, np.int64))
        beta[k, units] = tree.beta[starts[i] : starts[i + 1]]
    lo, hi = np.stack([f[1] for f in found]), np.stack([f[2] for f in found])
    return Leaves(lo, hi, signs, tree.alpha[index] / LEVELS, tree.columns, beta, tree.weights[index])
