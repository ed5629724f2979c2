"""Assertions that hold for every decomposition and for all terms, one function for each property."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn

import tropica as tp
from tests.cached import f_minus_and_scores, smallest_cotangent
from tests.networks import logits_of
from tests.oracles.dense import local_affine_map
from tests.oracles.dense_decomposition import data_free
from tests.oracles.extracted_function import Extracted, evaluate
from tests.oracles.fixed_point import tight
from tropica.decomposition.layer_by_layer import DEFAULT_MARGINS

# ── decompositions ────────────────────────────────────────────────────────────────────────────────────────────────────


def close(found: Tensor, expected: np.ndarray, scale: float) -> None:
    """Assert equality up to 1e-9 of ``scale``."""
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-9 * scale + 1e-300)


def check_rule(net: tp.PiecewiseLinearNetwork, decomposition: tp.DCDecomposition) -> None:
    expected = data_free(net)
    assert set(decomposition.multipliers) == set(expected.weights)
    assert decomposition.input_multiplier is not None
    pairs = [(decomposition.multipliers[name].flatten(), k) for name, k in expected.weights.items()]
    for found, k in [*pairs, (decomposition.input_multiplier.flatten(), expected.input_weight)]:
        close(found, k.numpy(), float(k.abs().max()))
        assert (found >= 0).all()
    scale = max([abs(expected.constant), *(float(k.max()) for _, k in pairs), 1e-300])
    assert abs(decomposition.constant - expected.constant) <= 1e-9 * scale


def check_guarantee(decomposition: tp.DCDecomposition, terms: tp.LinearTerms, x: Tensor) -> None:
    assert smallest_cotangent(decomposition, x) >= -1e-12
    for one in (terms.plus.weight, terms.minus.weight):
        assert one.min() >= -1e-12 * one.abs().max()


def check_certificate(decomposition: tp.DCDecomposition, x: Tensor, rounding: float = 0.0) -> None:
    """All K are ≥ 0, and so are all cotangents on the data, recomputed and as stated by the decomposition."""
    assert smallest_cotangent(decomposition, x) >= -rounding
    assert decomposition.smallest_cotangent is not None
    assert decomposition.smallest_cotangent >= -rounding
    assert set(decomposition.multipliers) == {nonlinearity.name for nonlinearity in decomposition.net.nonlinearities}
    assert all(bool((k >= 0).all()) and k.dtype == torch.float64 for k in decomposition.multipliers.values())


def check_tight(decomposition: tp.DCDecomposition, x: Tensor, factor: float) -> None:
    """The largest K of every nonlinearity is at most ``factor`` times that of the plain fixed point, and F⁻ is as close.

    F⁻ is compared up to an additive constant, which changes no label: a nonlinearity with outputs far from 0 contributes one.
    """
    exact, _ = tight(decomposition.net, x)
    overall = max((float(k.max()) for k in exact.multipliers.values()), default=0.0)
    for name, k in exact.multipliers.items():
        # A nonlinearity that requires (almost) no K may receive some because K of later nonlinearities is too large.
        assert float(decomposition.multipliers[name].max()) <= factor * float(k.max()) + 1e-2 * (factor - 1) * overall
    ours = f_minus_and_scores(decomposition, x)[0].detach()
    theirs, _, nonlinearities, outputs = f_minus_and_scores(exact, x)
    allowed = 1e-12 * float(theirs.abs().max())
    for nonlinearity, h in zip(nonlinearities, outputs, strict=True):
        spread, k = h.detach().reshape(len(x), -1).std(0), exact.multipliers[nonlinearity.name].flatten()
        # The margin is a fraction of the nonlinearity's largest K and is added to every unit, also to units that require no K.
        allowed += float(spread @ ((factor - 1) * k + 2 * DEFAULT_MARGINS.all_points * factor * k.max()))
    assert float((ours - theirs).std()) <= allowed


# ── terms ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def fresh_points(net: tp.PiecewiseLinearNetwork, n: int = 60, seed: int = 5) -> Tensor:
    """Points at scales from 1/10 to 100."""
    scale = 10 ** torch.linspace(-1, 2, n, dtype=torch.float64).reshape(-1, *(1,) * len(net.input_shape))
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(n, *net.input_shape, generator=generator, dtype=torch.float64)


def check_below(decomposition: tp.DCDecomposition, terms: tp.LinearTerms, x: Tensor, fresh: Tensor) -> None:
    """a⁻_k(x) ≤ F⁻(x) and a⁺_k(x) ≤ F⁺_i(x) for all x, with equality at x_k, i the label of x_k."""
    for where in (x, fresh):
        with torch.no_grad():
            minus, scores, _, _ = f_minus_and_scores(decomposition, where)
        plus = minus.unsqueeze(1) + scores[:, terms.labels]
        for one, whole in ((terms.minus, minus.unsqueeze(1)), (terms.plus, plus)):
            values = one(where)
            reach = (one.weight.norm(dim=1) * where.flatten(1).norm(dim=1, keepdim=True) + one.bias.abs()).max()
            rounding = 1e-12 * float(reach) + 1e-300
            assert (values <= whole + rounding).all()
            if where is x:
                own = whole.expand_as(values).diagonal()
                assert (values.diagonal() - own).abs().max() <= rounding


def check_rows(model: nn.Module, terms: tp.LinearTerms, x: Tensor) -> None:
    """a_k has the gradient and the value of N_i at x_k, i the label of x_k."""
    # PyTorch rounds the slope 1/6 of hardsigmoid to float32 in every dtype.
    rtol = 1e-7 if any(isinstance(module, nn.Hardsigmoid) for module in model.modules()) else 1e-9
    model = deepcopy(logits_of(model)).double()
    local = local_affine_map(model, x)
    if local.bias.shape[1] == 1:  # one logit z: scores −z and z
        local = type(local)(torch.cat([-local.weight, local.weight], 1), torch.cat([-local.bias, local.bias], 1))
    own = (torch.arange(len(x)), terms.labels)
    weight, bias = local.weight[own].flatten(1), local.bias[own]
    torch.testing.assert_close(terms.local.weight, weight, rtol=rtol, atol=rtol * float(weight.abs().max()) + 1e-300)
    torch.testing.assert_close(terms.local.bias, bias, rtol=rtol, atol=rtol * float(bias.abs().max()) + 1e-12)


def brute_force(terms: tp.LinearTerms, x: Tensor) -> Extracted:
    """N^(X) at x, evaluated by the oracle."""
    plus, minus = terms.plus, terms.minus
    return evaluate(plus.weight, plus.bias, minus.weight, minus.bias, terms.labels, terms.num_classes, x)


def rounding(terms: tp.LinearTerms, x: Tensor) -> float:
    """A bound on the float64 rounding error of a⁻ and N at these points."""
    weight = float(terms.minus.weight.norm(dim=1).max() + terms.local.weight.norm(dim=1).max())
    return 1e-12 * (weight * float(x.flatten(1).norm(dim=1).max()) + float(terms.minus.bias.abs().max())) + 1e-12


def check_theorem(terms: tp.LinearTerms, net: tp.PiecewiseLinearNetwork, x: Tensor) -> None:
    """On points x with the labels of ``net``: N^(X) gives N's label, and max_i N_i^(X) = max_i N_i.

    Where N has a tie up to rounding (all scores are 0 at the origin of a network without biases), any tied label is accepted.
    """
    found = brute_force(terms, x)
    scores = net.scores(x).detach()
    first, second = scores.topk(2, 1).values.T
    clear = (first - second > rounding(terms, x)).numpy()
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(found.labels[clear], net.predict(x).numpy()[clear])
    np.testing.assert_allclose(found.values.max(1), scores.amax(1).numpy(), rtol=0, atol=rounding(terms, x))
