"""A network cut in two at an inner tensor: head, then tail."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import tropica as tp
from tests.network_modules import Apply
from tests.traced import case_of, logits, model_of, points, traced

CUTS = [
    ("mlp", "1", (8,)),
    ("mlp", "2", (6,)),
    ("mnist_conv", "0", None),
    ("mnist_conv", "3", None),
    ("resnet", "2", (4, 8, 8)),
    ("resnet", "4", (4, 4, 4)),
    ("resnet", "4.0", (4, 4, 4)),
    ("densenet", "1", (6, 8, 8)),
    ("maxout", "1", (5,)),
    ("inverted_residual", "3", (3, 6, 6)),
    ("softmax", "body.1", (6,)),
]


@pytest.mark.parametrize(("name", "at", "inner"), CUTS)
def test_composition(name: str, at: str, inner: tuple[int, ...] | None) -> None:
    """N = tail ∘ head, for values, local maps and patterns; the head gives what the module gives."""
    net, x = traced(name), points(name, 5)
    head, tail = net.cut(at)
    h = head(x)
    assert_close(tail(h), logits(name, x), rtol=1e-10, atol=1e-12)
    assert tail.input_shape == head.output_shape == tuple(h.shape[1:])
    assert inner in (None, tail.input_shape)
    assert (head.dropped, tail.dropped) == (None, net.dropped)
    assert [nonlinearity.name for nonlinearity in (*head.nonlinearities, *tail.nonlinearities)] == [
        nonlinearity.name for nonlinearity in net.nonlinearities
    ]
    local = torch.einsum("bsh,bhd->bsd", tail.local_map(h).weight.flatten(2), head.local_map(x).weight.flatten(2))
    assert_close(local, net.local_map(x).weight.flatten(2), rtol=1e-9, atol=1e-12)
    module = model_of(name).get_submodule(at)
    seen: list[torch.Tensor] = []
    handle = module.register_forward_hook(lambda module, args, out: seen.append(out.detach()))
    model_of(name)(x)
    handle.remove()
    assert_close(h, seen[-1], rtol=1e-10, atol=1e-12)


def test_at_a_nonlinearity() -> None:
    net, x = traced("mlp_deep"), points("mlp_deep")
    for i, nonlinearity in enumerate(net.nonlinearities):
        head, tail = net.cut(nonlinearity.name)
        assert (len(head.nonlinearities), len(tail.nonlinearities)) == (i + 1, len(net.nonlinearities) - i - 1)
        assert_close(tail(head(x)), net(x))


def test_parts_of_parts() -> None:
    """A part can be cut, cast and fingerprinted like any network."""
    net, x = traced("mlp_deep"), points("mlp_deep", dtype=torch.float32)
    head, tail = net.to(torch.float32).cut("3")
    middle, last = tail.cut("7")
    assert_close(last(middle(head(x))), logits("mlp_deep", x), rtol=1e-5, atol=1e-5)
    assert len({part.fingerprint for part in (net, head, tail, middle, last)}) == 5


@pytest.mark.parametrize(
    ("name", "at", "why"),
    [
        ("mlp", "4", "it is the output"),
        ("resnet", "4.0.body.0", "goes around it"),
        ("densenet", "1.branches.1", "goes around it"),
        ("mlp", "nowhere", "nothing in the network is called 'nowhere'; there are: 0, 1, 2, 3, 4"),
        ("mlp", "", "nothing in the network is called ''"),
        ("patch_mlp", "patch.0", "the batch is not the first dimension there"),
    ],
)
def test_impossible_cuts(name: str, at: str, why: str) -> None:
    with pytest.raises(tp.InputError, match=why):
        traced(name).cut(at)


def test_a_layer_used_twice() -> None:
    """The path of a layer names its last use."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.nonlinearity, self.out = nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.nonlinearity(self.layer(self.nonlinearity(self.layer(x)))))

    model, x = Twice().eval(), torch.randn(5, 4)
    net = tp.trace(model, x)
    assert [nonlinearity.path for nonlinearity in net.nonlinearities] == ["nonlinearity", "nonlinearity"]
    head, tail = net.cut("nonlinearity")
    assert (len(head.nonlinearities), len(tail.nonlinearities)) == (2, 0)
    assert_close(tail(head(x)), model(x))


def test_columns() -> None:
    """A tensor with points as columns cannot be cut at."""
    columns = Apply("columns", lambda x: torch.relu(x.T + 1))
    net = tp.trace(nn.Sequential(columns, Apply("rows", lambda h: h.T - 1)).eval(), torch.zeros(2, 4))
    with pytest.raises(tp.InputError, match="not the first dimension"):
        net.cut("0")
    assert case_of("mlp").input_shape == (4,)
