"""The data-free decomposition equals Algorithm 3.1 where defined, follows the (P, Q) rule, and holds at any point."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given
from torch import Tensor, nn

import tropica as tp
from tests.cached import by_name, by_op, case_of, decomposition_of, network, points, terms_of
from tests.checks import check_guarantee, check_rule, close
from tests.network_modules import Shape
from tests.networks import tagged
from tests.oracles import algorithm31
from tests.random_networks import random_sequential31
from tests.sizes import examples

few = examples(25, database=None)
sequential31 = pytest.mark.parametrize("name", [case.name for case in tagged("sequential31")])


def two_labels(model: nn.Module) -> nn.Sequential:
    """The model in float64, with one logit z replaced by the two scores (−z, z)."""
    model = deepcopy(model).double()
    assert isinstance(model, nn.Sequential)
    last = model[-1]
    if isinstance(last, nn.Linear) and last.out_features == 1:
        both = nn.Linear(last.in_features, 2, dtype=torch.float64)
        with torch.no_grad():
            both.weight.copy_(torch.cat([-last.weight, last.weight]))
            both.bias.copy_(torch.cat([-last.bias, last.bias]))
        return nn.Sequential(*list(model)[:-1], both).eval()
    return model


def check_algorithm31(model: nn.Module, terms: tp.LinearTerms, x: Tensor) -> None:
    sequential = two_labels(model)
    expected = algorithm31.merge(sequential, algorithm31.forward(sequential, x))
    np.testing.assert_array_equal(terms.labels.numpy(), expected.labels)
    largest = np.abs(np.concatenate([expected.plus_weight, expected.minus_weight])).max()
    close(terms.plus.weight, expected.plus_weight, largest)
    close(terms.minus.weight, expected.minus_weight, largest)
    largest = max(largest * float(x.abs().max()), np.abs(np.concatenate([expected.plus_bias, expected.minus_bias])).max())
    close(terms.plus.bias, expected.plus_bias, largest)
    close(terms.minus.bias, expected.minus_bias, largest)


@sequential31
def test_equals_algorithm31(name: str) -> None:
    check_algorithm31(case_of(name).make(0), terms_of(name, "paper"), points(name))


@few
@given(random_sequential31())
def test_equals_algorithm31_on_random_networks(drawn: tuple[nn.Sequential, Shape]) -> None:
    model, shape = drawn
    model = deepcopy(model).double()
    x = torch.randn(12, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    net = tp.trace(model, x)
    check_algorithm31(model, tp.extract(net, x, tp.decompose(net, method="paper"), on_failure="warn"), x)


@by_op
def test_is_the_rule_on_matrices(name: str) -> None:
    """(P, Q) ↦ (P J⁺ + Q J⁻, P J⁻ + Q J⁺), with every J written out."""
    check_rule(network(name), decomposition_of(name, "paper"))


@by_name
def test_holds_at_points_never_seen(name: str) -> None:
    """At points not used before, all cotangents and all coefficients of a⁺ and a⁻ (Lemma 3.2) are nonnegative."""
    decomposition = decomposition_of(name, "paper")
    generator = torch.Generator().manual_seed(7)
    x = 10 ** torch.linspace(-2, 2, 40, dtype=torch.float64).reshape(-1, *(1,) * len(decomposition.net.input_shape))
    x = x * torch.randn(40, *decomposition.net.input_shape, generator=generator, dtype=torch.float64)
    check_guarantee(decomposition, tp.extract(decomposition.net, x, decomposition, check="none"), x)


def test_by_hand() -> None:
    """The example of tests/oracles/test_oracles.py: C⁻ = (3, 1), c⁻ = 2, K of the input 6."""
    model = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 2)).double().eval()
    with torch.no_grad():
        for parameter, values in zip(
            model.parameters(), ([[1.0], [-2.0]], [0.0, 1.0], [[1.0, -1.0], [-3.0, 2.0]], [1.0, -2.0]), strict=True
        ):
            parameter.copy_(torch.tensor(values))
    decomposition = tp.decompose(tp.trace(model, torch.zeros(2, 1, dtype=torch.float64)), method="paper")
    assert [k.tolist() for k in decomposition.multipliers.values()] == [[3.0, 1.0]]
    assert decomposition.constant == 2.0
    assert decomposition.input_multiplier is not None
    assert decomposition.input_multiplier.tolist() == [6.0]
    assert (decomposition.method, decomposition.passes, decomposition.smallest_cotangent) == ("paper", 0.0, None)


def test_overflow_is_an_error() -> None:
    """Values stay below 1e305, but the bound exceeds 1e309: it grows faster by a factor of about 4 per layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [nn.Linear(30, 30, bias=False, dtype=torch.float64) for _ in range(10)]
        for layer in layers:
            nn.init.orthogonal_(layer.weight, 1.4 * 10**30.4)
    nonlinearities = [nn.ReLU() for _ in layers]
    model = nn.Sequential(
        *(m for pair in zip(layers, nonlinearities, strict=True) for m in pair), nn.Linear(30, 2, dtype=torch.float64)
    )
    net = tp.trace(model.eval(), torch.ones(2, 30, dtype=torch.float64))
    with pytest.raises(tp.CertificateError, match=r"overflows float64 at nonlinearity .*calibrated"):
        tp.decompose(net, method="paper")
