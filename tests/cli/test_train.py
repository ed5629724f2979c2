"""``tropica train`` writes weights that other commands take, and resumes."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.cli.folder import refuse, run, saved, succeed
from tests.cli.training import QUICK, write_untrainable
from tropica.studies.datasets.load import load_data
from tropica.studies.networks import build

pytestmark = pytest.mark.usefixtures("folder")


def test_train_writes_weights_that_other_commands_take():
    result = succeed("train", "conv-small", "--data", "digits", *QUICK, "--runs", 2, "--seed", 3, "--json", "train.json")
    numbers = saved("train.json")
    assert [one["seed"] for one in numbers["runs"]] == [3, 4]
    weights = numbers["runs"][0]["weights"]
    assert weights == str(Path("networks/conv-small/seed-3/epoch-0001.safetensors"))
    model = build("conv-small", (1, 8, 8))
    model.load_state_dict(safetensors.torch.load_file(weights))
    test = load_data("digits", split="test")
    with torch.no_grad():
        share = float((model(test.inputs).argmax(1) == test.labels).double().mean())
    assert numbers["runs"][0]["test"] == pytest.approx(share)
    line = next(line for line in result.stdout.splitlines() if line.startswith("next: "))
    succeed(*line.removeprefix("next: tropica ").split(), "--limit", 20)
    succeed("train", "conv-small", "--data", "digits", *QUICK, "--runs", 3, "--seed", 3, "--json", "again.json")
    again = saved("again.json")
    assert again["runs"][:2] == numbers["runs"]


def test_train_keeps_some_epochs_and_other_activations():
    succeed("train", "fcn-small", "--data", "mnist1d", "--limit", 60, "--epochs", 5, "--every", 2, "--runs", 1,
         "--activation", "leaky", "--optimizer", "sgd", "--out", "n")  # fmt: skip
    names = sorted(path.name for path in Path("n/fcn-small-leaky/seed-0").iterdir())
    assert names == [f"epoch-000{k}.safetensors" for k in (0, 2, 4, 5)] + ["state.safetensors", "training.json"]
    numbers = saved("n/fcn-small-leaky/seed-0/training.json")
    assert (numbers["optimizer"], numbers["lr"], numbers["batch_size"]) == ("sgd", 0.01, 32)


def test_train_refuses_what_cannot_be_trained():
    write_untrainable()
    assert "there is no model 'fcn5'; there are fcn2, fcn4" in refuse("train", "fcn5", "--data", "digits")
    assert "digits has 1,442 train points; 2,000 were asked for" in refuse("train", "fcn4", "--data", "digits", "--limit", 2000)
    assert "have no labels" in refuse("train", "fcn4", "--data", "bare.npz")
    assert "of class 4; two classes or more are needed" in refuse("train", "fcn4", "--data", "fours.npz")
    assert "below 1,000,000; found 5900000000 at point 59 (is it an identifier?" in refuse("train", "fcn4", "--data", "id.npz")
    assert "too small for the model 'conv'" in refuse("train", "conv", "--data", "tiny.npz")
    assert "learning rate must be a number above 0" in refuse("train", "fcn4", "--data", "digits", "--lr", 0)
    assert "'abacus' is not one of 'cpu', 'cuda'" in refuse("train", "fcn4", "--data", "digits", "--device", "abacus")
    succeed("train", "fcn-small", "--data", "digits", *QUICK, "--runs", 1)
    line = refuse("train", "fcn-small", "--data", "digits", *QUICK, "--runs", 1, "--lr", 0.5)
    assert "holds another run: lr 0.001 there and 0.5 here" in line


def test_ctrl_c_says_how_to_resume(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tropica.studies.training.runs.train", interrupted)
    result = run("train", "fcn-small", "--data", "digits", *QUICK)
    assert result.exit_code == 130
    assert "0 of 5 runs are finished in networks/fcn-small" in result.stderr
