"""Random graphs of the listed ops, against the model and against its Jacobian."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

import tropica as tp
from tests.oracles.dense import local_affine_map
from tests.random_networks import Network, random_networks
from tests.sizes import examples

few = examples(40, derandomize=True, database=None)


@few
@given(random_networks(), st.sampled_from([torch.float32, torch.float64]))
def test_random_networks(network: Network, dtype: torch.dtype) -> None:
    """Logits, local maps in float64 (of a trace in either dtype), independence of the batch, and its own fingerprint."""
    model, shape = network
    x = torch.randn(5, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    net = tp.trace(model.to(dtype), x[:1].to(dtype)).to(torch.float64)
    model = model.double()
    wanted = model(x).detach()
    atol = 1e-11 * max(1.0, float(wanted.abs().max()))
    assert_close(net(x), wanted, rtol=1e-10, atol=atol)
    assert_close(net(x[3:4]), wanted[3:4], rtol=1e-10, atol=atol)
    local, jacobian = net.local_map(x), local_affine_map(model, x)
    # The tolerance allows for PyTorch's derivative of hardsigmoid, which rounds 1/6 to float32.
    scale = max(1.0, float(jacobian.weight.abs().max()))
    assert_close(local.weight, jacobian.weight, rtol=1e-6, atol=1e-7 * scale)
    assert_close(local(x), wanted, rtol=1e-10, atol=atol)
    assert net.activation_pattern(x[3:4]).equal(net.activation_pattern(x)[3:4])
    assert sum(nonlinearity.units for nonlinearity in net.nonlinearities) >= len(net.nonlinearities)
    assert len(net.fingerprint) == 64
