"""The default extraction: terms and the check of all cotangents come from one pass, repeated if K was too small."""

from __future__ import annotations

import pytest
import torch

import tropica as tp
from tests.cached import network, points
from tropica.decomposition import extraction_run, layer_by_layer
from tropica.decomposition.certify import Sample
from tropica.decomposition.prepare import decomposition_for


def test_terms_are_those_of_the_checked_decomposition() -> None:
    net, x = network("mlp"), points("mlp")
    made = tp.decompose(net, x)
    ours, given = tp.extract(net, x), tp.extract(net, x, made)
    assert torch.equal(ours.minus.weight, given.minus.weight)
    assert ours.certificate.smallest_cotangent is not None
    assert ours.certificate.smallest_cotangent >= 0
    assert ours.about["decomposition"] == made.fingerprint
    assert tp.extract(net, x, check="none").certificate.smallest_cotangent is not None


def test_extraction_is_repeated_if_k_is_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first K is made too small. Its terms would break Theorem 3.3."""

    def too_small(*args: object, unchecked: bool = False, **settings: object) -> tp.DCDecomposition:
        made = decomposition_for(*args, unchecked=unchecked, **settings)  # type: ignore[arg-type]
        return made.scaled(dict.fromkeys(made.multipliers, 0.5)) if unchecked else made

    net, x = network("mlp"), points("mlp")
    wanted = tp.extract(net, x)
    monkeypatch.setattr(extraction_run, "decomposition_for", too_small)
    found = tp.extract(net, x)
    assert torch.equal(found.minus.weight, wanted.minus.weight)
    assert found.certificate.steps == ("terms were extracted twice, as the first K was too small at some point",)


def test_values_that_fit_in_memory_are_computed_once() -> None:
    """K is the same, bit by bit, whether the values are kept or computed again for each nonlinearity."""
    net, x = network("mlp"), points("mlp")
    steps = layer_by_layer.backward_steps(net)
    assert layer_by_layer._kept_values(net, steps, 1e9) == list(dict.fromkeys(name for step in steps for name in step.live))
    tight = max(step.bytes for step in steps) * len(x)
    assert layer_by_layer._kept_values(net, steps, tight / len(x)) == []
    kept, again = (layer_by_layer.layer_by_layer(net, [x], memory=memory) for memory in (1e9, tight))
    assert kept.shares == again.shares
    assert all(torch.equal(k, again.multipliers[name]) for name, k in kept.multipliers.items())


def test_sample_takes_a_small_part_of_the_work() -> None:
    assert len(Sample.draw(300, 5).index) == 300
    for count in (4096, 32768):
        work = 3 * 1.6e6 * count  # FCN4
        size = len(Sample.draw(count, 784, work).index)
        assert 64 <= size < count
        assert 4 * size**2 * 784 <= 0.05 * work
