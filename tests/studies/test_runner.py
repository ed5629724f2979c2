"""Studies as runs in a folder: interrupted runs resume, other runs are refused, and bad input is one clear error."""

from __future__ import annotations

import dataclasses
import json

import pandas as pd
import pytest
import torch

import tropica as tp
from tests.studies.conftest import quick_studies, rows
from tropica.data.labelled import LabelledData
from tropica.studies.registry import STUDIES, find_study
from tropica.studies.runner import run_studies, run_study
from tropica.studies.training.settings import TrainSettings

ONE = TrainSettings(epochs=1, batch_size=50, lr=1e-3)


def go(sets, folder, name="table2", **more):
    given = {"models": ["fcn-small"], "runs": 2, "settings": ONE, **more}
    return run_study(name, *sets, folder, **given)


def stamps(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "runs").iterdir()}


def test_an_interrupted_study_goes_on_with_the_missing_runs(sets, tmp_path):
    whole = go(sets, tmp_path / "whole", runs=3)

    def stop(done, total, message):
        if message == "table2: runs" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(sets, tmp_path / "parts", runs=3, progress=stop)
    before = stamps(tmp_path / "parts")
    assert sorted(before) == ["fcn-small-0.json", "fcn-small-1.json"]
    assert not (tmp_path / "parts" / "report.html").exists()
    parts = go(sets, tmp_path / "parts", runs=3)
    after = stamps(tmp_path / "parts")
    assert {name: after[name] for name in before} == before
    pd.testing.assert_frame_equal(parts.to_dataframe(), whole.to_dataframe())


def test_more_runs_and_models_add_to_those_there_are(sets, tmp_path):
    go(sets, tmp_path, runs=1)
    before = stamps(tmp_path)
    result = go(sets, tmp_path, runs=2, models=["fcn-small", "conv-small", "fcn-small"])
    assert stamps(tmp_path)["fcn-small-0.json"] == before["fcn-small-0.json"]
    assert len(result.results.rows) == 2 * 2 * len(STUDIES["table2"].decompositions)
    assert result.results.settings["models"] == ["fcn-small", "conv-small"]


@pytest.mark.slow
def test_a_removed_run_is_measured_again(sets, tmp_path):
    first = go(sets, tmp_path)
    (tmp_path / "runs" / "fcn-small-1.json").unlink()
    pd.testing.assert_frame_equal(go(sets, tmp_path).to_dataframe(), first.to_dataframe())


def test_fewer_terms(sets, tmp_path):
    result = go(sets, tmp_path, terms=40, runs=1)
    assert result.results.settings["terms"] == 40
    assert set(result.to_dataframe()["terms"]) == {40}
    saved = json.loads((tmp_path / "networks" / "fcn-small" / "seed-0" / "training.json").read_text())
    assert saved["points"] == 150


@pytest.mark.slow
def test_seeds_count_on_and_differ(sets, tmp_path):
    result = go(sets, tmp_path, seed=7, runs=2)
    assert result.results.settings["seeds"] == [7, 8]
    one, other = ([row["largest_multiplier"] for row in rows(result, seed=seed)] for seed in (7, 8))
    assert one != other


def test_the_page_says_the_command(sets, tmp_path):
    result = go(sets, tmp_path, seed=7, runs=1, terms=40)
    command = "tropica study table2 --data digits --model fcn-small --runs 1 --seed 7 --epochs 1 --batch-size 50 --lr 0.001"
    command += " --optimizer adam --limit 150 --terms 40 --test-limit 60 --dtype float32"
    assert command in result.files["report.html"].read_text(encoding="utf-8")


def test_float64(sets, tmp_path):
    assert go(sets, tmp_path, dtype=torch.float64, runs=1).results.settings["dtype"] == "float64"


def test_runs_of_something_else_are_refused(sets, tmp_path):
    go(sets, tmp_path, runs=1)
    with pytest.raises(tp.InputError, match="holds runs with other settings: terms 150 there and 30 here"):
        go(sets, tmp_path, runs=1, terms=30)
    with pytest.raises(tp.InputError, match="study table2 there and share here"):
        go(sets, tmp_path, "share", runs=1)
    with pytest.raises(tp.InputError, match=r"training .*'epochs': 1.* there"):
        go(sets, tmp_path, runs=1, settings=dataclasses.replace(ONE, epochs=2))
    (tmp_path / "runs" / "fcn-small-0.json").write_text("{")
    with pytest.raises(tp.DataError, match="not written by a study"):
        go(sets, tmp_path, runs=1)


def test_unknown_names_list_what_exists(sets, tmp_path):
    with pytest.raises(tp.InputError, match=f"there is no study 'table3'; there are {', '.join(STUDIES)}"):
        go(sets, tmp_path / "x", "table3")
    with pytest.raises(tp.InputError, match="there is no model 'resnet'; there are fcn2, fcn4"):
        go(sets, tmp_path / "x", models=["fcn-small", "resnet"])
    assert not (tmp_path / "x").exists(), "nothing is trained before everything is known to fit"
    assert find_study("decomposition").name == "decomposition"


def test_data_that_does_not_fit(sets, tmp_path):
    train, test = sets
    assert train.labels is not None
    assert test.labels is not None
    bare = LabelledData(test.inputs, None, "bare")
    fours = LabelledData(train.inputs, torch.full((150,), 4), "fours", 10)
    wide = LabelledData(torch.zeros(5, 1, 8, 9), torch.arange(5), "wide", 10)
    two = LabelledData(train.inputs, train.labels % 2, "two", 2)
    for pair, message in (
        ((train, bare), "test points have no labels"),
        ((LabelledData(train.inputs, None, "bare"), test), "have no labels"),
        ((fours, test), "all 150 points are of class 4"),
        ((train, wide), r"shape \(1, 8, 9\) do not match training points of shape \(1, 8, 8\)"),
        ((two, test), "a test point has label 9; the training points have 2 classes"),
    ):
        with pytest.raises(tp.DataError, match=message):
            go(pair, tmp_path / "x")
    with pytest.raises(tp.InputError, match="1 … 150; found 151"):
        go(sets, tmp_path / "x", terms=151)
    with pytest.raises(tp.InputError, match="runs must be 1 or more"):
        go(sets, tmp_path / "x", runs=0)
    tiny = LabelledData(torch.rand(20, 1, 4, 4), torch.arange(20) % 2, "tiny", 2)
    with pytest.raises(tp.InputError, match="too small for the model 'narrow'"):
        go((tiny, tiny), tmp_path / "x", models=["fcn-small", "narrow"])
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_two_classes_and_few_points(tmp_path, monkeypatch):
    """Every study takes points of five numbers and two classes, some of which never occur."""
    monkeypatch.setattr("tropica.studies.registry.STUDIES", quick_studies())
    x = torch.rand(30, 5, generator=torch.Generator().manual_seed(0))
    data = LabelledData(x, (x.sum(1) > 2.5).long(), "halves", 2)
    result = run_studies(data, data, tmp_path, runs=1, settings=ONE)
    assert result.failed == {}
    assert list(result.done) == list(STUDIES)
    for name, one in result.done.items():
        assert one.results.models == ["fcn-small"]
        assert one.files["report.html"] == tmp_path / name / "report.html"
