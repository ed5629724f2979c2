"""Which training point decides each test point, and how alike the two points' own terms are (Figure 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from tropica.compare.similarity import angles, distances
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.extract import extract
from tropica.errors import InputError
from tropica.evaluation.function import ExtractedFunction
from tropica.terms.linear_terms import AffineTerms, LinearTerms


@dataclass(frozen=True, eq=False)
class Deciders:
    """N test points, each with the training point whose a⁺ is largest there.

    Attributes:
        own: the test points' own terms a_x = N_i on the linear region of x, i the label that N gives.
        deciding: the terms of the training points that decide, in the order of the test points.
        network: (N,) labels of N.
        extracted: (N,) labels of N^(X), those of the training points that decide.
        winner: (N,) which training points.
        angle: (N,) degrees between the coefficients of ``own`` and ``deciding``.
        distance: (N,) Euclidean distance of these coefficients.
    """

    own: AffineTerms
    deciding: AffineTerms
    network: Tensor
    extracted: Tensor
    winner: Tensor
    angle: Tensor
    distance: Tensor


def deciders(decomposition: DCDecomposition, terms: LinearTerms, x: Tensor, *, progress: Any = False) -> Deciders:
    """Find what decides each point, and compare.

    Args:
        split: the decomposition that the terms were extracted with.
        terms: of the training points.
        x: test points (N, *input), in the network's dtype.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval().double()
    >>> x = torch.randn(100, 4, dtype=torch.float64)
    >>> split = tp.decompose(model, x)
    >>> found = deciders(split, tp.extract(split.net, x, split), x)
    >>> found.winner.shape, bool(found.distance.max() < 1e-9)      # each point is decided by its own region's term
    (torch.Size([100]), True)
    """
    if tuple(x.shape[1:]) != terms.input_shape:
        raise InputError(
            f"the terms are functions of points of shape {terms.input_shape}, found points of {tuple(x.shape[1:])}"
        )
    own = extract(decomposition.net, x, decomposition, dtype=terms.dtype, check="none", progress=progress)
    extracted, winner = ExtractedFunction(terms).labels_and_terms(x, progress=progress)
    deciding = terms.local[winner]
    angle, distance = (measure(own.local, deciding).cpu() for measure in (angles, distances))
    return Deciders(own.local, deciding, own.labels.cpu(), extracted, winner, angle, distance)
