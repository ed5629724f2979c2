"""tropica train and tropica study."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.cli.case import done, enter, refused, run, save_npz
from tropica.studies.datasets.load import load_data
from tropica.studies.networks import build
from tropica.studies.registry import STUDIES

QUICK = ("--epochs", 1, "--batch-size", 50, "--limit", 100)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    enter(tmp_path, monkeypatch)


def files():
    digits = load_data("digits", limit=60)
    x, y = digits.inputs, digits.labels
    save_npz(Path("bare.npz"), x_train=x, x_test=x)
    save_npz(Path("fours.npz"), x_train=x, y_train=torch.full((60,), 4), x_test=x, y_test=y)
    save_npz(Path("tiny.npz"), x_train=x[..., :2, :2], y_train=y, x_test=x[..., :2, :2], y_test=y)


def test_train_writes_weights_that_other_commands_take():
    result = done("train", "conv-small", "--data", "digits", *QUICK, "--runs", 2, "--seed", 3, "--json", "train.json")
    saved = json.loads(Path("train.json").read_text())
    assert [one["seed"] for one in saved["runs"]] == [3, 4]
    weights = saved["runs"][0]["weights"]
    assert weights == str(Path("networks/conv-small/seed-3/epoch-0001.safetensors"))
    model = build("conv-small", (1, 8, 8))
    model.load_state_dict(safetensors.torch.load_file(weights))
    test = load_data("digits", split="test")
    with torch.no_grad():
        share = float((model(test.inputs).argmax(1) == test.labels).double().mean())
    assert saved["runs"][0]["test"] == pytest.approx(share)
    line = next(line for line in result.stdout.splitlines() if line.startswith("to go on: "))
    done(*line.removeprefix("to go on: tropica ").split(), "--limit", 20)
    done("train", "conv-small", "--data", "digits", *QUICK, "--runs", 3, "--seed", 3, "--json", "again.json")
    again = json.loads(Path("again.json").read_text())
    assert again["runs"][:2] == saved["runs"]


def test_train_keeps_some_epochs_and_other_activations():
    done("train", "fcn-small", "--data", "mnist1d", "--limit", 60, "--epochs", 5, "--every", 2, "--runs", 1,
         "--activation", "leaky", "--optimizer", "sgd", "--out", "n")  # fmt: skip
    names = sorted(path.name for path in Path("n/fcn-small-leaky/seed-0").iterdir())
    assert names == [f"epoch-000{k}.safetensors" for k in (0, 2, 4, 5)] + ["state.safetensors", "training.json"]
    saved = json.loads(Path("n/fcn-small-leaky/seed-0/training.json").read_text())
    assert (saved["optimizer"], saved["lr"], saved["batch_size"]) == ("sgd", 0.01, 32)


def test_train_refuses_what_cannot_be_trained():
    files()
    assert "there is no model 'fcn5'; there are fcn2, fcn4" in refused("train", "fcn5", "--data", "digits")
    assert "digits has 1,442 train points; 2,000 were asked for" in refused(
        "train", "fcn4", "--data", "digits", "--limit", 2000
    )
    assert "have no labels" in refused("train", "fcn4", "--data", "bare.npz")
    assert "of class 4; two classes or more are needed" in refused("train", "fcn4", "--data", "fours.npz")
    assert "too small for the model 'conv'" in refused("train", "conv", "--data", "tiny.npz")
    assert "learning rate must be a number above 0" in refused("train", "fcn4", "--data", "digits", "--lr", 0)
    assert "there is no device 'abacus'" in refused("train", "fcn4", "--data", "digits", "--device", "abacus")
    done("train", "fcn-small", "--data", "digits", *QUICK, "--runs", 1)
    line = refused("train", "fcn-small", "--data", "digits", *QUICK, "--runs", 1, "--lr", 0.5)
    assert "holds another run: lr 0.001 there and 0.5 here" in line


def test_study():
    networks = ("--networks", "nets", "--model", "fcn-small", "--model", "conv-small")
    result = done("study", "table2", "--data", "digits", *QUICK, "--runs", 2, "--test-limit", 40, *networks, "--terms", 50)
    saved = json.loads(Path("results/table2/numbers.json").read_text())
    assert len(saved["rows"]) == 2 * 2 * 3, "models, runs, decompositions"
    assert (saved["settings"]["terms"], saved["settings"]["test_points"]) == (50, 40)
    assert "The paper's Table 2" in result.stdout
    assert "• FCN: N^(X) agrees with N on" in result.stdout
    assert Path("results/table2/report.html").exists()
    more = done("study", "cross", "--data", "digits", *QUICK, "--runs", 1, "--dtype", "float64", "-o", "other", *networks)
    assert "straight" in more.stdout
    assert json.loads(Path("other/numbers.json").read_text())["settings"]["dtype"] == "float64"


def test_study_refuses_with_a_line():
    files()
    assert "there is no study 'table3'; there are table2, regions" in refused("study", "table3", "--data", "digits")
    assert "there is no model 'x'; there are fcn2" in refused("study", "table2", "--data", "digits", "--model", "x")
    assert "digits has 355 test points; 400 were asked for" in refused(
        "study", "table2", "--data", "digits", "--test-limit", 400
    )
    assert "terms must be a number of training points, 1 … 100; found 101" in refused(
        "study", "table2", "--data", "digits", "--limit", 100, "--terms", 101
    )
    assert "have no labels" in refused("study", "table2", "--data", "bare.npz")
    assert "of class 4" in refused("study", "table2", "--data", "fours.npz")
    flat = refused("study", "figure1", "--data", "digits", "--model", "conv")
    assert "figure1 gives networks points of shape (2,); conv: this model takes (channels, height, width)" in flat
    assert "too small" in refused("study", "table2", "--data", "tiny.npz", "--model", "conv")
    Path("file").write_text("")
    assert "a folder is needed" in refused("study", "table2", "--data", "digits", "--out", "file")
    assert not Path("results").exists()


def test_ctrl_c_says_how_to_go_on(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tropica.studies.training.runs.train", interrupted)
    result = run("study", "table2", "--data", "digits", *QUICK)
    assert result.exit_code == 130
    assert result.stderr.startswith("stopped: 0 runs are complete in results/table2; the same command resumes")
    result = run("train", "fcn-small", "--data", "digits", *QUICK)
    assert result.exit_code == 130
    assert "0 of 5 runs are whole in networks/fcn-small" in result.stderr


def few(monkeypatch, **changed):
    """A registry of two quick studies."""
    studies = {name: dataclasses.replace(STUDIES[name], **changed.get(name, {})) for name in ("table2", "cross")}
    monkeypatch.setattr("tropica.studies.registry.STUDIES", studies)


def test_all_studies(monkeypatch):
    few(monkeypatch)
    result = done("study", "all", "--data", "digits", *QUICK, "--runs", 1, "--test-limit", 40, "--model", "fcn-small")
    assert "table2: Table 2" in result.stdout
    assert "written to results/all: numbers.json, report.html, and a folder for each study" in result.stdout
    saved = json.loads(Path("results/all/numbers.json").read_text())
    assert list(saved["studies"]) == ["table2", "cross"]
    assert Path("results/all/networks/fcn-small/seed-0").is_dir()
    page = Path("results/all/report.html").read_text(encoding="utf-8")
    command = "tropica study all --data digits --runs 1 --seed 0 --model fcn-small --epochs 1 --batch-size 50"
    assert command in page
    alone = done("study", "cross", "--data", "digits", *QUICK, "--runs", 1, "--test-limit", 40, "--model", "fcn-small",
                 "--out", "results/all/cross", "--networks", "results/all/networks")  # fmt: skip
    assert "straight" in alone.stdout


def test_all_studies_with_one_that_fails(monkeypatch):
    def broken(case):
        raise RuntimeError("no luck\ntoday")

    few(monkeypatch, table2={"measure": broken})
    result = run("study", "all", "--data", "digits", *QUICK, "--runs", 1, "--model", "fcn-small")
    assert result.exit_code == 1
    assert "error: the study table2 failed: fcn-small, seed 0: RuntimeError: no luck today" in result.stderr
    assert "cross: Straight and cross terms" in result.stdout
    assert "The study <a" in Path("results/all/report.html").read_text(encoding="utf-8")


def test_all_studies_refuse_with_a_line(monkeypatch):
    files()
    assert "and all of them: all" in refused("study", "al", "--data", "digits")
    assert "there is no model 'x'" in refused("study", "all", "--data", "digits", "--model", "x")
    assert "digits has 355 test points; 400 were asked for" in refused("study", "all", "--data", "digits", "--test-limit", 400)
    assert "have no labels" in refused("study", "all", "--data", "bare.npz")
    assert "of class 4" in refused("study", "all", "--data", "fours.npz")
    assert "too small" in refused("study", "all", "--data", "tiny.npz", "--model", "conv")
    assert not Path("results").exists()

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tropica.studies.training.runs.train", interrupted)
    result = run("study", "all", "--data", "digits", *QUICK)
    assert result.exit_code == 130
    assert result.stderr.startswith("stopped: 0 runs are complete in results/all; the same command resumes")
