"""Settings of the evaluation of N^(X): the sizes of its blocks."""

from __future__ import annotations

from dataclasses import dataclass

from tropica.evaluation.search.settings import SEARCH_SETTINGS, SearchSettings
from tropica.terms.affine_functions import BLOCK_SIZES, BlockSizes


@dataclass(frozen=True)
class EvaluationSettings:
    """Sizes of the blocks that N^(X) is evaluated in.

    Attributes:
        points: points for each pass over stored terms.
        numbers: numbers in these points (256 MB in float32).
        possible: possible terms that are collected before those that are ruled out are dropped.
        maxima: sizes of the blocks of maxima.
        search: settings of the exact search.
    """

    points: int = 16384
    numbers: int = 2**26
    possible: int = 2**22
    maxima: BlockSizes = BLOCK_SIZES
    search: SearchSettings = SEARCH_SETTINGS


EVALUATION_SETTINGS = EvaluationSettings()
