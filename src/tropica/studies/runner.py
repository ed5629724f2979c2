"""``run_study``: train what is missing, measure what is missing, write numbers, figures and the report.

OUT/report.html          the report, self-contained
OUT/numbers.json         settings, versions, seeds, and all rows
OUT/rows.csv             the rows
OUT/NAME.png             figures
OUT/runs/MODEL-SEED.json what one run measured; a study that was interrupted goes on with those that are missing
OUT/runs/MODEL-SEED/     parts of a run that is not whole yet, such as its epochs
NETWORKS/MODEL/seed-K/   the networks, OUT/networks by default; studies may share them
"""

from __future__ import annotations

import io
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from tropica.data.labelled import LabelledData
from tropica.errors import DataError, InputError
from tropica.plots import style
from tropica.runtime.files import plain, writable_folder, write_csv, write_file, write_json
from tropica.runtime.progress import ProgressCallback, progress_callback
from tropica.studies.case import Case
from tropica.studies.kept import Parts, kept
from tropica.studies.networks import MODELS, check_model, family
from tropica.studies.page import study_page
from tropica.studies.registry import find_study
from tropica.studies.study import Measured, Results, Row, Study, View
from tropica.studies.training.runs import TrainedRun, fingerprint, train_run
from tropica.studies.training.settings import TrainSettings, check_training_data, paper_settings


@dataclass(frozen=True)
class StudyResult:
    """A finished study: what it is, its numbers, its files by name, and how long this call took."""

    study: Study
    results: Results
    files: dict[str, Path]
    seconds: float


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


def run_study(
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
    progress: Any = False,
) -> StudyResult:
    """Run a study, or what is missing of it.

    Args:
        name: of the study (`tropica.studies.STUDIES`).
        train, test: points with labels.
        out: the folder of the study.
        models: names of `tropica.studies.networks.MODELS`; by default those that suit the data.
        runs, seed: networks of each model, with seeds ``seed`` … ``seed + runs − 1``.
        settings: of the training; the paper's for this data by default.
        terms: take terms of so many training points, the first ones; of all by default.
        dtype: what splits and terms are computed in; deep networks need float64.
        networks: where the trained networks are, for studies that share them.
        progress: True for bars, or a function (done, total, message).

    Raises:
        InputError: an unknown study or model (lists what exists), data that does not fit, or a folder with other runs.

    >>> import tempfile
    >>> from tropica.studies.datasets.load import load_data
    >>> data, quick = load_data("digits", limit=200), TrainSettings(epochs=1, batch_size=50, lr=1e-3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     test = load_data("digits", split="test", limit=50)
    ...     done = run_study("table2", data, test, folder, models=["fcn-small"], runs=1, settings=quick)
    ...     sorted(done.files), [row["decomposition"] for row in done.results.rows]
    (['numbers.json', 'report.html', 'rows.csv', 'table2.png'], ['paper', 'calibrated', 'minimal'])
    """
    start = time.perf_counter()
    with progress_callback(progress) as raw:
        report = _by_run(raw) if progress is True and raw else raw
        plan = Plan.of(name, train, test, out, models, runs, seed, settings, terms, dtype, networks, report)
        for done, (model, number) in enumerate(plan.runs):
            plan.run(model, number)
            if report:
                report(done + 1, len(plan.runs), f"{name}: runs")
    return plan.finish(start)


def _check_sets(train: LabelledData, test: LabelledData) -> int:
    """The number of classes, of training and test points that go together."""
    classes = check_training_data(train)
    if test.labels is None:
        raise DataError(f"{test.name}: the test points have no labels; studies need them")
    if test.input_shape != train.input_shape:
        raise DataError(f"test points of shape {test.input_shape} do not go with training points of shape {train.input_shape}")
    if int(test.labels.max()) >= classes:
        raise DataError(f"{test.name}: a test point has label {int(test.labels.max())}, the training points {classes} classes")
    return classes


def _checked(study: Study, view: View, classes: int, models: Sequence[str], runs: int, terms: int | None) -> LabelledData:
    """The points that terms are taken of, once everything fits; nothing is written or trained before."""
    train = view.train
    if runs < 1:
        raise InputError(f"runs must be 1 or more; found {runs}")
    if terms is not None and not 1 <= terms <= len(train):
        raise InputError(f"terms can be taken of 1 … {len(train):,} training points; {terms:,} were asked for")
    for model in models:
        try:
            check_model(model, train.input_shape, classes)
        except InputError as error:
            if not view.kind or model not in MODELS:
                raise
            raise InputError(f"{study.name} shows networks points of shape {train.input_shape}; {model}: {error}") from error
    if terms is None:
        return train
    assert train.labels is not None
    return replace(train, inputs=train.inputs[:terms], labels=train.labels[:terms])


def _by_run(report: ProgressCallback) -> ProgressCallback:
    """One bar a run, whatever is being done in it: what is said after the colon is left out."""
    return lambda done, total, message: report(done, total, message.partition(":")[0])


@dataclass(frozen=True)
class Plan:
    """A study's runs: what they share, and where they are kept."""

    study: Study
    view: View
    points: LabelledData
    models: tuple[str, ...]
    seeds: range
    settings: TrainSettings
    dtype: torch.dtype
    folder: Path
    networks: Path
    report: ProgressCallback | None

    @classmethod
    def of(
        cls,
        name: str,
        train: LabelledData,
        test: LabelledData,
        out: str | os.PathLike[str],
        models: Sequence[str] = (),
        runs: int = 5,
        seed: int = 0,
        settings: TrainSettings | None = None,
        terms: int | None = None,
        dtype: torch.dtype = torch.float32,
        networks: str | os.PathLike[str] | None = None,
        report: ProgressCallback | None = None,
    ) -> Plan:
        """Check everything, and write and train nothing; arguments and errors as of :func:`run_study`."""
        study = find_study(name)
        folder = writable_folder(out)
        settings = replace(settings or paper_settings(train), activation=study.activation)
        classes = _check_sets(train, test)
        view = study.view(train, test)
        models = tuple(dict.fromkeys(models or default_models(view.train)))
        points = _checked(study, view, classes, models, runs, terms)
        shared = writable_folder(networks) if networks is not None else folder / "networks"
        seeds = range(seed, seed + runs)
        return cls(study, view, points, models, seeds, settings, dtype, folder, shared, report)

    @property
    def runs(self) -> list[tuple[str, int]]:
        """Models and seeds."""
        return [(model, seed) for model in self.models for seed in self.seeds]

    @cached_property
    def about(self) -> dict[str, Any]:
        """What a measured run depends on, beside its model and seed."""
        train, test = self.view.train, self.view.test
        return {
            "study": self.study.name,
            "data": train.name,
            **({"view": self.view.note} if self.view.note else {}),
            "training_points": len(train),
            "terms": len(self.points),
            "test_points": len(test),
            "shape": list(train.input_shape),
            "data_fingerprint": fingerprint(train)[:16],
            "test_fingerprint": fingerprint(test)[:16],
            "training": dict(vars(self.settings)),
            "splits": list(self.study.decompositions),
            "dtype": str(self.dtype).removeprefix("torch."),
            "tropica": version("tropica"),
        }

    def kept(self, model: str, seed: int) -> dict[str, Any] | None:
        """What a run measured before, or None.

        Raises:
            DataError: something else is there.
            InputError: a run with other data or settings is there; the message says what differs.
        """
        return kept(self._file(model, seed), self.about)

    def run(self, model: str, seed: int, cases: dict[str, Case] | None = None) -> dict[str, Any]:
        """One run, measured now or before.

        Args:
            model, seed: which network.
            cases: of this model and seed, by kind: studies that get the same ones share splits and terms.
        """
        before = self.kept(model, seed)
        if before is not None:
            return before
        start = time.perf_counter()
        trained, *others = (self._trained(model, seed + k) for k in range(self.study.networks))
        between = time.perf_counter()
        file = self._file(model, seed)
        parts = Parts(file.with_suffix(""), self.about)
        cases = {} if cases is None else cases
        base = cases.setdefault(self._kind(model), Case(trained, self.points, self.view.test, self.dtype))
        case = base.shared(report=self.report, others=tuple(others), parts=parts)
        found: Measured = self.study.measure(case)
        numbers = {
            "about": self.about,
            "model": model,
            "seed": seed,
            "training_accuracy": trained.history[-1]["accuracy"],
            "training_seconds": between - start,
            "seconds": time.perf_counter() - between,
            "rows": found.rows,
            "extra": found.extra,
        }
        write_json(file, numbers)
        parts.clear()
        return plain(numbers)

    def _trained(self, model: str, seed: int) -> TrainedRun:
        """A network, trained now or before."""
        report = self.report
        step = (lambda done, total, message: report(done, total, f"{model}, seed {seed}: training")) if report else None
        place = self.networks / self._kind(model) / f"seed-{seed}"
        return train_run(model, self.view.train, place, self.settings, seed=seed, progress=step)

    def _kind(self, model: str) -> str:
        """What the folder of such networks is called."""
        activation = self.settings.activation
        return "-".join(filter(None, (model, "" if activation == "relu" else activation, self.view.kind)))

    def finish(self, start: float) -> StudyResult:
        """Numbers, figures and report of all runs; ``start`` is when the call began (``time.perf_counter``)."""
        rows: list[Row] = []
        extra: dict[tuple[str, int], dict[str, Any]] = {}
        seconds = {"seconds": 0.0, "training_seconds": 0.0}
        for model, seed in self.runs:
            found = self.run(model, seed)
            head = {"model": model, "family": family(model), "seed": seed}
            rows += [head | row for row in found["rows"]]
            extra[model, seed] = found["extra"]
            seconds = {key: seconds[key] + found[key] for key in seconds}
        about = {"models": list(self.models), "seeds": list(self.seeds), **seconds, "versions": _versions()}
        results = Results(rows, extra, {**self.about, **about})
        return StudyResult(self.study, results, _write(self.study, results, self.folder), time.perf_counter() - start)

    def _file(self, model: str, seed: int) -> Path:
        return self.folder / "runs" / f"{model}-{seed}.json"


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("tropica", "torch", "numpy", "matplotlib")}
    return {**packages, "python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}


def _write(study: Study, results: Results, folder: Path) -> dict[str, Path]:
    """Numbers, figures and report."""
    with style.applied():
        pictures = {f"{name}.png": _png(figure) for name, figure in study.figures(results).items()}
    columns = list(dict.fromkeys(key for row in results.rows for key in row))
    table = [["" if row.get(key) is None else row[key] for key in columns] for row in results.rows]
    files = {"rows.csv": write_csv(folder / "rows.csv", columns, table)}
    numbers = {"settings": results.settings, "findings": study.findings(results), "rows": results.rows}
    files["numbers.json"] = write_json(folder / "numbers.json", numbers)
    files |= {name: write_file(folder / name, raw) for name, raw in pictures.items()}
    files["report.html"] = write_file(folder / "report.html", study_page(study, results, pictures))
    return files


def _png(figure: Any) -> bytes:
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=150)
    return raw.getvalue()
