"""``run_all``: every study there is, in one report.

OUT/report.html     all studies, self-contained
OUT/numbers.json    settings, versions, what each study found, how long it took, and what failed
OUT/STUDY/          each study as ``run_study`` writes it; a run that is there is not measured again
OUT/networks/       the networks that all share
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tropica.data.labelled import LabelledData
from tropica.errors import TropicaError
from tropica.runtime.files import writable_folder, write_file, write_json
from tropica.runtime.progress import ProgressCallback, progress_callback
from tropica.studies.all_page import all_page
from tropica.studies.case import Case
from tropica.studies.registry import STUDIES
from tropica.studies.runner import Plan, StudyResult
from tropica.studies.study import View

ALL = "all"
"""What ``tropica study`` takes for all of them."""


@dataclass(frozen=True)
class AllResult:
    """All studies.

    Attributes:
        done: by name, in the order of the registry.
        failed: by name, what went wrong, in one line.
        files: report.html and numbers.json.
        seconds: this call.
    """

    done: dict[str, StudyResult]
    failed: dict[str, str]
    files: dict[str, Path]
    seconds: float


def run_all(
    train: LabelledData,
    test: LabelledData,
    out: str | os.PathLike[str],
    *,
    runs: int = 5,
    networks: str | os.PathLike[str] | None = None,
    progress: Any = False,
    **settings: Any,
) -> AllResult:
    """Run all studies, or what is missing of them, and write one report.

    Network after network goes through all studies, which share its training, splits and terms; so no more than one network's
    terms are in memory. A study that fails, or that these data or models do not suit, does not stop the others: the report
    names it, and the runs that were whole are kept.

    Args:
        train, test: points with labels.
        out: the folder; studies have folders in it.
        runs: networks of each model.
        networks: where the trained networks are, OUT/networks by default.
        progress: True for bars, or a function (done, total, message).
        settings: what else :func:`run_study` takes: models, seed, settings, terms, dtype.

    Raises:
        InputError: data or settings that will not do for any study, or folders with other runs. Before anything is written.

    >>> import tempfile
    >>> from tropica.studies.datasets.load import load_data
    >>> from tropica.studies.training.settings import TrainSettings
    >>> digits = load_data("digits", limit=20)
    >>> run_all(digits, digits, tempfile.gettempdir() + "/nothing", models=["resnet"], settings=TrainSettings(1, 10, 1e-3))
    Traceback (most recent call last):
    tropica.errors.InputError: there is no model 'resnet'; there are fcn2, fcn4, fcn6, fcn8, wide, conv, narrow, ...
    """
    start = time.perf_counter()
    folder = writable_folder(out)
    shared = folder / "networks" if networks is None else networks
    with progress_callback(progress) as report:
        plans: dict[str, Plan] = {}
        unfit: dict[str, TropicaError] = {}
        for name in STUDIES:
            given = {"runs": runs, "networks": shared, "report": _named(name, report), **_own(name, settings)}
            try:
                plans[name] = Plan.of(name, train, test, folder / name, **given)
            except TropicaError as error:
                unfit[name] = error
        if not any(STUDIES[name].view is View for name in plans):  # the others choose their own networks
            raise next(iter(unfit.values()))
        for plan in plans.values():
            for run in plan.runs:
                plan.kept(*run)  # refuses what is of something else
        state = _State(plans, failed={name: _line(error) for name, error in unfit.items()})
        all_runs = list(dict.fromkeys(run for plan in plans.values() for run in plan.runs))
        for number, (model, seed) in enumerate(all_runs):
            state.measure(model, seed)
            if report:
                report(number + 1, len(all_runs), "all studies: networks")
        for name in plans:
            state.write(name)
    facts = state.facts()
    files = {
        "report.html": write_file(folder / "report.html", all_page(state.done, state.failed, facts)),
        "numbers.json": write_json(folder / "numbers.json", facts),
    }
    return AllResult(state.done, state.failed, files, time.perf_counter() - start)


def _own(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings for one study: those that show the data in another way choose networks that suit it."""
    return settings if STUDIES[name].view is View else {**settings, "models": ()}


def _named(name: str, report: ProgressCallback | None) -> ProgressCallback | None:
    """One bar a study, whatever is being done in it."""
    return (lambda done, total, message: report(done, total, f"study {name}")) if report else None


@dataclass
class _State:
    """What is done of all studies, and what failed."""

    plans: Mapping[str, Plan]
    done: dict[str, StudyResult] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def measure(self, model: str, seed: int) -> None:
        """One network in all studies that have not failed."""
        cases: dict[str, Case] = {}
        for name, plan in self.plans.items():
            if name not in self.failed and (model, seed) in plan.runs:
                try:
                    plan.run(model, seed, cases)
                except Exception as error:  # whatever it is, the other studies go on, and the report names it
                    self.failed[name] = f"{model}, seed {seed}: {_line(error)}"

    def write(self, name: str) -> None:
        """The files of a study that all networks went through."""
        if name not in self.failed:
            try:
                found = self.plans[name].finish(time.perf_counter())
                found.study.in_short(found.results)
                self.done[name] = found
            except Exception as error:  # as above
                self.failed[name] = f"tables and figures: {_line(error)}"

    def facts(self) -> dict[str, Any]:
        """What the JSON file says."""
        one = next(iter(self.plans.values()))
        studies = {
            name: {
                "seconds": result.results.settings["seconds"],
                "training_seconds": result.results.settings["training_seconds"],
                "summary": result.study.in_short(result.results),
                "findings": result.study.findings(result.results),
            }
            for name, result in self.done.items()
        }
        versions = next((result.results.settings["versions"] for result in self.done.values()), {})
        settings = {**one.about, "models": list(one.models), "seeds": list(one.seeds), "versions": versions}
        return {"settings": {**settings, "study": ALL}, "studies": studies, "failed": self.failed}


def _line(error: Exception) -> str:
    """What went wrong, in one line; its kind too where it is not an error of tropica's own."""
    text = " ".join(str(error).split())
    return text if isinstance(error, TropicaError) else f"{type(error).__name__}: {text}"
