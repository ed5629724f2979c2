"""Every study: its files, and its numbers against dense versions."""

from __future__ import annotations

import csv
import dataclasses
import json

import pytest
import torch

import tropica as tp
from tests.studies.conftest import MODELS, models_of, rows
from tropica.compare.layerwise import layer_cuts
from tropica.decomposition.pairwise_check import pairwise_excess
from tropica.studies.datasets.load import load_data
from tropica.studies.experiments import decomposition as decomposition_study
from tropica.studies.experiments.random import random_points
from tropica.studies.networks import build
from tropica.studies.registry import STUDIES
from tropica.studies.runner import run_study
from tropica.studies.study import METHODS
from tropica.studies.training.settings import TrainSettings


def dense(case, method):
    """a⁺ and a⁻ of all training points at all test points, and the labels of N^(X), by the full matrices in float64."""
    terms = case.terms(method)
    x = case.test.inputs.double()
    plus, minus = terms.plus(x), terms.minus(x)
    return plus, minus, terms.labels[plus.argmax(1)]


@pytest.mark.slow
@pytest.mark.parametrize("name", list(STUDIES))
def test_files_of_every_study(study, name):
    result, folder = study(name)
    saved = json.loads((folder / "numbers.json").read_text(encoding="utf-8"))
    assert saved["settings"]["study"] == name
    assert saved["settings"]["seeds"] == [0, 1]
    assert {"tropica", "torch", "python"} <= set(saved["settings"]["versions"])
    assert len(saved["rows"]) == len(result.results.rows)
    with open(folder / "rows.csv", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(saved["rows"])
    assert {(row["model"], row["seed"]) for row in table} == {(m, str(seed)) for m in models_of(name) for seed in (0, 1)}
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == sum(file.endswith(".png") for file in result.files) >= 1
    assert "What the paper found" in page
    assert "What this run found" in page
    assert page.count("<figcaption>") == page.count("<img")
    assert "nan" not in page.split("<h2>Settings")[0].replace("base64", "").split("data:image")[0]
    assert STUDIES[name].findings(result.results)
    for table in STUDIES[name].tables(result.results):
        assert all(len(row) == len(table.headings) for row in table.cells)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["table2", "neighbors", "figure3", "patterns"])
def test_signals_with_one_run(name, tmp_path):
    train, test = load_data("mnist1d", limit=80), load_data("mnist1d", split="test", limit=30)
    quick = TrainSettings(epochs=1, batch_size=40, lr=1e-3)
    result = run_study(name, train, test, tmp_path, runs=1, settings=quick)
    assert result.results.settings["models"] == ["fcn-small", "conv-small"]
    assert "data:image/png" in result.files["report.html"].read_text(encoding="utf-8")


@pytest.mark.parametrize("method", METHODS)
def test_table2_is_the_dense_one(study, cases, method):
    result, _ = study("table2")
    for (model, seed), case in cases.items():
        (row,) = rows(result, model=model, seed=seed, decomposition=method)
        labels = dense(case, method)[2]
        close = 1.01 / len(labels)  # a label may differ in float32
        assert row["network_extracted"] == pytest.approx(float((labels == case.network_labels).double().mean()), abs=close)
        assert row["network_true"] == pytest.approx(float((case.network_labels == case.true_labels).double().mean()), abs=close)
        assert row["extracted_true"] == pytest.approx(float((labels == case.true_labels).double().mean()), abs=close)
        assert row["certificate_holds"] is True


@pytest.mark.slow
def test_regions(study, cases, sets):
    result, _ = study("regions")
    for (model, seed), case in cases.items():
        found = rows(result, model=model, seed=seed)
        assert [row["epoch"] for row in found] == [0, 1, 3]
        x = torch.cat([data.inputs for data in sets])
        for row in found:
            net = case.after_epoch(row["epoch"]).net
            patterns = {bytes(p.tolist()) for p in net.activation_pattern(x.double())}
            assert row["both_patterns"] == len(patterns) <= 210
            assert row["both_terms"] <= row["both_patterns"] + 9  # except for cells with several labels


@pytest.mark.slow
def test_figure2_medians(study, cases):
    result, _ = study("figure2")
    for (model, seed), case in cases.items():
        labels = dense(case, "calibrated")[2]
        active = dense(case, "calibrated")[0].argmax(1)
        own = case.net.local_map(case.test.inputs.double())
        weight = own.weight.flatten(2)[torch.arange(len(active)), case.network_labels]
        other = case.terms("calibrated").local.weight[active]
        cosine = (weight * other).sum(1) / (weight.norm(dim=1) * other.norm(dim=1))
        angle = torch.rad2deg(cosine.clamp(-1, 1).arccos())[labels == case.true_labels]
        (row,) = rows(result, model=model, seed=seed, decomposition="calibrated")
        assert row["angle_right_50"] == pytest.approx(float(angle.quantile(0.5)), abs=1.5)
        assert row["right"] + row["wrong"] == 60


@pytest.mark.slow
def test_figure3_begins_with_the_network_and_ends_with_table2(study):
    result, _ = study("figure3")
    whole, _ = study("table2")
    for model in MODELS:
        for seed in (0, 1):
            for method in METHODS:
                found = rows(result, model=model, seed=seed, decomposition=method)
                (row,) = rows(whole, model=model, seed=seed, decomposition=method)
                assert found[0]["agreement"] == 1.0
                assert found[1]["agreement"] == 1.0, "the last dense layer is one linear function"
                assert found[0]["accuracy"] == row["network_true"]
                assert found[-1]["agreement"] == pytest.approx(row["network_extracted"], abs=1e-12)
                assert found[-1]["accuracy"] == pytest.approx(row["extracted_true"], abs=1e-12)


@pytest.mark.slow
def test_figure3_in_the_middle(study, cases):
    result, _ = study("figure3")
    case = cases["conv-small", 0]
    head, tail = case.net.cut("pool2")
    inner = head(case.points.inputs.double()).detach()
    terms = tp.extract(tail, inner)
    labels = terms.labels[terms.plus(head(case.test.inputs.double())).argmax(1)]
    (row,) = rows(result, model="conv-small", seed=0, decomposition="calibrated", layer="dense1")
    assert row["agreement"] == pytest.approx(float((labels == case.network_labels).double().mean()), abs=1.01 / 60)


def test_cuts_of_networks():
    net = tp.trace(build("conv-small", (1, 8, 8), seed=0), torch.zeros(2, 1, 8, 8))
    assert [layer for layer, _ in layer_cuts(net)] == ["dense2", "dense1", "pool2", "conv2", "pool1", "conv1"]
    assert list(layer_cuts(net))[-1] == ("conv1", "input")


@pytest.mark.slow
def test_patterns(study, cases):
    result, _ = study("patterns")
    for (model, seed), case in cases.items():
        active = dense(case, "paper")[0].argmax(1)
        x, y = case.test.inputs.double(), case.points.inputs.double()[active]
        for (nonlinearity, one, _), (_, other, _) in zip(
            *(case.net.active_pieces(z, floating="model") for z in (x, y)), strict=True
        ):
            (row,) = rows(result, model=model, seed=seed, pairing="paper", nonlinearity=nonlinearity.path)
            assert row["agreement"] == pytest.approx(float((one == other).double().mean()), abs=0.02)


@pytest.mark.slow
def test_neighbors(study, cases, sets):
    result, _ = study("neighbors")
    train, test = sets
    distance = (test.inputs[:, None].double() - train.inputs[None].double()).flatten(2).norm(dim=2)
    for (model, seed), case in cases.items():
        active = dense(case, "calibrated")[0].argmax(1)
        (row,) = rows(result, model=model, seed=seed, decomposition="calibrated")
        assert row["nearest"] == pytest.approx(float((distance.argmin(1) == active).double().mean()), abs=1.01 / 60)
        weight = case.terms("calibrated").local.weight
        assert row["common"] == pytest.approx(float(weight.mean(0).norm() / weight.norm(dim=1).mean()), rel=1e-4)
        images = result.results.figure_data[model, seed]["statistics"]
        for name, image in (("mean", weight.mean(0)), ("median", weight.median(0).values), ("largest", weight.amax(0))):
            torch.testing.assert_close(torch.tensor(images[name]).flatten().double(), image, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_leaky_networks_are_leaky(study, networks):
    study("leaky")
    assert sorted(path.name for path in networks.glob("*-leaky")) == [f"{model}-leaky" for model in sorted(MODELS)]


@pytest.mark.slow
def test_share(study, cases):
    result, _ = study("share")
    whole, _ = study("table2")
    for model in MODELS:
        for method in METHODS:
            (row,) = rows(result, model=model, seed=0, decomposition=method, share=100)
            (other,) = rows(whole, model=model, seed=0, decomposition=method)
            assert row["agreement"] == pytest.approx(other["network_extracted"], abs=1e-12)
            assert len(rows(result, model=model, seed=0, decomposition=method, share=30)) == 5
    case = cases["fcn-small", 1]
    order = torch.randperm(150, generator=torch.Generator().manual_seed(1))[:45]
    terms = case.terms("paper").select(order)
    labels = terms.labels[terms.plus(case.test.inputs.double()).argmax(1)]
    row = rows(result, model="fcn-small", seed=1, decomposition="paper", share=30)[0]
    assert row["agreement"] == pytest.approx(float((labels == case.network_labels).double().mean()), abs=1.01 / 60)


@pytest.mark.slow
def test_random(study):
    result, _ = study("random")
    whole, _ = study("table2")
    for model in MODELS:
        (row,) = rows(result, model=model, seed=0, decomposition="paper", source="data")
        (other,) = rows(whole, model=model, seed=0, decomposition="paper")
        assert row["agreement"] == row["agreement_on_source"] == pytest.approx(other["network_extracted"], abs=1e-12)


def test_random_inputs_keep_to_their_ranges():
    x = torch.rand(40, 1, 3, 3) * torch.arange(9).reshape(1, 3, 3) - 1
    for source in ("shuffled", "uniform"):
        found = random_points(source, x, torch.Generator().manual_seed(1))
        assert found.shape == x.shape
        assert bool((found >= x.amin(0)).all() and (found <= x.amax(0)).all())
        assert not torch.equal(found[:, 0, 1, 1], x[:, 0, 1, 1])


@pytest.mark.slow
def test_implications(study, cases):
    result, _ = study("implications")
    for (model, seed), case in cases.items():
        labels = dense(case, "calibrated")[2]
        those = {"model": model, "seed": seed, "decomposition": "calibrated"}
        found = rows(result, **those, premise="network_right", conclusion="extracted_right")
        both = int(((labels == case.true_labels) & (case.network_labels == case.true_labels)).sum())
        assert abs(found[0]["hold"] - both) <= 1
        forward = rows(
            result, model=model, seed=seed, decomposition="calibrated", premise="extracted_right", conclusion="network_right"
        )
        assert forward[0]["hold"] == found[0]["hold"]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_cross(study, cases, method):
    result, _ = study("cross")
    for (model, seed), case in cases.items():
        plus, minus, _ = dense(case, method)
        assert torch.equal(case.function(method).active_minus_term(case.test), minus.argmax(1))
        (row,) = rows(result, model=model, seed=seed, decomposition=method)
        straight = float((plus.argmax(1) == minus.argmax(1)).double().mean())
        assert row["straight"] == pytest.approx(straight, abs=2.01 / 60)
        assert row["number_straight"] + row["number_cross"] == 60


# ── decomposition ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [0.0, 0.03, 3.0])
def test_scaled_terms_are_those_of_the_scaled_decomposition(cases, method, factor):
    case = cases["conv-small", 0]
    made = case.decomposition(method)
    inputs = None if made.input_multiplier is None else factor * made.input_multiplier
    multipliers = {name: factor * k for name, k in made.multipliers.items()}
    less = dataclasses.replace(made, multipliers=multipliers, input_multiplier=inputs, constant=factor * made.constant)
    wanted = tp.extract(case.net, case.points, less, check="none")
    found = case.terms(method).scaled(factor)
    x = case.test.inputs.double()
    for side in ("plus", "minus"):
        exact = getattr(wanted, side)(x)
        torch.testing.assert_close(getattr(found, side)(x), exact, rtol=1e-9, atol=1e-9 * float(exact.abs().max()))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [0.0, 0.1, 1.0])
def test_violations_are_those_of_the_full_matrix(cases, method, factor):
    for case in cases.values():
        terms = case.terms(method).scaled(factor)
        x = case.points.inputs.double()
        excess = torch.stack([m.amax(1) - m.diagonal() for m in (terms.minus(x), terms.plus(x))])
        found, violated = pairwise_excess(terms, case.points.inputs)
        scale = float(terms.minus(x).abs().max())
        assert float(found.max()) == pytest.approx(float(excess.max()), rel=1e-6, abs=1e-11 * scale)
        assert torch.equal(violated, (excess > 1e-9 * scale).any(0))


@pytest.mark.slow
def test_the_decomposition_study(study):
    result, _ = study("decomposition")
    whole, _ = study("table2")
    for model in MODELS:
        for seed in (0, 1):
            for method in METHODS:
                (row,) = rows(result, model=model, seed=seed, decomposition=method, factor=1.0)
                (other,) = rows(whole, model=model, seed=seed, decomposition=method)
                assert row["agreement"] == pytest.approx(other["network_extracted"], abs=1e-12)
                assert (row["violating"], row["labels_kept"]) == (0.0, 1.0)
            (row,) = rows(result, model=model, seed=seed, decomposition="minimal")
            (other,) = rows(whole, model=model, seed=seed, decomposition="minimal")
            assert row["agreement"] == pytest.approx(other["network_extracted"], abs=1e-12)
            assert (row["violating"], row["labels_kept"], other["certificate_holds"]) == (0.0, 1.0, True)
            # Every factor of the table below λ* violates a pair.
            for less in rows(result, model=model, seed=seed, decomposition="calibrated"):
                assert (less["violating"] > 0) == (less["factor"] < row["factor"] / 1.01)
    assert all(row["violating"] > 0.5 for row in rows(result, factor=0.0))
    factor = decomposition_study.smallest_factor(result.results, "fcn-small", "paper")
    assert factor is not None
    assert factor <= 1
