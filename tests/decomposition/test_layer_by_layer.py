"""The required K, nonlinearity by nonlinearity: equal to the slow fixed point for any batches, and counted in passes."""

from __future__ import annotations

import pytest
import torch

from tests.cached import by_name, network, points
from tests.oracles.fixed_point import tight
from tropica.decomposition.layer_by_layer import Margins, backward_steps, evenly_spaced, layer_by_layer


@by_name
def test_is_the_fixed_point(name: str) -> None:
    net, x = network(name), points(name)
    exact, _ = tight(net, x)
    found = layer_by_layer(net, [x[:5], x[5:25], x[25:]]).multipliers
    assert set(found) == set(exact.multipliers)
    largest = max((float(k.max()) for k in exact.multipliers.values()), default=0.0)
    for nonlinearity, k in exact.multipliers.items():
        torch.testing.assert_close(found[nonlinearity], k, rtol=1e-9, atol=1e-12 * largest)


@by_name
def test_live_values(name: str) -> None:
    """Nodes after a nonlinearity read no earlier values than the live ones."""
    net = network(name)
    nodes = net.graph.nodes
    steps = backward_steps(net)
    assert [step.node for step in steps] == list(reversed(net.nonlinearities))
    for step in steps:
        at = nodes.index(step.node)
        before = {node.name for node in nodes[: at + 1]} | {"input"}
        read = {i for node in nodes[at + 1 :] for i in node.inputs} | {net.graph.output}
        assert set(step.live) == read & before
        assert step.node.name in step.live


@pytest.mark.parametrize(("name", "nonlinearities"), [("mlp", 2), ("mlp_deep", 5)])
def test_cost(name: str, nonlinearities: int) -> None:
    """About L/6 + 1 passes for a chain of L nonlinearities, and nothing without nonlinearities."""
    assert len(network(name).nonlinearities) == nonlinearities
    cost = sum(step.passes for step in backward_steps(network(name)))
    assert 0.3 < cost < nonlinearities / 6 + 1.2
    assert layer_by_layer(network(name), [points(name)]).passes == pytest.approx(cost)
    assert backward_steps(network("linear_only")) == []


def test_bytes() -> None:
    """A point and both cotangents after each nonlinearity of a 4-8-6-3 network."""
    assert [step.bytes for step in backward_steps(network("mlp"))] == [8 * (4 + 2 * 6), 8 * (4 + 2 * 8)]
    assert [step.bytes for step in backward_steps(network("mlp").to(torch.float32))] == [4 * (4 + 2 * 6), 4 * (4 + 2 * 8)]


def test_little_memory() -> None:
    """Batches that do not fit at the wider cut are left out at this cut only."""
    net, x = network("mlp"), points("mlp")
    early, late = (nonlinearity.name for nonlinearity in net.nonlinearities)
    last, first = backward_steps(net)
    found = layer_by_layer(net, x.split(2), memory=len(x) * last.bytes, margins=Margins(0.5, 1.0))
    assert found.shares == {late: 1.0, early: 0.75}  # 12 of 16 batches fit into 128/160 of the bytes
    assert found.passes == pytest.approx(last.passes + 0.75 * first.passes)
    tightest, few = (tight(net, points)[0].multipliers for points in (x, torch.cat(list(evenly_spaced(x.split(2), 0.75)))))
    torch.testing.assert_close(found.multipliers[late], tightest[late] + 0.5 * tightest[late].max())
    assert float(found.multipliers[early].min()) >= float(few[early].max())  # its margin is its largest entry


@pytest.mark.parametrize("share", [1.0, 0.5, 0.3, 0.01])
def test_spaced_takes_batches_from_all_over(share: float) -> None:
    batches = [torch.full((2, 1), float(i)) for i in range(100)]
    taken = [int(batch[0]) for batch in evenly_spaced(batches, share)]
    assert len(taken) in (max(1, round(share * 100)), max(1, round(share * 100)) + 1)
    assert max(b - a for a, b in zip(taken, [*taken[1:], 100], strict=True)) <= 2 / share


def test_progress() -> None:
    seen: list[tuple[int, int, str]] = []
    layer_by_layer(network("mlp_deep"), [points("mlp_deep")], progress=lambda *step: seen.append(step))
    assert [step[:2] for step in seen] == [(i, 5) for i in range(1, 6)]
