"""Figures 1, 4 and 5: the plane, epochs and pairs of networks, against dense versions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import tropica as tp
from tests.studies.conftest import MODELS, QUICK, rows
from tests.studies.test_runner import ONE, go
from tests.studies.test_studies import dense
from tropica.data.labelled import LabelledData
from tropica.studies.datasets.load import load_data
from tropica.studies.epochs import select_epochs
from tropica.studies.projection import project_to_plane
from tropica.studies.runner import run_study
from tropica.studies.study import METHODS
from tropica.studies.training.runs import train_run
from tropica.studies.training.settings import TrainSettings

# ── figure 1 ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_plane_is_that_of_the_singular_vectors(sets):
    train, test = sets
    data = project_to_plane(train, test)
    x = train.inputs.flatten(1).double()
    _, size, axes = torch.linalg.svd(x - x.mean(0), full_matrices=False)
    for given, seen in ((train, data.train), (test, data.test)):
        wanted = (given.inputs.flatten(1).double() - x.mean(0)) @ axes[:2].T / (size[0] / len(x) ** 0.5)
        signs = (wanted * seen.inputs.double()).sum(0).sign()
        torch.testing.assert_close(seen.inputs.double(), wanted * signs, atol=1e-5, rtol=0)
        assert torch.equal(seen.labels, given.labels)
    assert f"{float((size[:2] ** 2).sum() / (size**2).sum()):.0%}".replace("%", " %") in data.note
    assert data.suffix == "plane"


def test_points_of_two_numbers_stay_as_they_are():
    data = LabelledData(torch.rand(20, 2), torch.arange(20) % 2, "two", 2)
    plane = project_to_plane(data, data)
    assert plane.train is data
    assert (plane.suffix, plane.note) == ("", "")
    image = LabelledData(data.inputs.reshape(20, 1, 1, 2), data.labels, "two", 2)
    assert torch.equal(project_to_plane(image, image).train.inputs, data.inputs)


def test_points_that_have_no_plane(tmp_path):
    labels = torch.arange(20) % 2
    for inputs, message in (
        (torch.rand(20, 1), "points of one coordinate"),
        (torch.full((20, 5), 0.3), "all 20 training points are equal"),
        (torch.zeros(20, 10_001), "points of 10,001 coordinates; at most 10,000"),
    ):
        data = LabelledData(inputs, labels, "odd", 2)
        with pytest.raises(tp.TropicaError, match=message):
            run_study("figure1", data, data, tmp_path / "x", runs=1, settings=ONE)
    assert not (tmp_path / "x").exists()


def test_figure1_takes_networks_of_vectors(sets, tmp_path):
    with pytest.raises(tp.InputError, match=r"takes \(channels, height, width\).*found \(2,\)"):
        go(sets, tmp_path, "figure1", models=["conv-small"])


def test_figure1_of_points_on_a_line(tmp_path):
    """One direction has no variance, but the window has a positive height."""
    x = torch.linspace(0, 1, 30)[:, None] * torch.tensor([1.0, 2.0, 3.0])
    data = LabelledData(x, (x[:, 0] > 0.5).long(), "line", 2)
    result = run_study("figure1", data, data, tmp_path, runs=1, settings=ONE)
    assert all(0 <= row["area_agreement"] <= 1 for row in rows(result))


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_figure1_beside_values_on_a_grid(study, networks, sets, method):
    result, _ = study("figure1")
    data = project_to_plane(*sets)
    run = train_run("fcn-small", data.train, networks / "fcn-small-plane" / "seed-0", QUICK, seed=0)
    net = tp.trace(run.load(), data.train.inputs[:2]).to(torch.float64)
    x, test = data.train.inputs.double(), data.test.inputs.double()
    terms = tp.extract(net, x, tp.decompose(net, x, method=method))
    window = np.array(result.results.figure_data["fcn-small", 0]["window"])
    assert (window[0] < torch.cat([x, test]).numpy().min(0)).all()
    random = np.random.default_rng(0).uniform(*window, (20_000, 2))
    grid = torch.from_numpy(random)
    plus, minus = terms.plus(grid).argmax(1), terms.minus(grid).argmax(1)
    (row,) = rows(result, model="fcn-small", seed=0, decomposition=method)
    agree = (terms.labels[plus] == net.predict(grid)).double().mean()
    assert row["area_agreement"] == pytest.approx(float(agree), abs=0.015)
    patterns = net.activation_pattern(x).numpy()
    straight = (patterns[plus.numpy()] == patterns[minus.numpy()]).all(1).mean()
    assert row["straight_area"] == pytest.approx(float(straight), abs=0.015)
    assert row["cells_with_points"] == len(np.unique(patterns, axis=0))
    known = {p.tobytes() for p in patterns}
    assert row["test_in_these"] == np.mean([p.tobytes() in known for p in net.activation_pattern(test).numpy()])
    assert len({p.tobytes() for p in net.activation_pattern(grid).numpy()}) <= row["cells"]
    assert len(np.unique(patterns[minus.numpy()], axis=0)) <= row["active_minus"] <= row["cells_with_points"]
    labels = terms.labels[terms.plus(test).argmax(1)]
    assert row["agreement"] == pytest.approx(float((labels == net.predict(test)).double().mean()), abs=1e-12)


# ── figure 4 ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_figure4_ends_with_table2(study, cases):
    result, _ = study("figure4")
    whole, _ = study("table2")
    for model, seed in cases:
        for method in METHODS:
            found = rows(result, model=model, seed=seed, decomposition=method)
            (row,) = rows(whole, model=model, seed=seed, decomposition=method)
            assert [one["epoch"] for one in found] == [0, 1, 2, 3]
            assert found[-1] == {**row, "epoch": 3}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_figure4_in_the_middle(study, cases, method):
    result, _ = study("figure4")
    case = cases["fcn-small", 1].after_epoch(1)
    assert bool((case.network_labels != cases["fcn-small", 1].network_labels).any()), (
        "another network than after the last epoch"
    )
    (row,) = rows(result, model="fcn-small", seed=1, decomposition=method, epoch=1)
    labels = dense(case, method)[2]
    assert row["network_extracted"] == pytest.approx(float((labels == case.network_labels).double().mean()), abs=1.01 / 60)
    assert row["network_true"] == pytest.approx(float((case.network_labels == case.true_labels).double().mean()), abs=1.01 / 60)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["figure4", "figure5"])
def test_an_interrupted_run_goes_on_with_its_next_epoch(sets, networks, tmp_path, name):
    more = {"models": ["fcn-small"], "runs": 1, "settings": QUICK, "networks": networks}
    whole = go(sets, tmp_path / "whole", name, **more)
    assert [path.name for path in (tmp_path / "whole" / "runs").iterdir()] == ["fcn-small-0.json"]

    def stop(done, total, message):
        if "epoch 2" in message and "training" not in message:
            raise KeyboardInterrupt

    folder = tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        go(sets, folder, name, progress=stop, **more)
    parts = folder / "runs" / "fcn-small-0"
    assert sorted(path.name for path in parts.iterdir()) == ["epoch-0000.json", "epoch-0001.json"]
    seen = []
    done = go(sets, folder, name, progress=lambda done, total, message: seen.append(message), **more)
    assert not any("epoch 1" in message for message in seen)
    assert any("epoch 2" in message for message in seen)
    pd.testing.assert_frame_equal(done.to_dataframe(), whole.to_dataframe())
    assert not parts.exists()


def test_selected_epochs():
    assert select_epochs([0, 5, 10], 3) == [0, 5, 10]
    many = select_epochs(list(range(0, 201, 2)), 10, also=[100, 101])
    assert {0, 2, 100, 200} <= set(many), "101 is not kept"
    assert len(many) <= 12
    assert all(epoch % 2 == 0 for epoch in many)
    assert TrainSettings(epochs=20, batch_size=1, lr=1.0).milestones == []
    assert TrainSettings(epochs=8, batch_size=1, lr=1.0, optimizer="sgd").milestones == [4, 6]


# ── figure 5 ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_figure5_beside_numpy(study, cases, networks, sets):
    result, _ = study("figure5")
    train, _ = sets
    assert {path.name for path in (networks / "conv-small").iterdir()} == {"seed-0", "seed-1", "seed-2"}
    x = train.inputs.double()
    for model in MODELS:
        for epoch in (1, 3):
            weights, labels = [], []
            for seed in (0, 1):
                net = cases[model, seed].after_epoch(epoch).net
                labels.append(net.predict(x))
                weights.append(net.local_map(x).weight.flatten(2)[torch.arange(len(x)), labels[-1]].numpy())
            a, b = weights
            moved = (np.ptp(a, 0) > 0) & (np.ptp(b, 0) > 0)
            wanted = np.mean([np.corrcoef(a[:, j], b[:, j])[0, 1] for j in np.flatnonzero(moved)])
            cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
            (row,) = rows(result, model=model, seed=0, epoch=epoch)
            assert row["other_seed"] == 1
            assert row["correlation"] == pytest.approx(wanted, abs=1e-3)
            assert row["inputs"] == moved.sum()
            assert row["angle_50"] == pytest.approx(np.median(np.rad2deg(np.arccos(cosine))), abs=0.1)
            assert row["distance_50"] == pytest.approx(np.median(np.linalg.norm(a - b, axis=1)), rel=1e-3)
            assert row["same_label"] == pytest.approx(float((labels[0] == labels[1]).double().mean()), abs=1.01 / 150)


def test_a_network_compared_with_itself(cases):
    from tropica.studies.experiments.figure5 import compare_networks

    case = cases["fcn-small", 0]
    row = compare_networks(case, case)["row"]
    assert row["correlation"] == pytest.approx(1.0)
    assert (row["angle_90"], row["distance_90"], row["same_label"]) == (pytest.approx(0, abs=1e-5), 0.0, 1.0)


@pytest.mark.slow
def test_falls_of_the_learning_rate_are_marked(sets, networks, tmp_path):
    sgd = TrainSettings(epochs=4, batch_size=50, lr=0.02, optimizer="sgd")
    result = go(sets, tmp_path, "figure5", runs=1, settings=sgd)
    with tp.plots.style.applied():
        figure = result.study.figures(result.results)["figure5"]
    names = figure.axes[0].get_legend_handles_labels()[1]
    assert names == ["fcn-small", "learning rate falls"]
    (dots,) = [line for line in figure.axes[0].lines if line.get_label() == "learning rate falls"]
    assert sorted(dots.get_xdata()) == [2, 3]
    assert any("where the learning rate falls, after epoch 2" in line for line in result.study.conclusions(result.results))


@pytest.mark.slow
def test_signals(tmp_path):
    train, test = load_data("mnist1d", limit=60), load_data("mnist1d", split="test", limit=20)
    for name in ("figure1", "figure4", "figure5"):
        done = run_study(name, train, test, tmp_path / name, runs=1, settings=ONE, networks=tmp_path / "networks")
        assert "data:image/png" in done.files["report.html"].read_text(encoding="utf-8")
