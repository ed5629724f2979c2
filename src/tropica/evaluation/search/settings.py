"""Settings of the exact search."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class IndexSettings:
    """The effort for an index. More of it makes later queries faster; every index gives the same answers.

    Attributes:
        sample: terms and points that the subspace is fitted to.
        width: singular directions of the sampled scores, on either side, in up to 1024 dimensions (twice as many above).
        steps: the number of subspace iterations.
        coordinates: coordinates that determine the groups.
        turns: power iterations for each cut of a group.
        copies: are coefficients copied in the order of the groups, if they fit in memory?
    """

    sample: int
    width: int
    steps: int
    coordinates: int
    turns: int
    copies: bool


FIRST = IndexSettings(sample=1024, width=128, steps=1, coordinates=16, turns=2, copies=False)
"""An index that costs no more than one search with it."""
REFINED = IndexSettings(sample=4096, width=256, steps=3, coordinates=48, turns=4, copies=True)
"""An index for many points."""


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
        least_asked: the number of queried points from which on the first index is built.
        refined: the number of queried points from which on the refined index replaces the first one.
        bytes_per_term: memory of the index without coefficients: 512 columns in bfloat16, 1024 in float32, copied once.
        bytes_per_coordinate: memory for building the index: a few copies of samples of 4,096 terms and points, and a basis.
        most_left: the largest share of groups × points that may pass the last bound, and half of what may pass the first of
            two; above it the full product is used.
        most_work: the largest estimated work of a query, as a share of the full product; above it no index is built.
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
    least_asked: int = 2**12
    refined: int = 2**16
    bytes_per_term: int = 8192
    bytes_per_coordinate: int = 2**17
    most_left: float = 0.15
    most_work: float = 1.0
    first_dtype: torch.dtype | None = None


SEARCH_SETTINGS = SearchSettings()
