"""Sign vectors of cells: their layout in words, the pieces of the units, and the number of a cell by its vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tropica.regions.engine.reduction import ALWAYS, NEVER
from tropica.regions.lower.lowering import NO_INPUT, Lowered, Stage

_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, eq=False)
class SignLayout:
    """Where the bits of each stage are in a sign vector (words of 64 bits; each stage begins a new word).

    A threshold has a bit for each row, 1 for its upper piece; a window one for each of its inputs, 1 for the one that it takes.

    Attributes:
        lowered: the network.
        sizes: bits of each stage; those beyond the stage's own units belong to linear units and mean nothing.
        kept: for each stage the bit of each row of a threshold, of each input of a window; NEVER or ALWAYS where the domain
            decides, and one for several that are equal on it. By default each has its own bit.
    """

    lowered: Lowered
    sizes: tuple[int, ...]
    kept: tuple[np.ndarray, ...] | None = None

    @cached_property
    def offsets(self) -> np.ndarray:
        """(stages + 1,) the first word of each stage."""
        return np.cumsum([0, *((size + 63) // 64 for size in self.sizes)])

    @cached_property
    def bending(self) -> np.ndarray:
        """(words,) the bits of units that bend."""
        bits = np.zeros((1, int(self.offsets[-1]) * 64), bool)
        for s, stage in enumerate(self.lowered.stages):
            own = stage.low != stage.high if stage.kind == "threshold" else np.ones(len(_members(stage)[0]), bool)
            self._lay(bits, s, own[None])
        return _words(bits)[0]

    def bits(self, signs: np.ndarray, s: int) -> np.ndarray:
        """The bits (C, n) of a stage."""
        words = np.ascontiguousarray(signs[:, self.offsets[s] : self.offsets[s + 1]])
        return np.unpackbits(words.astype("<u8").view(np.uint8), axis=1, bitorder="little")[:, : self.sizes[s]].astype(bool)

    def pieces(self, signs: np.ndarray) -> list[np.ndarray]:
        """For each stage (C, units): 1 for the upper piece of a threshold, the index of the input that a window takes."""
        return [_pieces(stage, self._members(signs, s)) for s, stage in enumerate(self.lowered.stages)]

    def _members(self, signs: np.ndarray, s: int) -> np.ndarray:
        """For each row of a threshold, each input of a window, whether it is set."""
        bits = self.bits(signs, s)
        if self.kept is None:
            return bits
        kept = self.kept[s]
        return np.where(kept >= 0, bits[:, np.maximum(kept, 0)], kept == ALWAYS)

    def _lay(self, bits: np.ndarray, s: int, own: np.ndarray) -> None:
        """Set the bits of a stage where one of the rows or inputs (C, n) that they stand for is set."""
        at = 64 * self.offsets[s]
        if self.kept is None:
            bits[:, at : at + own.shape[1]] = own
            return
        kept = self.kept[s][: own.shape[1]]
        member = np.flatnonzero(kept > NEVER)
        order = member[np.argsort(kept[member], kind="stable")]
        first = np.flatnonzero(np.diff(kept[order], prepend=-1))
        if len(first):
            bits[:, at + kept[order[first]]] = np.logical_or.reduceat(own[:, order], first, axis=1)

    def vectors(self, pieces: Sequence[np.ndarray], count: int) -> np.ndarray:
        """The sign vectors (count, words) of such pieces."""
        bits = np.zeros((count, int(self.offsets[-1]) * 64), bool)
        for s, (stage, piece) in enumerate(zip(self.lowered.stages, pieces, strict=True)):
            if stage.kind == "threshold":
                own = piece > 0
            else:
                window, place = _members(stage)
                own = piece[:, window] == place
            self._lay(bits, s, own)
        return _words(bits) & self.bending

    def free_words(self, free: Sequence[np.ndarray], count: int) -> np.ndarray:
        """The words (count, words) with the bits of such rows (N, n) of thresholds and inputs (N, units, k) of windows set."""
        bits = np.zeros((count, int(self.offsets[-1]) * 64), bool)
        for s, (stage, rows) in enumerate(zip(self.lowered.stages, free, strict=True)):
            own = rows if stage.kind == "threshold" else rows[(slice(None), *_members(stage))]
            self._lay(bits, s, own)
        return _words(bits)


@dataclass(frozen=True, eq=False)
class SignIndex:
    """Numbers of cells by their sign vectors (C, words), which differ."""

    vectors: np.ndarray

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        hashes = _hashes(self.vectors)
        order = np.argsort(hashes, kind="stable")
        return hashes[order], order

    def find(self, wanted: np.ndarray) -> np.ndarray:
        """The cell (N,) of each vector (N, words), −1 where there is none."""
        hashes, order = self._sorted
        if not len(order):
            return np.full(len(wanted), -1)
        key = _hashes(wanted)
        at = np.searchsorted(hashes, key)
        found = np.full(len(wanted), -1)
        left = np.arange(len(wanted))
        while len(left):  # cells of one hash stand next to each other
            left = left[(at[left] < len(order)) & (hashes[np.minimum(at[left], len(order) - 1)] == key[left])]
            cell = order[at[left]]
            same = (self.vectors[cell] == wanted[left]).all(1)
            found[left[same]] = cell[same]
            left = left[~same]
            at[left] += 1
        return found

    def closed(self, vector: np.ndarray, decided: np.ndarray) -> np.ndarray:
        """The cells whose vectors agree with one (words,) in the decided bits: their closures hold the point that it is of."""
        return np.flatnonzero(((self.vectors ^ vector) & decided == 0).all(1))


def _members(stage: Stage) -> tuple[np.ndarray, np.ndarray]:
    """The window of each bit of a window stage, and the place of its input there."""
    window, place = np.nonzero(stage.inputs != NO_INPUT)
    return window, place


def _pieces(stage: Stage, bits: np.ndarray) -> np.ndarray:
    if stage.kind == "threshold":
        return bits[:, : stage.size].astype(np.int64)
    window, place = _members(stage)
    found = np.zeros((len(bits), stage.units), np.int64)
    cell, bit = np.nonzero(bits[:, : len(window)])
    found[cell, window[bit]] = place[bit]
    return found


def _words(bits: np.ndarray) -> np.ndarray:
    """Bits (C, 64 n) as words (C, n)."""
    return np.packbits(bits, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def _hashes(vectors: np.ndarray) -> np.ndarray:
    """A 64-bit hash of each row."""
    found = np.zeros(len(vectors), np.uint64)
    with np.errstate(over="ignore"):
        for column in vectors.T:
            found = (found ^ column) * _MIX
            found ^= found >> np.uint64(29)
    return found
