"""The tight K nonlinearity by nonlinearity: equal to the slow fixed point, whatever the batches, and counted in passes."""

from __future__ import annotations

import pytest
import torch

from tests.extracted import by_name, network, points
from tests.oracles.fixed_point import tight
from tropica.decomposition.layer_by_layer import cuts, spread, stages, tight_weights


@by_name
def test_is_the_fixed_point(name: str) -> None:
    net, x = network(name), points(name)
    exact, _ = tight(net, x)
    found = tight_weights(net, [x[:5], x[5:25], x[25:]]).weights
    assert set(found) == set(exact.multipliers)
    largest = max((float(k.max()) for k in exact.multipliers.values()), default=0.0)
    for nonlinearity, k in exact.multipliers.items():
        torch.testing.assert_close(found[nonlinearity], k, rtol=1e-9, atol=1e-12 * largest)


@by_name
def test_a_cut_separates(name: str) -> None:
    """Nodes behind a cut read nothing in front of it but what is alive there."""
    net = network(name)
    nodes = net.graph.nodes
    found = cuts(net)
    assert [nodes[cut.at] for cut in found] == list(net.nonlinearities)
    for cut in found:
        before = {node.name for node in nodes[: cut.at + 1]} | {"input"}
        read = {i for node in nodes[cut.at + 1 :] for i in node.inputs} | {net.graph.output}
        assert set(cut.alive) == read & before
        assert nodes[cut.at].name in cut.alive


@pytest.mark.parametrize(("name", "nonlinearities"), [("mlp", 2), ("mlp_deep", 5)])
def test_cost(name: str, nonlinearities: int) -> None:
    """About L/6 + 1 passes for a chain of L nonlinearities, and nothing without nonlinearities."""
    assert len(network(name).nonlinearities) == nonlinearities
    cost = sum(stage.passes for stage in stages(network(name)))
    assert 0.3 < cost < nonlinearities / 6 + 1.2
    assert tight_weights(network(name), [points(name)]).passes == pytest.approx(cost)
    assert stages(network("linear_only")) == []


def test_bytes() -> None:
    """A point and both cotangents behind each nonlinearity of 4-8-6-3."""
    assert [stage.bytes for stage in stages(network("mlp"))] == [8 * (4 + 2 * 6), 8 * (4 + 2 * 8)]
    assert [stage.bytes for stage in stages(network("mlp").to(torch.float32))] == [4 * (4 + 2 * 6), 4 * (4 + 2 * 8)]


def test_little_memory() -> None:
    """What does not fit at the wider cut is left out there, and only there."""
    net, x = network("mlp"), points("mlp")
    early, late = (nonlinearity.name for nonlinearity in net.nonlinearities)
    last, first = stages(net)
    found = tight_weights(net, x.split(2), memory=len(x) * last.bytes, slack=0.5, margin=1.0)
    assert found.shares == {late: 1.0, early: 0.75}  # 12 of 16 batches are as many as fit into 128/160 of the bytes
    assert found.passes == pytest.approx(last.passes + 0.75 * first.passes)
    tightest, few = (tight(net, points)[0].multipliers for points in (x, torch.cat(list(spread(x.split(2), 0.75)))))
    torch.testing.assert_close(found.weights[late], tightest[late] + 0.5 * tightest[late].max())
    assert float(found.weights[early].min()) >= float(few[early].max())  # its margin is all of its largest entry


@pytest.mark.parametrize("share", [1.0, 0.5, 0.3, 0.01])
def test_spread_takes_batches_from_all_over(share: float) -> None:
    batches = [torch.full((2, 1), float(i)) for i in range(100)]
    taken = [int(batch[0]) for batch in spread(batches, share)]
    assert len(taken) in (max(1, round(share * 100)), max(1, round(share * 100)) + 1)
    assert max(b - a for a, b in zip(taken, [*taken[1:], 100], strict=True)) <= 2 / share


def test_progress() -> None:
    seen: list[tuple[int, int, str]] = []
    tight_weights(network("mlp_deep"), [points("mlp_deep")], progress=lambda *step: seen.append(step))
    assert [step[:2] for step in seen] == [(i, 5) for i in range(1, 6)]
