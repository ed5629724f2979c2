"""The convex split N = F⁺ − F⁻ that the terms are taken from."""

from tropica.split.convex import ConvexSplit, GrowthRow, PairwiseCheck
from tropica.split.split import split

__all__ = ["ConvexSplit", "GrowthRow", "PairwiseCheck", "split"]
