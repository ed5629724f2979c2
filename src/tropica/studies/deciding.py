"""Deciding points: the training points whose terms are active at test points, and how similar their terms are (Figure 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
from torch import Tensor

from tropica.compare.similarity import angles, distances
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.extract import extract
from tropica.errors import InputError
from tropica.evaluation.function import ExtractedFunction
from tropica.terms.linear_terms import AffineTerms, LinearTerms


@dataclass(frozen=True, eq=False)
class DecidingPoints:
    """N test points, each with its deciding point: the training point whose a⁺ is largest at the test point.

    Attributes:
        own: the test points' own terms, N_i on the linear region of x with i the label that N gives x.
        deciding: the deciding points' terms, in the order of the test points.
        network_labels: (N,) labels of the network N.
        extracted_labels: (N,) labels of N^(X), which are those of the deciding points.
        index: (N,) indices of the deciding points among the training points.
        angle: (N,) degrees between the coefficients of ``own`` and ``deciding``.
        distance: (N,) Euclidean distance between these coefficients.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> x = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    >>> decomposition = tp.decompose(net, x)
    >>> found = tp.studies.deciding_points(decomposition, tp.extract(net, x, decomposition), x)
    >>> found.index.tolist(), found.distance.tolist()
    ([0, 1], [0.0, 0.0])
    """

    own: AffineTerms
    deciding: AffineTerms
    network_labels: Tensor
    extracted_labels: Tensor
    index: Tensor
    angle: Tensor
    distance: Tensor

    def to_dataframe(self) -> pd.DataFrame:
        """Labels, deciding point, angle and distance of each test point."""
        names = ("network_labels", "extracted_labels", "index", "angle", "distance")
        return pd.DataFrame({name: getattr(self, name).numpy() for name in names})

    def __repr__(self) -> str:
        agree = float((self.network_labels == self.extracted_labels).double().mean())
        return f"DecidingPoints({len(self.index):,} test points, {agree:.1%} with the network's label)"

    def _repr_html_(self) -> str:
        return self.to_dataframe().to_html(max_rows=10)


def deciding_points(decomposition: DCDecomposition, terms: LinearTerms, x: Tensor, *, progress: Any = False) -> DecidingPoints:
    """Find the deciding point of each test point, and compare the two points' terms.

    Args:
        decomposition: the decomposition that the terms were extracted with.
        terms: the training points' terms.
        x: test points (N, *input), in the network's dtype.

    Raises:
        InputError: points of another shape than the training points.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval().double()
    >>> x = torch.randn(100, 4, dtype=torch.float64)
    >>> decomposition = tp.decompose(model, x)
    >>> found = deciding_points(decomposition, tp.extract(decomposition.net, x, decomposition), x)
    >>> found.index.shape, bool(found.distance.max() < 1e-9)  # each training point is its own deciding point
    (torch.Size([100]), True)
    """
    if tuple(x.shape[1:]) != terms.input_shape:
        raise InputError(
            f"the terms are functions of points of shape {terms.input_shape}; found points of {tuple(x.shape[1:])}"
        )
    own = extract(decomposition.net, x, decomposition, dtype=terms.dtype, check="none", progress=progress)
    labels, index = ExtractedFunction(terms).labels_and_terms(x, progress=progress)
    deciding = terms.local[index]
    angle, distance = (measure(own.local, deciding).cpu() for measure in (angles, distances))
    return DecidingPoints(own.local, deciding, own.labels.cpu(), labels, index, angle, distance)
