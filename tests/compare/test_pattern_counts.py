"""``tp.count_patterns``: patterns and terms of data, by brute force."""

from __future__ import annotations

import pytest
import torch

import tropica as tp
from tests.extracted import case_of, network
from tropica.compare.pattern_counts import count_patterns


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
    assert count_patterns(net, x, by="term") == len(terms)


def test_a_constant_network_has_one_term() -> None:
    net = network("constant")
    assert count_patterns(net, case_of("constant").inputs(50, 1, torch.float64), by="term") == 1


def test_modules_loaders_progress() -> None:
    model, x = case_of("mlp").make(0), case_of("mlp").inputs(60)
    seen: list[int] = []
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), batch_size=20)
    found = count_patterns(model, loader, progress=lambda done, total, message: seen.append(done))
    assert seen == [20, 40, 60]
    assert found == count_patterns(tp.trace(model, x), x.numpy())


def test_refusals() -> None:
    with pytest.raises(tp.InputError, match="'pattern' or 'term'"):
        count_patterns(network("mlp"), torch.zeros(3, 4), by="region")
    with pytest.raises(tp.InputError):
        count_patterns(network("mlp"), torch.zeros(3, 5))
