"""Signs of the functions of a step, as packed bits, and sums of names by table."""

from __future__ import annotations

import numpy as np

from tropica.regions.state import Words

NEVER = np.int32(2**31 - 1)


class Signs:
    """Signs of n functions as packed bits, eight a byte, the first function in the highest bit; and sums of names by table.

    Args:
        names: (n, 2) a number for each function.
    """

    def __init__(self, names: Words) -> None:
        self.n = len(names)
        self.width = -(-self.n // 8)
        padded = np.zeros((self.width, 8, 2), np.uint64)
        padded.reshape(-1, 2)[: self.n] = names
        bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.uint64)
        self._table = (bits[None, :, :, None] * padded[:, None]).sum(2, dtype=np.uint64)  # (width, 256, 2)
        self._leading = np.append(8, 7 - np.floor(np.log2(np.arange(1, 256)))).astype(np.int32)
        self._from = np.packbits(np.tri(self.n + 1, self.n, -1, dtype=bool) == 0, axis=1)
        """Row k has the bits of functions k … n − 1."""

    def later(self, function: np.ndarray) -> np.ndarray:
        """For each of some functions, the bits of those behind it (m, width)."""
        return self._from.take(function + 1, axis=0)

    def between(self, first: int, last: int) -> np.ndarray:
        """The bits of functions ``first`` … ``last`` − 1 (width,)."""
        return self._from[first] & ~self._from[last]

    def pairs(self, bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All bits (m, width) that are set, as rows and functions, in order of both."""
        flat = bits.reshape(-1)
        where = np.flatnonzero(flat != 0)
        set_ = np.flatnonzero(np.unpackbits(flat[where]))
        row, byte = np.divmod(where[set_ >> 3], self.width)
        return row, (byte << 3) + (set_ & 7)

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

    def names(self, bits: np.ndarray, last: int) -> Words:
        """The sum of the names of functions 0 … last − 1 whose bits are set: (m, 2)."""
        whole, rest = divmod(last, 8)
        total = np.zeros((len(bits), 2), np.uint64)
        for byte in range(whole):
            total += self._table[byte].take(bits[:, byte], axis=0)
        if rest:
            total += self._table[whole].take(bits[:, whole] & (0xFF00 >> rest & 0xFF), axis=0)
        return total


def bit(positive: np.ndarray, row: np.ndarray, function: np.ndarray) -> np.ndarray:
    """Single bits of rows (…, width) of packed ones: (m,) bool."""
    byte = positive.reshape(-1)[row * positive.shape[1] + (function >> 3)]
    return (byte >> (7 - (function & 7)).astype(np.uint8)) & 1 != 0


def set_bits(positive: np.ndarray, row: np.ndarray, function: np.ndarray) -> None:
    """Set single bits of rows of packed ones."""
    value = (0x80 >> (function & 7)).astype(np.uint8)
    np.bitwise_or.at(positive.reshape(-1), row * positive.shape[1] + (function >> 3), value)
