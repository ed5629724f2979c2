"""Trainings saved by epoch: bitwise those of an uninterrupted training, written atomically, one run per folder."""

from __future__ import annotations

import json

import pytest
import torch

import tropica as tp
from tropica.data.labelled import LabelledData
from tropica.studies.datasets.load import load_data
from tropica.studies.networks import build
from tropica.studies.training.loop import train
from tropica.studies.training.runs import STATE, train_run
from tropica.studies.training.settings import TrainSettings, check_training_data, paper_settings

FOUR = TrainSettings(epochs=4, batch_size=64, lr=2e-3)


@pytest.fixture(scope="module")
def digits():
    return load_data("digits", limit=200)


def weights(run, epoch=None):
    return run.load(epoch).state_dict()


def same(a, b):
    return all(torch.equal(a[key], b[key]) for key in a)


class Enough(Exception):
    pass


def stopped_after(steps, *args, **kwargs):
    """A training that raises an exception after a number of steps."""

    def progress(done, total, message):
        if done == steps:
            raise Enough

    with pytest.raises(Enough):
        train_run(*args, **kwargs, progress=progress)


def test_it_is_the_plain_training(digits, tmp_path):
    run = train_run("conv-small", digits, tmp_path / "a", FOUR, seed=3)
    model = build("conv-small", digits.input_shape, 10, seed=3)
    assert same(weights(run, 0), model.state_dict())
    history = train(model, digits.inputs, digits.labels, epochs=4, batch_size=64, lr=2e-3, seed=3)
    assert same(weights(run), model.state_dict())
    assert run.history == history
    assert run.epochs == [0, 1, 2, 3, 4]
    saved = json.loads((tmp_path / "a" / "training.json").read_text())
    assert (saved["seed"], saved["model"], saved["epochs"]) == (3, "conv-small", 4)


@pytest.mark.parametrize("settings", [FOUR, TrainSettings(epochs=4, batch_size=64, lr=0.1, optimizer="sgd")])
@pytest.mark.parametrize("steps", [1, 4, 6, 13])
def test_an_interrupted_training_goes_on_as_if_it_had_not_stopped(digits, tmp_path, steps, settings):
    whole = train_run("fcn-small", digits, tmp_path / "whole", settings)
    stopped_after(steps, "fcn-small", digits, tmp_path / "parts", settings)
    calls = []
    parts = train_run("fcn-small", digits, tmp_path / "parts", settings, progress=lambda *call: calls.append(call))
    assert calls[0][0] == (steps - 1) // 4 * 4 + 1, "the epochs done are not done again"
    for epoch in whole.epochs:
        assert same(weights(whole, epoch), weights(parts, epoch))
    assert parts.history == whole.history


def test_batch_norm_goes_on_too(digits, tmp_path):
    settings = TrainSettings(epochs=2, batch_size=100, lr=1e-3)
    small = LabelledData(digits.inputs, digits.labels, "digits", 10)
    whole = train_run("conv-batchnorm", small, tmp_path / "whole", settings)
    stopped_after(3, "conv-batchnorm", small, tmp_path / "parts", settings)
    parts = train_run("conv-batchnorm", small, tmp_path / "parts", settings)
    assert same(weights(whole), weights(parts))


def test_a_finished_training_is_not_touched(digits, tmp_path):
    train_run("fcn-small", digits, tmp_path, FOUR)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    run = train_run("fcn-small", digits, tmp_path, FOUR, progress=lambda *_: pytest.fail("it trains again"))
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert [entry["epoch"] for entry in run.history] == [1, 2, 3, 4]


def test_only_some_epochs_are_kept(digits, tmp_path):
    settings = TrainSettings(epochs=5, batch_size=100, lr=1e-3, every=2)
    run = train_run("fcn-small", digits, tmp_path, settings)
    assert run.epochs == [0, 2, 4, 5]
    assert sorted(path.name for path in tmp_path.glob("epoch-*")) == [f"epoch-000{k}.safetensors" for k in (0, 2, 4, 5)]


def test_seeds_and_activations_differ(digits, tmp_path):
    one, other = (train_run("fcn-small", digits, tmp_path / str(seed), FOUR, seed=seed) for seed in (0, 1))
    assert not same(weights(one), weights(other))
    leaky = TrainSettings(epochs=1, batch_size=100, lr=1e-3, activation="leaky")
    run = train_run("fcn-small", digits, tmp_path / "leaky", leaky)
    assert any(isinstance(module, torch.nn.LeakyReLU) for module in run.load().modules())


def test_a_folder_with_another_run_is_refused(digits, tmp_path):
    train_run("fcn-small", digits, tmp_path, FOUR)
    with pytest.raises(tp.InputError, match="holds another run: seed 0 there and 1 here"):
        train_run("fcn-small", digits, tmp_path, FOUR, seed=1)
    other = LabelledData(digits.inputs + 0.5, digits.labels, "digits", 10)
    with pytest.raises(tp.InputError, match="holds another run: other points"):
        train_run("fcn-small", other, tmp_path, FOUR)


def test_a_damaged_state_is_one_clear_error(digits, tmp_path):
    run = train_run("fcn-small", digits, tmp_path, FOUR)
    raw = (tmp_path / STATE).read_bytes()
    (tmp_path / STATE).write_bytes(raw[: len(raw) // 2])
    with pytest.raises(tp.DataError, match="damaged"):
        train_run("fcn-small", digits, tmp_path, FOUR)
    run.weights(2).unlink()
    with pytest.raises(tp.DataError, match="no such file"):
        run.load(2)
    (tmp_path / STATE).write_bytes(run.weights(1).read_bytes())
    with pytest.raises(tp.DataError, match="not the state of a training"):
        train_run("fcn-small", digits, tmp_path, FOUR)


def test_data_that_cannot_be_trained_on(digits, tmp_path):
    with pytest.raises(tp.DataError, match="have no labels"):
        check_training_data(LabelledData(digits.inputs, None, "bare"))
    with pytest.raises(tp.DataError, match="all 200 points are of class 4"):
        check_training_data(LabelledData(digits.inputs, torch.full((200,), 4), "fours", 10))
    with pytest.raises(tp.InputError, match="there is no model 'fcn5'; there are fcn2, fcn4"):
        train_run("fcn5", digits, tmp_path / "x", FOUR)
    with pytest.raises(tp.InputError, match="too small for the model"):
        train_run("conv", LabelledData(torch.zeros(4, 1, 2, 2), torch.arange(4), "tiny", 4), tmp_path / "x", FOUR)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "change",
    [{"epochs": 0}, {"batch_size": 1.5}, {"every": 0}, {"lr": float("nan")}, {"optimizer": "lion"}, {"activation": "gelu"}],
)
def test_settings_that_will_not_do(change):
    with pytest.raises(tp.InputError, match=next(iter(change)).replace("lr", "rate")):
        TrainSettings(**{"epochs": 1, "batch_size": 1, "lr": 0.1, **change})


def test_the_papers_settings():
    color = LabelledData(torch.zeros(2, 3, 32, 32), torch.arange(2), "color", 10)
    assert (paper_settings(color).optimizer, paper_settings(color).epochs) == ("sgd", 50)
    assert paper_settings(load_data("mnist1d")).optimizer == "adam"
