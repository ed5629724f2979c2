"""``from_terms``: N^(X), the function extracted by TropEx, as a tropical rational map."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, common_denominator, rational_array
from tropica.terms.linear_terms import LinearTerms
from tropica.tropical.polynomial import TropicalPolynomial, TropicalRational
from tropica.tropical.rational_map import TropicalMap


def from_terms(terms: LinearTerms) -> TropicalMap:
    """The extracted function of a data set as a tropical rational map, with the exact numbers of its stored terms:

        N_i^(X) = ⊕_{k with label i} a⁺_k  ⊘  ⊕_k a⁻_k.

    The vector that all a⁻_k and all a⁺_k share is left out: it cancels. The map's ``labels`` give the label that each output
    scores; a label without a data point would have the score −∞, and has no output.

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
    shared = TropicalPolynomial(minus)
    present = sorted(set(labels.tolist()))
    tops = [TropicalPolynomial(RationalArray(plus.numerators[labels == i], plus.denominator)) for i in present]
    return TropicalMap((TropicalRational(f, shared) for f in tops), present)


def _rows(blocks: list[tuple[Tensor, Tensor]]) -> RationalArray:
    """Weights and biases as rows (n, d + 1), exactly."""
    parts = [np.concatenate([w.double().cpu().numpy(), b.double().cpu().numpy()[:, None]], 1) for w, b in blocks]
    return rational_array(np.concatenate(parts), "the terms", 2)
