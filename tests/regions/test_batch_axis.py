"""Networks with values whose first dimension is not the batch: stacked before it, transposed, cut into patches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tropica as tp
from tropica.regions.engine import cell_blocks
from tropica.regions.lower import composed_affine, sparse_affine


class Layers(nn.Module):
    """Layers that a function of the input and of themselves puts together."""

    def __init__(self, function: Callable[[Layers, Tensor], Tensor]) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.a, self.b, self.c, self.d, self.e = (nn.Linear(*s) for s in ((2, 4), (2, 4), (4, 3), (3, 2), (2, 3)))
            self.left, self.factors = nn.Parameter(torch.randn(4, 2)), nn.Parameter(torch.randn(2))
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)

    def stacked(self, x: Tensor) -> Tensor:
        """(2, batch, 4)."""
        return torch.relu(torch.stack([self.a(x), self.b(x)], 0))

    def end(self, z: Tensor) -> Tensor:
        return self.d(torch.relu(self.c(z)))


NETWORKS: dict[str, Callable[[Layers, Tensor], Tensor]] = {
    "largest": lambda m, x: m.end(torch.amax(torch.stack([m.a(x), m.b(x)], 0), 0)),
    "largest of weighted": lambda m, x: m.end(torch.amax(m.stacked(x) * m.factors[:, None, None], 0)),
    "weighted": lambda m, x: m.end((m.stacked(x) * m.factors[:, None, None]).sum(0)),
    "linear": lambda m, x: m.end(m.stacked(x)).sum(0),
    "mean": lambda m, x: m.end(m.stacked(x)).mean(0),
    "sum over time": lambda m, x: m.end(torch.cumsum(m.stacked(x), 0)[1]),
    "einsum": lambda m, x: m.end(torch.einsum("kbn,k->bn", m.stacked(x), m.factors)),
    "transposed": lambda m, x: m.end(torch.relu(m.left @ x.T).T),
    "one stacked": lambda m, x: m.end(torch.relu(m.a(x)[None]).sum(0)),
    "patches": lambda m, x: torch.relu(m.e(torch.relu(m.a(x)).reshape(-1, 2))).reshape(x.shape[0], -1),
}


def check(name: str, simplify: bool) -> None:
    """The maps of cells are the network's at their centers, and cells at random points have its values."""
    net = tp.trace(Layers(NETWORKS[name]).eval(), torch.zeros(3, 2))
    cx = tp.linear_regions(net, tp.Box(-1, 1, d=2), simplify=simplify)
    assert cx.certified
    assert len(cx) > 4
    assert cx.audit().passed
    double = net.to(torch.float64)
    own = double.local_map(torch.from_numpy(cx.centers))
    np.testing.assert_allclose(cx.logits[0], own.weight.numpy(), atol=1e-12)
    np.testing.assert_allclose(cx.logits[1], own.bias.numpy(), atol=1e-12)
    t = np.random.default_rng(0).uniform(-1, 1, (300, 2))
    cell = cx.locate(t)
    values = np.einsum("nsd,nd->ns", cx.logits[0][cell], t) + cx.logits[1][cell]
    np.testing.assert_allclose(values, double(torch.from_numpy(t)).detach().numpy(), atol=1e-12)


@pytest.mark.parametrize("simplify", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_cells(name: str, simplify: bool) -> None:
    check(name, simplify)


@pytest.mark.parametrize("name", NETWORKS)
def test_large_matrices(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where no matrix is multiplied out as a whole."""
    monkeypatch.setattr(composed_affine, "MOST_EXACT_ENTRIES", 1)
    for limit in ("_SMALL", "_DIRECT"):
        monkeypatch.setattr(sparse_affine, limit, 0)
    check(name, True)


@pytest.mark.parametrize("name", NETWORKS)
def test_questions(name: str) -> None:
    net = tp.trace(Layers(NETWORKS[name]).eval(), torch.zeros(3, 2))
    x = torch.tensor([0.3, -0.7])
    cell, own = tp.cell(net, x).map, net.to(torch.float64).local_map(x.double()[None])
    np.testing.assert_allclose(cell.weight[0], own.weight[0].numpy(), atol=1e-12)
    np.testing.assert_allclose(cell.bias[0], own.bias[0].numpy(), atol=1e-12)
    low, high = -1.0, 1.0
    found = tp.output_range(net, tp.Box(low, high, d=2), 0)
    t = torch.from_numpy(np.random.default_rng(1).uniform(low, high, (2000, 2)))
    values = net.to(torch.float64)(t)[:, 0].detach()
    assert found.exact
    assert found.minimum.value <= float(values.min()) + 1e-12
    assert found.maximum.value >= float(values.max()) - 1e-12


@pytest.mark.parametrize("name", NETWORKS)
def test_unproven_signs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where a network is too large for exact signs: columns in float64, laid out as the graph's own values.

    Where signs stay undecided, cells of the size of the rounding appear; so values are compared, not maps at centers.
    """
    monkeypatch.setattr(cell_blocks, "multiplications", lambda _: 1 << 62)
    net = tp.trace(Layers(NETWORKS[name]).eval(), torch.zeros(3, 2))
    cx = tp.linear_regions(net, tp.Box(-1, 1, d=2))
    assert not cx.certified
    assert int((cx.volumes > 1e-12).sum()) > 4
    assert cx.volumes.sum() == pytest.approx(4, abs=1e-12)
    t = np.random.default_rng(0).uniform(-1, 1, (300, 2))
    cell = cx.locate(t)
    values = np.einsum("nsd,nd->ns", cx.logits[0][cell], t) + cx.logits[1][cell]
    np.testing.assert_allclose(values, net.to(torch.float64)(torch.from_numpy(t)).detach().numpy(), atol=1e-12)
