"""Settings of the exact search."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class SearchSettings:
    """The conditions for using the search, and the sizes of its blocks.

    Attributes:
        group: terms per group.
        terms, points: terms and points of a matrix product of short rows, whose result fits the processor's cache.
        row_numbers: numbers in the rows of points that are gathered at once (16 MB in float32).
        table: bounds of groups at points that are held at once (64 MB).
        least_terms, least_points: the smallest numbers of terms, and of points in one call, for which the search is used.
        least_work: the smallest number of multiply-adds in the full product for which an index is built.
        least_asked: the number of queried points from which on an index is built. Building costs as much as the full product
            for 4,500 to 7,500 points.
        bytes_per_term: memory of the index without coefficients: 512 columns in bfloat16, 1024 in float32, copied once.
        bytes_per_coordinate: memory for building the index: a few copies of samples of 4,096 terms and points, and a basis.
        most_left: the largest share of groups × points that may pass the first bound; above it the full product is used.
        first_dtype: dtype of the first bound; None for bfloat16 if it is fast on this processor, else float32.
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
