"""One step of the engine: a complex, refined by the zero sets of functions that are affine on each of its cells.

Function by function: the edges whose ends have different signs are split where the function vanishes (by interpolation: it is
affine along an edge), and the new vertices that lie on one 2-face are joined. A 2-face at an edge has its sign vector but for
one constraint, which is released to either side: so its key is the edge's key, changed by two additions, and new vertices with
equal keys are neighbours. In a simple complex each 2-face that is cut has just two of them.

Zero counts as positive. That is the complex of functions moved up by infinitesimal amounts, each far larger than all those
before it: hence it is simple, whatever the functions are, and cells that exist only there have edges of length zero.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tropica.regions.state import SMALLEST, State, together

Decide = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Called with vertices, and functions' numbers, whose value is too close to zero to tell, and the values: the settled ones."""

NEVER = np.int32(2**31 - 1)
WITHIN = 1 - 2.0**-53
"""The largest share of an edge: a value that is zero at its negative end alone is not zero at a new vertex."""


class Signs:
    """Signs of n functions as packed bits, eight a byte, the first function in the highest bit; and sums of names by table."""

    def __init__(self, names: np.ndarray) -> None:
        self.n = len(names)
        self.width = -(-self.n // 8)
        padded = np.zeros((self.width, 8, 2), np.uint64)
        padded.reshape(-1, 2)[: self.n] = names
        bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.uint64)
        self._table = (bits[None, :, :, None] * padded[:, None]).sum(2, dtype=np.uint64)  # (width, 256, 2)
        self._leading = np.append(8, 7 - np.floor(np.log2(np.arange(1, 256)))).astype(np.int32)

    def unpack(self, bits: np.ndarray, first: int) -> np.ndarray:
        """Signs of functions ``first`` … (m, n − first)."""
        low = first // 8
        return np.unpackbits(bits[:, low:], axis=1, count=self.n - 8 * low)[:, first - 8 * low :].view(bool)

    def first(self, bits: np.ndarray, start: int) -> np.ndarray:
        """The first function from number ``start`` on whose bit is set, NEVER where there is none: (m,)."""
        if start >= self.n:
            return np.full(len(bits), NEVER)
        low = start // 8
        left = bits[:, low:].copy()
        left[:, 0] &= 0xFF >> (start - 8 * low)
        byte = (left != 0).argmax(1)
        value = left[np.arange(len(left)), byte]
        return np.where(value == 0, NEVER, (8 * (low + byte) + self._leading[value]).astype(np.int32))

    def names(self, bits: np.ndarray, last: int) -> np.ndarray:
        """The sum of the names of functions 0 … last − 1 whose bits are set: (m, 2)."""
        whole, rest = divmod(last, 8)
        total = np.zeros((len(bits), 2), np.uint64)
        for byte in range(whole):
            total += self._table[byte][bits[:, byte]]
        if rest:
            total += self._table[whole][bits[:, whole] & (0xFF00 >> rest & 0xFF)]
        return total


class Refinement:
    """The functions of one step at the vertices, and what the step needs to know of the edges.

    Args:
        state: the complex, which is changed.
        values: (V or more, c): what is carried along (interpolated at new vertices), the n functions among it; rows beyond
            V are room to grow.
        columns: (n,) those of the functions, in order.
        constraints: (n,) the functions' numbers among the constraints.
        positive: which functions are positive at the vertices that are there, as packed bits.
        unsure: (n,) |value| up to which a sign at a new vertex is not certain.
        blur: how far two ends of an edge may be from where their values stand.
        decide: settles values that are not certain.
        keep: are values wanted when the step is over? If not, those of functions whose turn is past are let go.
        most: vertices that the step is not to exceed, once it has cut.

    Attributes:
        done: functions that it has cut by: fewer than n where there would have been too many vertices.
        open: signs at new vertices that were read off a value there, as (vertices, functions, values), a part a cut.
    """

    def __init__(
        self,
        state: State,
        values: np.ndarray,
        columns: np.ndarray,
        constraints: np.ndarray,
        positive: np.ndarray,
        unsure: np.ndarray,
        blur: float,
        decide: Decide,
        keep: bool,
        most: int | None = None,
    ) -> None:
        self.state, self.constraints, self.unsure, self.blur, self.decide = state, constraints, unsure, blur, decide
        self.keep, self.most = keep, most
        self.n = self.done = len(constraints)
        self.open: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._columns = columns
        self._oldest = constraints[0]
        self._memory = values.reshape(-1)
        vertices, edges = state.vertices, state.edges
        self.first = vertices.size
        vertices["values"] = values
        vertices["depth"] = np.zeros(len(values), np.int32)
        vertices["steep"] = np.zeros(len(values))
        self.signs = Signs(state.names.positive[constraints])
        vertices["positive"] = np.zeros((len(values), self.signs.width), np.uint8)
        vertices["positive"][:] = positive
        vertices["end"] = np.full(len(values), -1)
        edges["next"] = self._next(edges["ends"], 0)
        edges["line"] = edges["ends"].copy()

    def run(self) -> None:
        """Cut by every function in turn, as long as there is room; then bring the keys up to date."""
        vertices = self.state.vertices
        for i in range(self.n):
            cut = np.flatnonzero(self.state.edges["next"] == i)
            if self.most is not None and self.first < vertices.size > self.most - len(cut):
                self.done = i
                break
            if not self.keep and self._columns[i] >= BLOCK:
                self._forget(int(self._columns[i]))
            if len(cut):
                self._cut(i, cut)
        self._finish()

    def _forget(self, columns: int) -> None:
        """Let the first columns of the values go: the rows close up in the memory that they have."""
        vertices = self.state.vertices
        values = vertices["values"]
        width = values.shape[1] - columns
        if np.shares_memory(values, self._memory):
            for low in range(0, len(values), CHUNK):
                rows = values[low : low + CHUNK, columns:].copy()
                self._memory[low * width : low * width + rows.size] = rows.reshape(-1)
        else:  # it has grown
            self._memory = np.ascontiguousarray(values[:, columns:]).reshape(-1)
        vertices["values"] = self._memory[: len(self._memory) // width * width].reshape(-1, width)
        self._columns = self._columns - columns

    # ── signs ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _next(self, ends: np.ndarray, first: int) -> np.ndarray:
        """The next function that cuts each edge, from number ``first`` on; NEVER where none does."""
        positive = self.state.vertices["positive"]
        return self.signs.first(positive[ends[:, 0]] ^ positive[ends[:, 1]], first)

    def _sum(self, ends: np.ndarray, last: int) -> np.ndarray:
        """What functions 0 … last − 1 add to the keys of edges with these ends: the names of those that are positive."""
        positive = self.state.vertices["positive"]
        return self.signs.names(positive[ends[:, 0]] & positive[ends[:, 1]], last)

    # ── one function ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _cut(self, i: int, cut: np.ndarray) -> None:
        """Split the edges ``cut`` by function i."""
        state, edges = self.state, self.state.edges
        ends, on = edges["ends"][cut], edges["on"][cut]
        swap = (state.vertices["positive"][ends[:, 0], i // 8] >> (7 - i % 8)) & 1 == 0
        ends[swap] = ends[swap][:, ::-1]  # from the positive to the negative end
        keys = edges["key"][cut] + self._sum(ends, i)
        line = edges["line"][cut]
        new = self._vertices(i, ends, line, on, edges["key"][cut])

        rows = edges.grow(len(cut))  # the edge keeps its positive part; its negative part is a new edge
        table = edges["ends"]
        table[cut, 0], table[cut, 1] = ends[:, 0], new
        table[rows, 0], table[rows, 1] = new, ends[:, 1]
        edges["on"][rows] = on
        edges["line"][rows] = line
        edges["steep"][rows] = edges["steep"][cut]
        edges["key"][rows] = edges["key"][cut]
        if "inside" in edges:
            edges["inside"][rows] = edges["inside"][cut]
            state.vertices["inside"][new] = np.tile(edges["inside"][cut], 2)  # either side of the new constraint, the last
        both = np.concatenate([cut, np.arange(rows.start, rows.stop)])
        edges["next"][both] = self._next(table[both], i + 1)
        if state.d > 1:
            self._join(i, new, cut, on, keys)

    def _vertices(self, i: int, ends: np.ndarray, line: np.ndarray, on: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """The points where function i vanishes on edges; their numbers.

        All functions of a step are affine along the whole of the edge that this one was, when the step began or when it was
        made: the ends of that, ``line``, are the new vertices' parents, so that few others lie between them and the old ones.
        """
        vertices = self.state.vertices
        rows = vertices.grow(len(ends))
        column = self._columns[i]
        values = vertices["values"][:, 0 if self.keep else column :]
        a, b = values[ends[:, 0]], values[ends[:, 1]]
        above, below = vertices["values"][ends, column].T
        share = np.minimum(above / (above - below), WITHIN)[:, None]
        b -= a
        b *= share
        np.add(a, b, out=values[rows])  # between two numbers of one sign it has that sign, as ``share`` is less than 1
        vertices["values"][rows, column] = 0
        at = vertices["at"]
        start = at[ends[:, 0]]
        way = at[ends[:, 1]] - start
        at[rows] = start + share * way
        length = np.sqrt(np.einsum("vi,vi->v", way, way))
        vertices["steep"][rows] = np.maximum(above - below - 2 * self.unsure[i], 0) / (length + 2 * self.blur + SMALLEST)
        depth = vertices["depth"]
        depth[rows] = np.maximum(depth[ends[:, 0]], depth[ends[:, 1]]) + 1
        vertices["place"][rows] = self._places(ends, above == 0)
        vertices["on"][rows, :-1] = on
        vertices["on"][rows, -1] = self.constraints[i]
        vertices["parents"][rows] = line
        vertices["end"][rows] = ends[:, 0]
        side = vertices["side"]
        side[rows] = np.where(side[ends[:, 0]] != 0, side[ends[:, 0]], side[ends[:, 1]])
        positive = vertices["positive"]
        first, last = positive[ends[:, 0]], positive[ends[:, 1]]
        # No function before this one changes sign along the edge, and this one vanishes, which counts as positive.
        merged = first & last
        merged[:, i // 8] |= 0x80 >> i % 8
        split = first ^ last
        if i + 1 < self.n:
            self._later(i + 1, rows.start, split, merged)
        positive[rows] = merged
        names, constraint = self.state.names, self.constraints[i]
        vertices["key"][rows] = keys + (names.zero[constraint] - names.positive[constraint])
        return np.arange(rows.start, rows.stop)

    def _later(self, first: int, start: int, split: np.ndarray, merged: np.ndarray) -> None:
        """Read the signs of functions from ``first`` on at new vertices, numbered from ``start``, off their values where the
        ends of the edge differ (``split``, as bits); write them into ``merged``."""
        v, i = np.nonzero(self.signs.unpack(split, first))
        i += first
        values = self.state.vertices["values"][start + v, self._columns[i]]
        near = np.abs(values) <= self.unsure[i]
        if near.any():
            values[near] = self.decide(start + v[near], i[near], values[near])
            self.state.vertices["values"][start + v[near], self._columns[i[near]]] = values[near]
        self.open.append((start + v[~near], i[~near], values[~near]))
        v, i = v[values >= 0], i[values >= 0]
        np.bitwise_or.at(merged, (v, i // 8), (0x80 >> i % 8).astype(np.uint8))

    def _places(self, ends: np.ndarray, there: np.ndarray) -> np.ndarray:
        """The places of the new vertices: that of the positive end, or a new one for each pair of places of the ends."""
        state = self.state
        place = state.vertices["place"][ends]
        number = np.arange(len(ends))
        if state.shared:  # edges between the same two places meet the function in one point
            number = np.unique(place[:, 0] * state.places.count + place[:, 1], return_inverse=True)[1].ravel()
        found = np.where(there, place[:, 0], state.places.take(len(ends)) + number)
        state.shared |= bool(there.any())
        return found

    def _join(self, i: int, new: np.ndarray, cut: np.ndarray, on: np.ndarray, keys: np.ndarray) -> None:
        """Join the new vertices that lie on one 2-face.

        Edges keep keys without this step's functions; in the end those are added that are positive at both ends. At the new
        edge these are the ones that are so at the edge that was cut, and i; but not the one that is released, where the new
        edge is on its negative side.
        """
        state, names, edges = self.state, self.state.names, self.state.edges
        constraint, slots = self.constraints[i], on.shape[1]
        inside = edges["inside"][cut] if "inside" in edges else None
        faces, owner, around = [], [], []
        for slot in range(slots):
            c = on[:, slot]
            without = keys - names.zero[c]
            for side, face in enumerate((without + names.positive[c], without)):
                there = names.sided[c] if side else None
                if inside is not None:
                    halves = inside.reshape(len(c), -1, 2, 1 << slot)[:, :, side].reshape(len(c), -1)
                    there = halves.any(1)  # a face of no cell that is here is left alone
                    around.append(halves[there])
                own = np.arange(len(c)) if there is None else np.flatnonzero(there)
                faces.append(face if there is None else face[own])
                owner.append(own + (2 * slot + side) * len(c))
        face, own = np.concatenate(faces), np.concatenate(owner)
        order, face = together(face)
        own = own[order]
        first = np.flatnonzero((face[1:, 0] == face[:-1, 0]) & (face[1:, 1] == face[:-1, 1]))
        rows = edges.grow(len(first))
        released, one = np.divmod(own[first], len(new))
        slot, side = np.divmod(released, 2)
        ends = np.stack([new[one], new[own[first + 1] % len(new)]], 1)
        edges["ends"][rows] = edges["line"][rows] = ends
        c = on[one, slot]
        if slots > 1:
            others = np.arange(slots - 1) + (np.arange(slots - 1) >= slot[:, None])
            edges["on"][rows, :-1] = on[one[:, None], others]
            edges["steep"][rows, :-1] = edges["steep"][cut[one][:, None], others]
        edges["on"][rows, -1] = constraint
        edges["steep"][rows, -1] = state.vertices["steep"][ends].max(1)
        plus = names.positive[c]
        plus[(side == 1) & (c < self._oldest)] = 0
        edges["key"][rows] = (
            edges["key"][cut[one]] + plus + (names.zero[constraint] - names.positive[constraint]) - names.zero[c]
        )
        edges["next"][rows] = self._next(ends, i + 1)
        if inside is not None:
            edges["inside"][rows] = np.tile(np.concatenate(around)[order[first]], 2)

    def _finish(self) -> None:
        vertices, edges = self.state.vertices, self.state.edges
        for low in range(0, edges.size, CHUNK):
            edges["key"][low : low + CHUNK] += self._sum(edges["ends"][low : low + CHUNK], self.done)
        for low in range(0, vertices.size, CHUNK):
            vertices["key"][low : low + CHUNK] += self.signs.names(vertices["positive"][low : low + CHUNK], self.done)
        edges.drop(["next", "line"])


CHUNK = 2**16
"""Rows whose keys are brought up to date at once."""
BLOCK = 32
"""Functions whose values are let go together."""
