"""One step of the engine: a complex, refined by the zero sets of functions that are affine on each of its cells.

Many functions at a time, dimension by dimension: where they cut the old edges; then the chords of old faces between these
vertices, and where functions cross those; and so on (see :mod:`tropica.regions.chords`). The ends of a chord are found by keys:
the key of a face at a vertex is the vertex's own, with one constraint released to either side, which is two additions.

Zero counts as positive. That is the complex of functions moved up by infinitesimal amounts, each far larger than all those
before it: hence it is simple, whatever the functions are, and cells that exist only there have edges of length zero. Where two
functions vanish at one point of a chord, they are not done together, but one after the other: then each meets the edges that
the other has cut, and what is at one place is known to be. A complex that has shown such a place is refined one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tropica.regions.chords import NONE, Chords, Crossings, Implied, Made, Tangled, joined, met, pieces, ranks
from tropica.regions.signs import Signs, bit, set_bits
from tropica.regions.state import SMALLEST, State, room

Decide = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Called with vertices, and functions' numbers, whose value is too close to zero to tell, and the values: the settled ones."""

WITHIN = 1 - 2.0**-53
"""The largest share of an edge: a value that is zero at its negative end alone is not zero at a new vertex."""
CHUNK = 2**16
"""Rows whose keys are brought up to date at once."""
BLOCK = 32
"""Functions whose values are let go together."""
NEAR = 8
"""Signs too close to tell with which functions are still done together."""
CROWD = 40
"""Functions that cross a chord, on the average, up to which they are done together: pairs of them are looked at."""
CACHE = 2**15
"""Numbers that are interpolated at once."""


@dataclass
class Birth:
    """How the new vertices of one dimension were made: numbers ``first`` …

    Attributes:
        ends, share: (n, 2) from which vertices, the positive one first, and (n,) how far from that.
        function: (n,) that vanishes there.
        settled: values whose signs were decided, as (vertices, functions, values).
        implied: signs that follow from others: vertices, functions, whether positive.
    """

    first: int
    ends: np.ndarray
    share: np.ndarray
    function: np.ndarray
    settled: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)
    implied: Implied = NONE


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
        open: signs at new vertices that were read off a value there, as (vertices, functions, values), in parts.
        values: what is carried along, at all vertices, with room to grow behind them; where values are not kept, those of the
            functions that it has not cut by, in the last columns.
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
        self._births: list[Birth] = []
        self._columns = columns
        self._oldest = int(constraints[0])
        self.values = values
        self._memory = values.reshape(-1)
        vertices, edges = state.vertices, state.edges
        self.first = vertices.size
        vertices["depth"] = np.zeros(len(values), np.int32)
        vertices["steep"] = np.zeros(len(values))
        names = state.names
        self._names = names.positive[constraints]
        self.signs = Signs(self._names)
        self._shift = names.zero[constraints] - self._names
        vertices["positive"] = np.zeros((len(values), self.signs.width), np.uint8)
        vertices["positive"][:] = positive
        vertices["end"] = np.full(len(values), -1)
        edges["next"] = self._next(edges["ends"], 0)
        edges["line"] = edges["ends"].copy()

    def run(self) -> None:
        """Cut by all functions, as long as there is room, as many at a time as can be; then bring the keys up to date."""
        vertices, edges = self.state.vertices, self.state.edges
        low, size = 0, self.n
        while low < self.n:
            size = 1 if self.state.shared else max(1, min(size, self.n - low))
            cut = np.flatnonzero(edges["next"] < low + size)
            if not len(cut):
                low += size
                continue
            if size == 1 and self.most is not None and self.first < vertices.size > self.most - len(cut):
                self.done = low
                break
            if not self.keep and self._columns[low] >= BLOCK:
                self._forget(int(self._columns[low]), vertices.size)
            before, read = vertices.size, len(self.open)
            self._births = []
            try:
                self._cut(low, low + size, cut)
            except Tangled as tangled:  # nothing but new vertices is there as yet
                vertices.size = before
                del self.open[read:]
                size = max(1, min(tangled.size or size // 2, size // 2))
            else:
                low, size = low + size, 2 * size
                self._carry(before, low)
        self._finish()

    def _forget(self, columns: int, rows: int) -> None:
        """Let the first columns of the values go: the rows close up in the memory that they have."""
        width = self.values.shape[1] - columns
        for low in range(0, rows, CHUNK):
            some = self.values[low : min(low + CHUNK, rows), columns:].copy()
            self._memory[low * width : low * width + some.size] = some.reshape(-1)
        self.values = self._memory[: len(self._memory) // width * width].reshape(-1, width)
        self._columns = self._columns - columns

    def _next(self, ends: np.ndarray, first: int) -> np.ndarray:
        """The next function that cuts each edge, from number ``first`` on; NEVER where none does."""
        positive = self.state.vertices["positive"]
        return self.signs.first(positive.take(ends[:, 0], axis=0) ^ positive.take(ends[:, 1], axis=0), first)

    # ── some functions ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _cut(self, low: int, high: int, cut: np.ndarray) -> None:
        """Cut by functions ``low`` … ``high`` − 1 the edges ``cut``, and all that lies on these.

        Raises:
            Tangled: not all of them can be done together; then the edges are as they were.
        """
        state, edges, alone = self.state, self.state.edges, high == low + 1
        inside = edges.get("inside")
        ends, on, key, steep, line = (edges[name].take(cut, axis=0) for name in ("ends", "on", "key", "steep", "line"))
        inside = None if inside is None else inside.take(cut, axis=0)
        chords = Chords(ends, on, key, steep, line, np.full(len(cut), -1), inside)
        found: list[tuple[Chords, np.ndarray, np.ndarray]] = []
        for dimension in range(1, state.d + 1):
            if dimension > 1 and alone:
                found.append((chords, np.arange(len(chords)), chords.ends))
                break
            crossings, new = self._cross(chords, low, high, dimension)
            rank, self._births[-1].implied = ranks(chords, crossings, state.vertices["positive"])
            found.append((chords, *pieces(chords, crossings, rank)))
            if not len(new.last) or dimension == state.d:
                break
            rows = state.vertices["positive"][new.first :]
            sums = self.signs.names(rows, low) if low else None
            chords = joined(state, new, state.d - dimension, sums, self._oldest, not alone)
        self._replace(cut, high, found)

    def _cross(self, chords: Chords, low: int, high: int, dimension: int) -> tuple[Crossings, Made]:
        """Where functions ``low`` … ``high`` − 1 cross chords: all crossings, and the vertices that are made there."""
        vertices = self.state.vertices
        ends = chords.ends
        ahead, behind = (vertices["positive"].take(end, axis=0) for end in ends.T)
        differ = ahead ^ behind
        chord, function = self.signs.pairs(differ & self.signs.between(low, high))
        made = function > chords.last[chord]
        own, new = chord[made], function[made]
        alone = high == low + 1
        if not alone:
            self._roomy(np.bincount(chord), len(own), high - low)
        first = vertices.size
        steep = self._vertices(chords, own, new, dimension, alone)
        np.bitwise_and(ahead.take(own, axis=0), behind.take(own, axis=0), out=vertices["positive"][first:])
        set_bits(vertices["positive"], np.arange(first, vertices.size), new)
        self._later(first, differ.take(own, axis=0) & self.signs.later(new), dimension, 0 if alone else high)
        vertex = np.full(len(chord), -1)
        vertex[made] = np.arange(first, vertices.size)
        if dimension > 1:
            vertex = met(chords.key.take(chord, axis=0) + self._shift.take(function, axis=0), made, vertex, dimension)
        return Crossings(chord, function, vertex, made), Made(first, steep, new)

    def _roomy(self, count: np.ndarray, new: int, size: int) -> None:
        """Raise Tangled where ``size`` functions would be too many: too many crossings a chord, or new vertices."""
        mean = (count**2).sum() / max(count.sum(), 1)
        if mean > CROWD:
            raise Tangled(int(size * CROWD / mean))
        if self.most is not None and self.state.vertices.size + new > self.most:
            raise Tangled

    def _vertices(self, chords: Chords, chord: np.ndarray, function: np.ndarray, dimension: int, alone: bool) -> np.ndarray:
        """Make the points where functions vanish on chords; for each of their constraints a lower bound on the length of its
        gradient (m, d).

        All functions of a step are affine along the whole ``line`` of a chord: its ends are the new vertices' parents, so
        that few others lie between them and the old ones.
        """
        vertices = self.state.vertices
        ends = chords.ends.take(chord, axis=0)
        swap = ~bit(vertices["positive"], ends[:, 0], function)
        ends[swap] = ends[swap][:, ::-1]  # from the positive to the negative end
        above, below = (self._value(end, self._columns[function], dimension - 1) for end in ends.T)
        if dimension > 1:  # of the signs that they have, though rounding may say otherwise
            above, below = np.maximum(above, SMALLEST), np.minimum(below, -SMALLEST)
        elif not alone and (above == 0).any():
            raise Tangled
        rows = vertices.grow(len(ends))
        share = np.minimum(above / (above - below), WITHIN)
        self._births.append(Birth(rows.start, ends, share, function))
        at = vertices["at"]
        start = at.take(ends[:, 0], axis=0)
        way = at.take(ends[:, 1], axis=0) - start
        at[rows] = start + share[:, None] * way
        length = np.sqrt(np.einsum("vi,vi->v", way, way))
        slope = np.maximum(above - below - 2 * self.unsure[function], 0) / (length + 2 * self.blur + SMALLEST)
        vertices["steep"][rows] = slope
        depth = vertices["depth"]
        depth[rows] = np.maximum(depth[ends[:, 0]], depth[ends[:, 1]]) + 1
        vertices["place"][rows] = self._places(ends, above == 0)
        vertices["on"][rows, :-1] = chords.on.take(chord, axis=0)
        vertices["on"][rows, -1] = self.constraints[function]
        vertices["parents"][rows] = chords.line.take(chord, axis=0)
        vertices["end"][rows] = ends[:, 0]
        if self.state.planes:
            one, other = (vertices["side"].take(end, axis=0) for end in ends.T)
            vertices["side"][rows] = np.where(one != 0, one, other)
        vertices["key"][rows] = chords.key.take(chord, axis=0) + self._shift.take(function, axis=0)
        if chords.inside is not None:
            either = chords.inside.take(chord, axis=0)  # side of the new constraint, the last
            vertices["inside"][rows] = np.tile(either, 2)
        return np.concatenate([chords.steep.take(chord, axis=0), slope[:, None]], 1)

    def _value(self, vertex: np.ndarray, column: np.ndarray, dimension: int) -> np.ndarray:
        """Values in some columns at old vertices (dimension 0), or at those that were made on chords of a dimension."""
        if not dimension:
            return self.values[vertex, column]
        birth = self._births[dimension - 1]
        row = vertex - birth.first
        a, b = (self._value(end, column, dimension - 1) for end in birth.ends.take(row, axis=0).T)
        return a + birth.share[row] * (b - a)  # between two numbers of one sign it has that sign, as shares are < 1

    def _carry(self, first: int, low: int) -> None:
        """Values at the vertices from number ``first`` on, as far as they are wanted once functions up to ``low`` are done."""
        column = 0 if self.keep else int(self._columns[low]) if low < self.n else self.values.shape[1]
        if column == self.values.shape[1]:
            return
        if len(self.values) < (size := self.state.vertices.size):
            better = size if low == self.n else 2 * len(self.values)
            larger = room(size, better, self.values.shape[1:])
            larger[:first] = self.values[:first]
            self.values, self._memory = larger, larger.reshape(-1)
        for birth in self._births:
            self._interpolate(birth, column)
            if self.keep:
                self.values[birth.first + np.arange(len(birth.ends)), self._columns[birth.function]] = 0
            for vertex, function, value in birth.settled:
                self.values[vertex, self._columns[function]] = value
            self._agree(*birth.implied)

    def _interpolate(self, birth: Birth, column: int) -> None:
        """The values of new vertices, from a column on, in blocks that stay in the cache."""
        values = self.values[:, column:]
        size = max(1, CACHE // values.shape[1])
        first, other = np.empty((2, size, values.shape[1]))
        for low in range(0, len(birth.ends), size):
            one, two = birth.ends[low : low + size].T
            a, b = first[: len(one)], other[: len(one)]
            if column:
                a[:], b[:] = values[one], values[two]
            else:
                values.take(one, axis=0, out=a, mode="clip")
                values.take(two, axis=0, out=b, mode="clip")
            b -= a
            b *= birth.share[low : low + size, None]
            np.add(a, b, out=values[birth.first + low : birth.first + low + len(one)])

    def _agree(self, vertices: np.ndarray, functions: np.ndarray, positive: np.ndarray) -> None:
        """Values with the wrong sign, where signs follow from others, become the smallest of the right one."""
        column = self._columns[functions]
        values = self.values[vertices, column]
        wrong = np.where(positive, values <= 0, values >= 0)
        self.values[vertices[wrong], column[wrong]] = np.where(positive[wrong], SMALLEST, -SMALLEST)

    def _later(self, first: int, bits: np.ndarray, dimension: int, together: int) -> None:
        """Read signs (``bits`` say which) at new vertices from number ``first`` on off their values.

        Raises:
            Tangled: functions up to number ``together`` vanish there, or too many signs are too close to tell.
        """
        v, i = self.signs.pairs(bits)
        v += first
        values = self._value(v, self._columns[i], dimension)
        near = np.abs(values) <= self.unsure[i]
        if near.any():
            if together and near.sum() > NEAR:
                raise Tangled
            values[near] = settled = self.decide(v[near], i[near], values[near])
            if ((settled == 0) & (i[near] < together)).any():
                raise Tangled
            self._births[-1].settled.append((v[near], i[near], settled))
        self.open.append((v[~near], i[~near], values[~near]))
        set_bits(self.state.vertices["positive"], v[values >= 0], i[values >= 0])

    def _places(self, ends: np.ndarray, there: np.ndarray) -> np.ndarray:
        """The places of the new vertices: that of the positive end, or a new one for each pair of places of the ends."""
        state = self.state
        place = state.vertices["place"].take(ends)
        number = np.arange(len(ends))
        if state.shared:  # edges between the same two places meet the function in one point
            number = np.unique(place[:, 0] * state.places.count + place[:, 1], return_inverse=True)[1].ravel()
        found = np.where(there, place[:, 0], state.places.take(len(ends)) + number)
        state.shared |= bool(there.any())
        return found

    def _replace(self, cut: np.ndarray, high: int, found: list[tuple[Chords, np.ndarray, np.ndarray]]) -> None:
        """Put the pieces of chords, those of each dimension with their chords and ends, in place of the edges ``cut``."""
        edges = self.state.edges
        if high == self.n:  # these are not asked for any more
            edges.drop(["next", "line"])
        row = edges.grow(sum(len(chord) for _, chord, _ in found) - len(cut)).start
        for number, (chords, chord, ends) in enumerate(found):
            columns = {"on": chords.on, "key": chords.key, "steep": chords.steep, "line": chords.line, "inside": chords.inside}
            if not number:  # the first piece of an edge stays in its row; all else does not change there
                new = np.append(False, chord[1:] == chord[:-1])
                edges["ends"][cut] = ends[~new]
                if "next" in edges:
                    edges["next"][cut] = self._next(ends[~new], high)
                chord, ends = chord[new], ends[new]
            rows = slice(row, row := row + len(chord))
            edges["ends"][rows] = ends
            if "next" in edges:
                edges["next"][rows] = self._next(ends, high)
            for name, column in columns.items():
                if column is not None and name in edges:
                    np.take(column, chord, axis=0, out=edges[name][rows], mode="clip")  # no buffer

    def _finish(self) -> None:
        """Add to the keys the names of the functions that are positive: at a vertex, at both ends of an edge."""
        vertices, edges = self.state.vertices, self.state.edges
        positive, mask = vertices["positive"], self.signs.between(0, self.done)
        added = np.empty((vertices.size, 2), np.uint64)
        for low in range(0, vertices.size, CHUNK):
            added[low : low + CHUNK] = self.signs.names(positive[low : low + CHUNK] & mask, self.n)
        vertices["key"][:] += added
        lost = np.concatenate([self._names, np.zeros((1, 2), np.uint64)])
        for low in range(0, edges.size, CHUNK):
            one, other = edges["ends"][low : low + CHUNK].T
            # At one end of an edge at most one function counts as positive that is negative along it, as it vanishes there.
            function = self.signs.first(positive.take(one, axis=0) & ~positive.take(other, axis=0) & mask, 0)
            edges["key"][low : low + CHUNK] += added.take(one, axis=0) - lost.take(np.minimum(function, self.n), axis=0)
        edges.drop(["next", "line"])
