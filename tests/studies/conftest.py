"""Small networks for the studies, trained once for all tests."""

from __future__ import annotations

import dataclasses
from functools import partial

import pytest
import torch

from tropica.studies.case import Case
from tropica.studies.datasets.load import load_data
from tropica.studies.experiments import estimate
from tropica.studies.registry import STUDIES
from tropica.studies.runner import run_study
from tropica.studies.tables import select
from tropica.studies.training.runs import train_run
from tropica.studies.training.settings import TrainSettings

QUICK = TrainSettings(epochs=3, batch_size=25, lr=2e-3)
MODELS = ("fcn-small", "conv-small")
SIZES = estimate.EstimateSizes(max_segments=6, min_segments=2, points=200)


def quick_studies(*names):
    """The studies (all by default), with few samples in the estimates."""
    quick = dataclasses.replace(estimate.STUDY, measure=partial(estimate.measure, sizes=SIZES))
    return {name: quick if name == "estimate" else STUDIES[name] for name in names or STUDIES}


def rows(result, **wanted):
    """The rows of a study with these values, at least one, as dictionaries."""
    found = select(result.results.rows, **wanted).to_dict("records")
    assert found
    return found


@pytest.fixture(scope="session")
def sets():
    """Training and test points."""
    return load_data("digits", limit=150), load_data("digits", split="test", limit=60)


@pytest.fixture(scope="session")
def networks(tmp_path_factory):
    """The folder of the networks of all studies."""
    return tmp_path_factory.mktemp("networks")


def models_of(name):
    """The networks that a study can take."""
    return ("fcn-small",) if name == "figure1" else MODELS


@pytest.fixture(scope="session")
def study(sets, networks, tmp_path_factory):
    """A study by name, run once: its result and its folder."""
    done = {}

    def run(name):
        if name not in done:
            folder = tmp_path_factory.mktemp(name)
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr("tropica.studies.registry.STUDIES", quick_studies())
                result = run_study(name, *sets, folder, models=models_of(name), runs=2, settings=QUICK, networks=networks)
            done[name] = (result, folder)
        return done[name]

    return run


@pytest.fixture(scope="session")
def cases(sets, networks):
    """The cases of the studies, in float64, by model and seed."""
    train, test = sets

    def case(model, seed):
        run = train_run(model, train, networks / model / f"seed-{seed}", QUICK, seed=seed)
        return Case(run, train, test, torch.float64)

    return {(model, seed): case(model, seed) for model in MODELS for seed in (0, 1)}
