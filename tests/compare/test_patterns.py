"""``count_patterns``, ``count_terms`` and ``pattern_agreement`` against brute force."""

from __future__ import annotations

import pytest
import torch

import tropica as tp
from tests.cached import case_of, network
from tropica.compare.patterns import count_patterns, count_terms


@pytest.mark.parametrize("name", ["mlp", "mnist_conv", "resnet", "one_logit", "zero_biases"])
def test_by_brute_force(name: str) -> None:
    net = network(name)
    x = case_of(name).inputs(80, 7, torch.float64)
    x = torch.cat([x, x[:30]])
    patterns = {bytes(row.tolist()) for row in net.activation_pattern(x)}
    assert count_patterns(net, x) == len(patterns) <= 80
    labels, local = net.predict(x), net.local_map(x)
    terms: list[torch.Tensor] = []
    for i, label in enumerate(labels.tolist()):
        row = torch.cat([local.weight[i].flatten(1), local.bias[i][:, None]], 1)
        row = torch.cat([-row, row])[label] if net.num_outputs == 1 else row[label]
        term = torch.cat([torch.tensor([label]), row])
        if not any(torch.allclose(term, other, rtol=1e-9, atol=1e-9) for other in terms):
            terms.append(term)
    assert count_terms(net, x) == len(terms)


def test_a_constant_network_has_one_term() -> None:
    assert count_terms(network("constant"), case_of("constant").inputs(50, 1, torch.float64)) == 1


def test_modules_loaders_progress() -> None:
    model, x = case_of("mlp").make(0), case_of("mlp").inputs(60)
    seen: list[int] = []
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), batch_size=20)
    found = count_patterns(model, loader, progress=lambda done, total, message: seen.append(done))
    assert seen == [20, 40, 60]
    assert found == count_patterns(tp.trace(model, x), x.numpy())


@pytest.mark.parametrize("count", [count_patterns, count_terms])
def test_points_of_another_shape_are_refused(count) -> None:
    with pytest.raises(tp.InputError, match="shape"):
        count(network("mlp"), torch.zeros(3, 5))


# ── pattern_agreement ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["mlp", "mnist_conv", "resnet"])
def test_shared_pieces_by_brute_force(name):
    net = network(name)
    x, y = (case_of(name).inputs(9, seed, torch.float64) for seed in (1, 2))
    found = tp.pattern_agreement(net, x, y, per_point=True)
    assert found.shape == (9, len(net.nonlinearities))
    for k in range(9):
        for j, ((_, one, _), (_, other, _)) in enumerate(
            zip(net.active_pieces(x[k : k + 1]), net.active_pieces(y[k : k + 1]), strict=True)
        ):
            units = list(zip(one.flatten().tolist(), other.flatten().tolist(), strict=True))
            assert float(found[k, j]) == pytest.approx(sum(u == v for u, v in units) / len(units), abs=1e-15)
    torch.testing.assert_close(tp.pattern_agreement(net, x, y), found.mean(0))
    assert torch.equal(tp.pattern_agreement(net, x, x), torch.ones(len(net.nonlinearities), dtype=torch.float64))


def test_loaders_with_other_batches():
    net = network("mlp")
    x, y = (case_of("mlp").inputs(50, seed, torch.float64) for seed in (1, 2))
    wanted = tp.pattern_agreement(net, x, y, per_point=True)
    seen = []
    loader = list(y.split(7))
    found = tp.pattern_agreement(net, x, loader, per_point=True, progress=lambda *said: seen.append(said))
    assert torch.equal(found, wanted)
    assert seen[-1][:2] == (50, 50)


def test_a_network_without_nonlinearities_has_no_columns():
    model = torch.nn.Linear(3, 2).eval()
    assert tp.pattern_agreement(model, torch.zeros(4, 3), torch.ones(4, 3)).shape == (0,)


def test_points_that_do_not_pair():
    net = network("mlp")
    x = case_of("mlp").inputs(5, 1, torch.float64)
    with pytest.raises(tp.InputError, match="5 points in x do not pair with 4"):
        tp.pattern_agreement(net, x, x[:4])
