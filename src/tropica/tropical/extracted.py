"""N^(X) as a tropical rational map: the bridge from TropEx's terms."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, common_denominator, rational_array
from tropica.terms.linear_terms import LinearTerms
from tropica.tropical.polynomial import TropicalPolynomial
from tropica.tropical.rational import TropicalMap, TropicalRational


def from_terms(terms: LinearTerms) -> TropicalMap:
    """The extracted function of a data set as a tropical rational map, exactly as its terms are stored:

        N_i^(X) = ⊕_{k with label i} a⁺_k  ⊘  ⊕_k a⁻_k.

    The vector that is common to all a⁻_k, and all a⁺_k, is left out: it cancels. ``labels`` of the map says which label each
    output is the score of; a label that no data point has would be −∞, and has none.

    Raises:
        InputError: not a LinearTerms.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).double().eval()
    >>> x = torch.randn(50, 4, dtype=torch.float64)
    >>> m = from_terms(tp.extract(model, x))
    >>> bool((m.predict(x) == model(x).argmax(1)).all())
    True
    """
    if not isinstance(terms, LinearTerms):
        raise InputError(f"the terms of tp.extract are needed, a LinearTerms; found a {type(terms).__name__}")
    labels = terms.labels.cpu().numpy()
    minus = _rows([(block.minus, block.minus_bias) for block in terms])
    local = _rows([(block.local, block.local_bias) for block in terms])
    (a, b), bottom = common_denominator(local, minus)
    plus = RationalArray(a.astype(object) + b, bottom)
    bottom_part = TropicalPolynomial.from_table(minus)
    present = sorted(set(labels.tolist()))
    return TropicalMap(
        (
            TropicalRational(
                TropicalPolynomial.from_table(RationalArray(plus.numerators[labels == i], plus.denominator)), bottom_part
            )
            for i in present
        ),
        present,
    )


def _rows(blocks: list[tuple[Tensor, Tensor]]) -> RationalArray:
    """Weights and biases (n, d + 1), exactly."""
    parts = [np.concatenate([w.double().cpu().numpy(), b.double().cpu().numpy()[:, None]], 1) for w, b in blocks]
    return rational_array(np.concatenate(parts), "the terms", 2)
