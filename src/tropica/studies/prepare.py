"""``prepare_study``: check the arguments of a study before anything is trained; ``PreparedStudy`` measures its runs.

OUT/runs/MODEL-SEED.json    the measurement of one run; an interrupted study resumes with the missing ones
OUT/runs/MODEL-SEED/        parts of an incomplete run, such as its epochs
NETWORKS/MODEL/seed-K/      the trained networks
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from tropica.data.labelled import LabelledData
from tropica.errors import DataError, InputError
from tropica.runtime.files import plain, writable_folder, write_json
from tropica.runtime.progress import ProgressCallback
from tropica.studies.case import Case, equal_share
from tropica.studies.checkpoints import Checkpoints, read_measurement
from tropica.studies.given import GivenNetwork
from tropica.studies.networks import MODELS, check_model, family
from tropica.studies.registry import find_study
from tropica.studies.study import Results, Row, Study, StudyData
from tropica.studies.training.runs import TrainedRun, fingerprint, train_run
from tropica.studies.training.settings import TrainSettings, check_training_data, paper_settings


def default_models(data: LabelledData) -> tuple[str, ...]:
    """Fully connected and convolutional networks of the paper that suit the data's points.

    >>> from tropica.studies.datasets.load import load_data
    >>> default_models(load_data("mnist1d"))
    ('fcn-small', 'conv-small')
    """
    if len(data.input_shape) == 3 and data.input_shape[0] == 3:
        return "fcn4", "narrow", "conv"
    if len(data.input_shape) == 3 and min(data.input_shape[1:]) >= 28:
        return "fcn4", "fcn6", "conv"
    if len(data.input_shape) == 3 and min(data.input_shape[1:]) >= 4:
        return "fcn4", "conv-small"
    return ("fcn-small", "conv-small") if len(data.input_shape) == 2 and data.input_shape[1] >= 4 else ("fcn-small",)


def prepare_study(
    name: str,
    train: LabelledData,
    test: LabelledData,
    out: str | os.PathLike[str],
    *,
    models: Sequence[str] = (),
    runs: int = 5,
    seed: int = 0,
    settings: TrainSettings | None = None,
    terms: int | None = None,
    dtype: torch.dtype = torch.float32,
    networks: str | os.PathLike[str] | None = None,
    given: GivenNetwork | None = None,
    report: ProgressCallback | None = None,
) -> PreparedStudy:
    """Check all arguments of a study; nothing is written or trained. Arguments and errors are those of ``run_study``."""
    study = find_study(name)
    if given is not None:
        return _prepare_given(study, train, test, out, given, terms, dtype, report)
    folder = writable_folder(out)
    settings = replace(settings or paper_settings(train), activation=study.activation)
    num_classes = _check_labels(train, test)
    data = study.transform(train, test)
    models = tuple(dict.fromkeys(models or default_models(data.train)))
    _check_fit(study, data, num_classes, models, runs, terms)
    shared = writable_folder(networks) if networks is not None else folder / "networks"
    seeds = range(seed, seed + runs)
    return PreparedStudy(study, data, terms or len(data.train), models, seeds, settings, dtype, folder, shared, report)


def _prepare_given(
    study: Study,
    train: LabelledData,
    test: LabelledData,
    out: str | os.PathLike[str],
    given: GivenNetwork,
    terms: int | None,
    dtype: torch.dtype,
    report: ProgressCallback | None,
) -> PreparedStudy:
    """A study of a network of the user's own: one run, without training."""
    if study.needs:
        raise InputError(f"{study.name} needs {study.needs}; {given.name} is one network, as it is")
    num_classes = _check_labels(train, test)
    if given.net.input_shape != train.input_shape:
        raise InputError(f"{given.name} takes points of shape {given.net.input_shape}; {train.name} has {train.input_shape}")
    if num_classes > given.net.num_classes:
        raise InputError(f"{given.name} has {given.net.num_classes} labels; {train.name} has {num_classes} classes")
    if terms is not None and not 1 <= terms <= len(train):
        raise InputError(f"terms must be a number of training points, 1 … {len(train):,}; found {terms:,}")
    folder, data = writable_folder(out), StudyData(train, test)
    number = terms or len(train)
    return PreparedStudy(study, data, number, (given.name,), range(1), None, dtype, folder, folder, report, given)


def _check_labels(train: LabelledData, test: LabelledData) -> int:
    """The number of classes of training and test points with matching shapes and labels."""
    num_classes = check_training_data(train)
    if test.labels is None:
        raise DataError(f"{test.name}: the test points have no labels; studies need them")
    if test.input_shape != train.input_shape:
        raise DataError(f"test points of shape {test.input_shape} do not match training points of shape {train.input_shape}")
    if int(test.labels.max()) >= num_classes:
        label = int(test.labels.max())
        raise DataError(f"{test.name}: a test point has label {label}; the training points have {num_classes} classes")
    return num_classes


def _check_fit(study: Study, data: StudyData, num_classes: int, models: Sequence[str], runs: int, terms: int | None) -> None:
    """Raise InputError where models, runs or terms do not fit the data."""
    shape, points = data.train.input_shape, len(data.train)
    if runs < 1:
        raise InputError(f"runs must be 1 or more; found {runs}")
    if terms is not None and not 1 <= terms <= points:
        raise InputError(f"terms must be a number of training points, 1 … {points:,}; found {terms:,}")
    for model in models:
        try:
            check_model(model, shape, num_classes)
        except InputError as error:
            if not data.suffix or model not in MODELS:
                raise
            raise InputError(f"{study.name} gives networks points of shape {shape}; {model}: {error}") from error


@dataclass(frozen=True)
class PreparedStudy:
    """A study with checked arguments: its runs and their folders."""

    study: Study
    data: StudyData
    num_terms: int
    models: tuple[str, ...]
    seeds: range
    training: TrainSettings | None
    dtype: torch.dtype
    folder: Path
    networks: Path
    report: ProgressCallback | None
    given: GivenNetwork | None = None

    @property
    def runs(self) -> list[tuple[str, int]]:
        """The model and the seed of each run."""
        return [(model, seed) for model in self.models for seed in self.seeds]

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings that a measurement depends on, besides its model and seed."""
        train, test = self.data.train, self.data.test
        return {
            "study": self.study.name,
            "data": train.name,
            **({"transform": self.data.note} if self.data.note else {}),
            "training_points": len(train),
            "terms": self.num_terms,
            "test_points": len(test),
            "shape": list(train.input_shape),
            "data_fingerprint": fingerprint(train)[:16],
            "test_fingerprint": fingerprint(test)[:16],
            "training": {} if self.training is None else self.training.to_dict(),
            **self._given_settings,
            "decompositions": list(self.study.decompositions),
            "dtype": str(self.dtype).removeprefix("torch."),
            "tropica": version("tropica"),
        }

    @property
    def _given_settings(self) -> dict[str, Any]:
        """What identifies a network of the user's own."""
        if self.given is None:
            return {}
        weights = self.given.weights
        return {"network": self.given.net.fingerprint, **({} if weights is None else {"weights": str(weights)})}

    @property
    def points(self) -> LabelledData:
        """The training points that terms are extracted from."""
        train = self.data.train
        assert train.labels is not None
        return replace(train, inputs=train.inputs[: self.num_terms], labels=train.labels[: self.num_terms])

    def earlier(self, model: str, seed: int) -> dict[str, Any] | None:
        """The measurement of a run by an earlier call, or None.

        Raises:
            DataError: the file was not written by a study.
            InputError: the run has other data or settings; the message says what differs.
        """
        return read_measurement(self._file(model, seed), self.settings)

    def measure(self, model: str, seed: int, cases: dict[str, Case] | None = None) -> dict[str, Any]:
        """The measurement of one run, by this or an earlier call.

        Args:
            model, seed: the network.
            cases: the cases of this model and seed, by folder of networks; studies that share this dictionary share networks,
                decompositions and terms.
        """
        earlier = self.earlier(model, seed)
        if earlier is not None:
            return earlier
        start = time.perf_counter()
        trained, *others = [self.given] if self.given else self._trained(model, seed)
        between = time.perf_counter()
        file = self._file(model, seed)
        checkpoints = Checkpoints(file.with_suffix(""), self.settings)
        cases = {} if cases is None else cases
        base = cases.setdefault(self._network_name(model), Case(trained, self.points, self.data.test, self.dtype))
        measurement = self.study.measure(replace(base, report=self.report, other_runs=tuple(others), checkpoints=checkpoints))
        content = {
            "settings": self.settings,
            "model": model,
            "seed": seed,
            "test_accuracy": equal_share(base.network_labels, base.true_labels),
            "training_accuracy": trained.history[-1]["accuracy"] if isinstance(trained, TrainedRun) else None,
            "training_seconds": between - start,
            "seconds": time.perf_counter() - between,
            "rows": measurement.rows,
            "figure_data": measurement.figure_data,
        }
        write_json(file, content)
        checkpoints.clear()
        return plain(content)

    def results(self) -> tuple[list[Row], Results]:
        """The rows of all runs as plain JSON, and the results; runs without a measurement are measured."""
        rows: list[Row] = []
        figure_data: dict[tuple[str, int], dict[str, Any]] = {}
        seconds = {"seconds": 0.0, "training_seconds": 0.0}
        accuracies: dict[str, list[float]] = {}
        for model, seed in self.runs:
            measurement = self.measure(model, seed)
            run = {"model": model, "family": self.given.family if self.given else family(model), "seed": seed}
            rows += [run | row for row in measurement["rows"]]
            figure_data[model, seed] = measurement["figure_data"]
            accuracies.setdefault(model, []).append(measurement["test_accuracy"])
            seconds = {key: seconds[key] + measurement[key] for key in seconds}
        accuracy = {model: sum(found) / len(found) for model, found in accuracies.items()}
        about = {"models": list(self.models), "seeds": list(self.seeds), "test_accuracy": accuracy, **seconds}
        if self.data.test.labels is not None:
            about["largest_class"] = float(self.data.test.labels.bincount().max()) / len(self.data.test)
        return rows, Results(pd.DataFrame(rows), figure_data, {**self.settings, **about})

    def _trained(self, model: str, seed: int) -> list[TrainedRun]:
        """The networks that a run compares."""
        return [self._train(model, seed + k) for k in range(self.study.num_networks)]

    def _train(self, model: str, seed: int) -> TrainedRun:
        """A network, trained by this or an earlier call."""
        assert self.training is not None
        report = self.report
        progress = (lambda done, total, message: report(done, total, f"{model}, seed {seed}: training")) if report else None
        folder = self.networks / self._network_name(model) / f"seed-{seed}"
        return train_run(model, self.data.train, folder, self.training, seed=seed, progress=progress)

    def _network_name(self, model: str) -> str:
        """The name of the folder of a model's networks: with activation and data, where these are not the default."""
        activation = self.training.activation if self.training else "relu"
        return "-".join(filter(None, (model, "" if activation == "relu" else activation, self.data.suffix)))

    def _file(self, model: str, seed: int) -> Path:
        return self.folder / "runs" / f"{self.given.file_name if self.given else model}-{seed}.json"
