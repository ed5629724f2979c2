"""``tropica study``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import tropica as tp
from tests.cli.folder import assert_matches, refuse, run, saved, small_network, succeed
from tests.cli.training import QUICK, write_untrainable
from tropica.studies.registry import STUDIES

pytestmark = pytest.mark.usefixtures("folder")


def test_study():
    networks = ("--networks", "nets", "--model", "fcn-small", "--model", "conv-small")
    result = succeed("study", "table2", "--data", "digits", *QUICK, "--runs", 2, "--test-limit", 40, *networks, "--terms", 50)
    numbers = saved("results/table2/numbers.json")
    assert len(numbers["rows"]) == 2 * 2 * 3, "models, runs, decompositions"
    assert (numbers["settings"]["terms"], numbers["settings"]["test_points"]) == (50, 40)
    assert "The paper's Table 2" in result.stdout
    assert "• FCN: N^(X) agrees with N on" in result.stdout
    assert Path("results/table2/report.html").exists()
    more = succeed("study", "cross", "--data", "digits", *QUICK, "--runs", 1, "--dtype", "float64", "-o", "other", *networks)
    assert "straight" in more.stdout
    assert saved("other/numbers.json")["settings"]["dtype"] == "float64"


def test_a_network_of_the_user():
    mine = ("--data", "few.npz", "--model", "nets:small", "--weights", "small.safetensors")
    result = succeed("study", "table2", *mine, "--out", "mine")
    numbers = saved("mine/numbers.json")
    assert [row["decomposition"] for row in numbers["rows"]] == ["paper", "calibrated", "minimal"]
    net, train, test = small_network(), tp.load_data("few.npz"), tp.load_data("few.npz", split="test")
    expected = tp.agreement(net, tp.ExtractedFunction.streaming(net, train), test)
    found = numbers["rows"][1]
    assert {key: found[key] for key in expected.shares} == pytest.approx(expected.shares)
    assert found["pixel_fidelity"] == float(
        (net.predict(train.inputs)[tp.nearest_neighbors(train, test).index] == net.predict(test.inputs)).double().mean()
    )
    assert (found["model"], found["family"], numbers["settings"]["network"]) == ("nets:small", "FCN", net.fingerprint)
    assert "--model nets:small --weights small.safetensors" in Path("mine/report.html").read_text(encoding="utf-8")
    assert "N^(X) agrees with N on" in result.stdout
    succeed("study", "figure3", *mine, "--out", "third")
    assert_matches("figure4 needs the weights after each epoch.*tp.follow", refuse("study", "figure4", *mine))
    assert_matches("--epochs is for networks that the study trains", refuse("study", "table2", *mine, "--epochs", 3))
    assert_matches("go with a --model of your own", refuse("study", "table2", "--data", "few.npz", "--arg", "a=1"))


def test_the_preset_of_the_paper():
    quick = ("--preset", "paper", "--epochs", 2, "--limit", 100, "--runs", 1)
    succeed("train", "fcn-small", "--data", "digits", *quick, "--out", "nets", "--json", "t.json")
    found = saved("t.json")
    assert (found["preset"], found["batch_size"], found["lr"], found["optimizer"]) == ("paper-mnist", 64, 1e-4, "adam")
    assert_matches("--preset paper has its own --lr", refuse("train", "fcn-small", "--data", "digits", *quick, "--lr", 0.1))


def test_study_refuses_with_a_line():
    write_untrainable()
    assert "there is no study 'table3'; there are table2, regions" in refuse("study", "table3", "--data", "digits")
    assert "there is no model 'x'; there are fcn2" in refuse("study", "table2", "--data", "digits", "--model", "x")
    assert "digits has 355 test points; 400 were asked for" in refuse(
        "study", "table2", "--data", "digits", "--test-limit", 400
    )
    assert "terms must be a number of training points, 1 … 100; found 101" in refuse(
        "study", "table2", "--data", "digits", "--limit", 100, "--terms", 101
    )
    assert "have no labels" in refuse("study", "table2", "--data", "bare.npz")
    assert "of class 4" in refuse("study", "table2", "--data", "fours.npz")
    flat = refuse("study", "figure1", "--data", "digits", "--model", "conv")
    assert "figure1 gives networks points of shape (2,); conv: this model takes (channels, height, width)" in flat
    assert "too small" in refuse("study", "table2", "--data", "tiny.npz", "--model", "conv")
    Path("file").write_text("")
    assert "a folder is needed" in refuse("study", "table2", "--data", "digits", "--out", "file")
    assert not Path("results").exists()


def test_ctrl_c_says_how_to_go_on(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tropica.studies.training.runs.train", interrupted)
    result = run("study", "table2", "--data", "digits", *QUICK)
    assert result.exit_code == 130
    assert "stopped: 0 runs are complete in results/table2; the same command resumes" in result.stderr


def few(monkeypatch, **changed):
    """A registry of two quick studies."""
    studies = {name: dataclasses.replace(STUDIES[name], **changed.get(name, {})) for name in ("table2", "cross")}
    monkeypatch.setattr("tropica.studies.registry.STUDIES", studies)


def test_all_studies(monkeypatch):
    few(monkeypatch)
    result = succeed("study", "all", "--data", "digits", *QUICK, "--runs", 1, "--test-limit", 40, "--model", "fcn-small")
    assert "table2: Table 2" in result.stdout
    assert "written to results/all: numbers.json, report.html, and a folder for each study" in result.stdout
    numbers = saved("results/all/numbers.json")
    assert list(numbers["studies"]) == ["table2", "cross"]
    assert Path("results/all/networks/fcn-small/seed-0").is_dir()
    page = Path("results/all/report.html").read_text(encoding="utf-8")
    command = "tropica study all --data digits --model fcn-small --runs 1 --seed 0 --epochs 1 --batch-size 50"
    assert command in page
    alone = succeed("study", "cross", "--data", "digits", *QUICK, "--runs", 1, "--test-limit", 40, "--model", "fcn-small",
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
    write_untrainable()
    assert "and all of them: all" in refuse("study", "al", "--data", "digits")
    assert "there is no model 'x'" in refuse("study", "all", "--data", "digits", "--model", "x")
    assert "digits has 355 test points; 400 were asked for" in refuse("study", "all", "--data", "digits", "--test-limit", 400)
    assert "have no labels" in refuse("study", "all", "--data", "bare.npz")
    assert "of class 4" in refuse("study", "all", "--data", "fours.npz")
    assert "too small" in refuse("study", "all", "--data", "tiny.npz", "--model", "conv")
    assert not Path("results").exists()

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tropica.studies.training.runs.train", interrupted)
    result = run("study", "all", "--data", "digits", *QUICK)
    assert result.exit_code == 130
    assert "stopped: 0 runs are complete in results/all; the same command resumes" in result.stderr
