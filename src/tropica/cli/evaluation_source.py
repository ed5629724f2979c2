"""The extracted function that ``tropica evaluate`` evaluates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import tropica as tp

if TYPE_CHECKING:
    from tropica.data.batches import Data


@dataclass(frozen=True)
class EvaluationSource:
    """The extracted function, its inputs, and facts about its terms.

    Attributes:
        function: the extracted function.
        inputs: the points, or the values of an inner layer at the points.
        terms: the number of terms.
        same_network: whether the terms were extracted from the given network; None without a network.
        rounded: whether the terms are stored in a coarser dtype than they were computed in, and the labels are those of the
            stored terms.
    """

    function: tp.ExtractedFunction
    inputs: Data
    terms: int
    same_network: bool | None
    rounded: bool
