"""Settings of the exact search: when it is used, and the sizes of its blocks."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class SearchSettings:
    """When the search is used, and the sizes of its blocks.

    Attributes:
        group: terms a group.
        terms, points: terms and points of a matrix product of short rows, whose result stays in the processor's cache.
        row_numbers: numbers in the rows of points that are gathered at once (16 MB in float32).
        table: bounds of groups at points that are held at once (64 MB).
        least_terms, least_points: with fewer terms, or fewer points at a time, the search does not pay.
        least_work: with fewer multiply-adds in the full product, an index does not pay.
        least_asked: points that are asked for before the index is built, which costs what the full product does for 4,500 to
            7,500 points.
        bytes_per_term: memory of the index, coefficients aside: 512 columns in bfloat16, 1024 in float32, copied once.
        bytes_per_coordinate: memory for building the index: samples of 4,096 terms and points, a few times, and a basis.
        most_left: where a larger share of groups × points passes the first bound, the full product takes over.
        first_dtype: dtype of the first bound; None for bfloat16 where the processor is fast at it, else float32.
    """

    group: int = 64
    terms: int = 1024
    points: int = 512
    row_numbers: int = 2**22
    table: int = 2**24
    least_terms: int = 2048
    least_points: int = 256
    least_work: int = 2**38
    least_asked: int = 2**13
    bytes_per_term: int = 8192
    bytes_per_coordinate: int = 2**17
    most_left: float = 0.15
    first_dtype: torch.dtype | None = None


SEARCH_SETTINGS = SearchSettings()
