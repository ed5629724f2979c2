"""``at=``: terms as functions of an inner tensor, and the refusals where there is no such tensor."""

from __future__ import annotations

import pytest
import torch

import tropica as tp
from tests.cached import case_of, network, points
from tests.checks import check_theorem
from tests.oracles.dense import local_affine_map

PLACES = [
    ("mlp_deep", "0"),
    ("mlp_deep", "1"),
    ("mlp_deep", "5"),
    ("mlp_deep", "8"),
    ("mnist_conv", "2"),
    ("mnist_conv", "3"),
    ("mnist_conv", "8"),
    ("cifar_batchnorm", "1"),
    ("resnet", "3"),
    ("resnet", "4"),
    ("resnet", "6"),
    ("one_logit", "1"),
]
places = pytest.mark.parametrize(("name", "at"), PLACES)


@places
@pytest.mark.parametrize("method", ["calibrated", "paper"])
def test_terms_of_the_tail(name: str, at: str, method: str) -> None:
    """For N = tail ∘ head the terms are those of the tail at the outputs of the head, and Theorem 3.3 holds."""
    model, net, x = case_of(name).make(0).double(), network(name), points(name)
    assert isinstance(model, torch.nn.Sequential)
    terms = tp.extract(net, x, at=at, decomposition=method)
    head, tail = model[: int(at) + 1], model[int(at) + 1 :]
    inner = head(x).detach()
    assert terms.input_shape == tuple(inner.shape[1:])
    assert torch.equal(terms.labels, net.predict(x))
    local = local_affine_map(tail, inner)
    if local.weight.shape[1] == 1:
        sign = 2.0 * terms.labels - 1
        weight = sign.unsqueeze(1) * local.weight[:, 0].flatten(1)
    else:
        weight = local.weight[torch.arange(len(x)), terms.labels].flatten(1)
    torch.testing.assert_close(terms.local.weight, weight, rtol=1e-9, atol=1e-9 * float(weight.abs().max()))
    _, behind = net.cut(at)
    check_theorem(terms, behind, inner)
    assert terms.certificate.holds


def test_a_nonlinearity_by_its_name() -> None:
    net, x = network("mlp_deep"), points("mlp_deep")
    nonlinearity = net.nonlinearities[1]
    one, other = (tp.extract(net, x, at=at) for at in (nonlinearity.name, nonlinearity.path))
    assert torch.equal(one.plus.weight, other.plus.weight)


def test_a_decomposition_of_the_tail() -> None:
    net, x = network("mlp_deep"), points("mlp_deep")
    head, tail = net.cut("3")
    decomposition = tp.decompose(tail, head(x))
    terms = tp.extract(net, x, decomposition, at="3")
    assert terms.certificate.holds
    assert terms.about["at"] == "3"
    with pytest.raises(tp.InputError, match=r"another network .*net.cut\(at\)\[1\]"):
        tp.extract(net, x, tp.decompose(net, x), at="3")


def test_inside_a_skip_connection() -> None:
    """A tensor bypassed by a skip connection cannot be cut at."""
    net = network("resnet")
    inner = next(nonlinearity for nonlinearity in net.nonlinearities if "body" in nonlinearity.path)
    with pytest.raises(tp.InputError, match="goes around it"):
        tp.extract(net, points("resnet"), at=inner.name)


def test_unknown_names_raise_with_the_known_ones() -> None:
    net = network("mlp_deep")
    with pytest.raises(tp.InputError, match=r"nothing in the network is called 'features.9'; there are: .*\b4\b.*\b6\b"):
        tp.extract(net, points("mlp_deep"), at="features.9")
    with pytest.raises(tp.InputError, match="it is the output"):
        tp.extract(net, points("mlp_deep"), at="10")
    with pytest.raises(tp.InputError):
        tp.extract(net, points("mlp_deep"), at="")
