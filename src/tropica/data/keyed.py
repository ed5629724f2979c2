"""Data whose items or batches are dicts: which entry holds the points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tropica.errors import InputError
from tropica.runtime.html import HtmlRepr

POINTS = ("x", "X", "input", "inputs", "image", "images", "img", "pixel_values", "features", "data")
"""Usual names of the points in a dict."""


@dataclass(frozen=True, eq=False, repr=False)
class KeyedData(HtmlRepr):
    """Data of dicts, with the name of the entry that holds the points.

    Without it, a dict must have exactly one entry with a usual name (x, inputs, image, pixel_values, features, data, …).

    Args:
        data: a `Dataset` of dicts, or a `DataLoader` or another repeatable iterable of batches that are dicts.
        key: the name of the entry.

    >>> import torch, tropica as tp
    >>> rows = [{"left": torch.zeros(3, 2), "right": torch.ones(3, 2)}]
    >>> net = tp.trace(torch.nn.Linear(2, 2).eval(), torch.zeros(2, 2))
    >>> tp.count_patterns(net, tp.KeyedData(rows, key="right"))
    1
    """

    data: Any
    key: str

    def __post_init__(self) -> None:
        if isinstance(self.data, KeyedData) or not isinstance(self.key, str):
            raise InputError(f"KeyedData takes data of dicts and one name; found {type(self.data).__name__} and {self.key!r}")

    def __repr__(self) -> str:
        return f"KeyedData({type(self.data).__name__}, key={self.key!r})"


def points_of(item: Any, where: str, key: str | None) -> Any:
    """The points of an item or a batch: x itself, the first entry of (x, …), or one entry of a dict.

    Raises:
        InputError: which entry of a dict holds the points is not known, or a key is given and there is no dict.
    """
    if isinstance(item, (tuple, list)) and item:
        item = item[0]
    if not isinstance(item, Mapping):
        if key is not None:
            raise InputError(f"{where}: key={key!r} is for dicts; found {type(item).__name__}")
        return item
    names = ", ".join(map(repr, item))
    if key is not None:
        if key not in item:
            raise InputError(f"{where}: there is no entry {key!r}; found a dict with {names}")
        return item[key]
    known = [name for name in POINTS if name in item]
    if len(known) != 1:
        what = f"several of them may be the points, {', '.join(known)}" if known else "none of them has a usual name of points"
        raise InputError(f"{where}: a dict with {names}: {what}; name the entry by tropica.KeyedData(data, key='NAME')")
    return item[known[0]]
