"""Verdicts, intervals, captions and the paper's training, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import tropica as tp
from tropica.studies.captions import CAPTIONS, caption
from tropica.studies.intervals import paired_interval
from tropica.studies.networks import build, initialize_as_keras
from tropica.studies.registry import STUDIES
from tropica.studies.study import Results
from tropica.studies.training.loop import learning_rate, train
from tropica.studies.training.presets import PRESETS
from tropica.studies.training.settings import TrainSettings
from tropica.studies.verdicts import CLAIMS, verdict


def results(fcn: list[float], cnn: list[float], accuracy: float = 0.9, points: int = 10_000) -> Results:
    rows = [
        {"model": model, "family": family, "seed": seed, "decomposition": "paper", "network_extracted": share}
        for model, family, shares in (("fcn4", "FCN", fcn), ("conv", "CNN", cnn))
        for seed, share in enumerate(shares)
    ]
    settings = {"test_points": points, "test_accuracy": {"fcn4": accuracy, "conv": 0.95}}
    return Results(pd.DataFrame(rows), {}, settings)


def test_a_verdict_needs_networks_that_work_and_a_difference_beyond_its_error() -> None:
    table2 = STUDIES["table2"]
    assert verdict(table2, results([0.97, 0.98], [0.95, 0.96])).status == "agrees"
    assert verdict(table2, results([0.95, 0.96], [0.97, 0.98])).status == "differs"
    close = verdict(table2, results([0.97, 0.93], [0.95, 0.94]))
    assert (close.status, "within two standard errors" in close.why) == ("can't tell", True)
    few = verdict(table2, results([0.97], [0.95], points=100))
    assert few.status == "can't tell"
    weak = verdict(table2, results([0.97, 0.98], [0.95, 0.96], accuracy=0.37))
    assert (weak.status, weak.why) == ("can't tell", "fcn4 has 37 % test accuracy")
    assert verdict(table2, results([0.97, 0.98], [])).why == "one family of networks alone"
    assert set(CLAIMS) <= set(STUDIES) <= set(CAPTIONS)


def test_networks_that_say_nothing_are_named_before_the_findings() -> None:
    study = replace(STUDIES["table2"], name="share", findings=lambda _: ["one"], summary=None)
    good, weak = results([0.97], [0.95]), results([0.97], [0.95], accuracy=0.1)
    assert study.conclusions(good) == ["one"]
    assert study.conclusions(weak) == [
        "fcn4 has 10 % test accuracy: what is measured on it says nothing of trained networks.",
        "one",
    ]
    assert [verdict(study, found).why for found in (good, weak)] == ["", "fcn4 has 10 % test accuracy"]
    two_classes = results([0.97], [0.95], accuracy=0.6)
    two_classes.settings["largest_class"] = 0.6  # type: ignore[index]
    assert two_classes.weak == ["fcn4 has 60 % test accuracy, and the most frequent class has 60 % of the points"]


@pytest.mark.parametrize(("data", "status"), [("digits", "can't tell"), ("mnist", "agrees"), ("cifar10", "agrees")])
def test_a_number_of_the_paper_is_compared_on_its_own_data_alone(data: str, status: str) -> None:
    rows = pd.DataFrame([{"model": "fcn4", "family": "FCN", "seed": 0, "pairing": "paper", "agreement": 0.8}])
    assert verdict(STUDIES["patterns"], Results(rows, {}, {"data": data})).status == status


def test_paired_intervals_against_plain_resampling() -> None:
    generator = np.random.default_rng(1)
    one, other = (generator.random((3, 40)) < 0.8).astype(int), (generator.random((3, 40)) < 0.6).astype(int)
    found = paired_interval(one, other, resamples=4000)
    means = []
    for _ in range(4000):
        runs, points = generator.integers(3, size=3), generator.integers(40, size=40)
        means.append((one - other)[np.ix_(runs, points)].mean())
    assert found.value == pytest.approx((one - other).mean())
    assert (found.low, found.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.02)
    with pytest.raises(tp.InputError, match="paired"):
        paired_interval(one, other[:2])


@pytest.mark.parametrize(
    ("preset", "said"),
    [
        ("paper-cifar", "compressed to 30 epochs: not the paper's training"),
        ("paper-mnist", "the first 30 of the paper's 200 epochs: not the whole training"),
    ],
)
def test_a_shortened_schedule_is_said_in_every_caption(preset: str, said: str) -> None:
    settings = {"data": "digits", "training": vars(TrainSettings(30, 64, 0.01, preset=preset))}
    for name in CAPTIONS:
        assert said in caption(f"{name}.png", settings)
    whole = {"data": "digits", "training": vars(TrainSettings(200, 64, 0.01, preset=preset))}
    assert caption("table2.png", whole).endswith("trained for 200 epochs.")


def test_fewer_epochs_of_the_mnist_schedule_are_its_first() -> None:
    """Drops at the same shares left a rate of 1e-7 after five epochs, and an untrained network."""
    for epochs in (5, 12, 200):
        rates = [learning_rate(epoch, epochs, 1e-4, "adam", "paper-mnist") for epoch in range(1, epochs + 1)]
        drops = [sum(epoch > drop for drop in (10, 20, 30, 40, 60)) for epoch in range(1, epochs + 1)]
        assert rates == pytest.approx([1e-4 / 10**drop for drop in drops])


@pytest.mark.parametrize("name", PRESETS)
def test_the_first_epoch_of_a_shortened_schedule_has_the_full_rate(name: str) -> None:
    least = PRESETS[name].least_epochs
    for epochs in range(least, 201):
        TrainSettings(epochs, 64, 0.5, preset=name)
        assert learning_rate(1, epochs, 0.5, "adam", name) == 0.5
    for epochs in range(1, least):
        assert learning_rate(1, epochs, 0.5, "adam", name) < 0.5
        with pytest.raises(tp.InputError, match=f"give {least} epochs or more"):
            TrainSettings(epochs, 64, 0.5, preset=name)


def test_weight_decay_is_that_of_kernels_alone() -> None:
    """One step of SGD with decay differs from one without by lr · decay · W for weights, and not at all for biases."""
    x, y = torch.rand(20, 4), torch.arange(20) % 3
    rate = learning_rate(1, 1, 0.1, "sgd")
    plain, decayed, before = (build("fcn-small", (4,), 3, seed=0) for _ in range(3))
    for model, decay in ((plain, 0.0), (decayed, 0.5)):
        train(model, x, y, epochs=1, batch_size=20, lr=0.1, optimizer="sgd", weight_decay=decay)
    for one, other, start in zip(plain.parameters(), decayed.parameters(), before.parameters(), strict=True):
        expected = rate * 0.5 * start if start.ndim > 1 else torch.zeros_like(start)
        assert torch.allclose(one - other, expected, atol=1e-6)


def test_weights_are_drawn_as_by_keras() -> None:
    model = build("conv-small", (1, 8, 8), seed=0)
    initialize_as_keras(model, he_last=True, seed=3)
    weights = [p for p in model.parameters() if p.ndim > 1]
    for i, weight in enumerate(weights):
        fan_in, fan_out = weight[0].numel(), weight.shape[0] * weight[0, 0].numel()
        he = weight.ndim == 4 or i == len(weights) - 1
        limit = (6 / fan_in) ** 0.5 if he else (6 / (fan_in + fan_out)) ** 0.5
        assert 0.9 * limit < float(weight.detach().abs().max()) <= limit


def test_a_gap_that_moves_with_the_decomposition_is_not_of_the_networks_alone() -> None:
    def gaps(minimal: float) -> Results:
        rows = [
            {"model": m, "family": f, "seed": 0, "decomposition": d, "factor": 1.0, "agreement": a}
            for m, f, d, a in (
                ("fcn4", "FCN", "paper", 0.9),
                ("conv", "CNN", "paper", 0.8),
                ("fcn4", "FCN", "minimal", 0.8 + minimal),
                ("conv", "CNN", "minimal", 0.8),
            )
        ]
        return Results(pd.DataFrame(rows), {}, {})

    study = STUDIES["decomposition"]
    assert verdict(study, gaps(0.11)).status == "agrees"
    assert verdict(study, gaps(0.16)).why == "the gap moves by 6.0 points with the decomposition"


def test_one_pair_of_networks_has_no_spread() -> None:
    rows = [
        {"model": m, "family": f, "seed": 0, "epoch": 1, "correlation": c} for m, f, c in (("a", "FCN", 0.5), ("b", "CNN", 0.1))
    ]
    assert verdict(STUDIES["figure5"], Results(pd.DataFrame(rows), {}, {})).why == "one run has no spread"
