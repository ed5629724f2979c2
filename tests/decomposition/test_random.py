"""All properties of decompositions on random graphs, in one test: tracing dominates the time, so each graph is traced once."""

from __future__ import annotations

from copy import deepcopy

import torch
from hypothesis import given

import tropica as tp
from tests.cached import METHODS
from tests.checks import (
    check_below,
    check_certificate,
    check_guarantee,
    check_rows,
    check_rule,
    check_theorem,
    check_tight,
    fresh_points,
)
from tests.random_networks import Network, random_networks
from tests.sizes import examples
from tropica.decomposition.calibrated import calibrated_decomposition


@examples(10, database=None)
@given(random_networks())
def test_random_networks(drawn: Network) -> None:
    model, shape = drawn
    x = 2 * torch.randn(25, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    net = tp.trace(deepcopy(model).double(), x)
    decompositions = {method: tp.decompose(net, x, method=method) for method in METHODS}
    decompositions["calibrated, little memory"] = calibrated_decomposition(net, x, batch_size=4, memory=1)
    check_rule(net, decompositions["paper"])
    check_tight(decompositions["calibrated"], x, 1.3)
    fresh = fresh_points(net)
    for name, decomposition in decompositions.items():
        terms = tp.extract(net, x, decomposition)
        if name != "paper":
            check_certificate(decomposition, x)
        else:
            check_guarantee(decomposition, terms, x)
            check_guarantee(decomposition, tp.extract(net, fresh, decomposition, check="none"), fresh)
        check_rows(model, terms, x)
        check_theorem(terms, net, x)
        check_below(decomposition, terms, x, fresh)
        assert torch.equal(tp.ExtractedFunction.streaming(net, x, decomposition)(fresh), tp.ExtractedFunction(terms)(fresh))
