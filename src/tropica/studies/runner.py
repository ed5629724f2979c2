"""``run_study`` and ``run_studies``: train and measure the missing runs; write numbers, figures and the report.

OUT/report.html      the self-contained report
OUT/numbers.json     settings, versions, findings and, of a single study, all rows
OUT/rows.csv         the rows (of a single study)
OUT/NAME.png         figures (of a single study)
OUT/networks/        the trained networks, unless they are kept elsewhere
OUT/STUDY/           with several studies: each as ``run_study`` writes it
"""

from __future__ import annotations

import io
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure

from tropica.data.labelled import LabelledData
from tropica.errors import TropicaError
from tropica.plots import style
from tropica.runtime.files import writable_folder, write_file, write_json
from tropica.runtime.progress import ProgressCallback, progress_callback
from tropica.studies import registry
from tropica.studies.case import Case
from tropica.studies.given import GivenNetwork
from tropica.studies.prepare import PreparedStudy, prepare_study
from tropica.studies.report import Section, next_commands, render_report
from tropica.studies.study import Results, Study, StudyData
from tropica.studies.training.settings import TrainSettings

ALL = "all"
"""The name of all studies together on the command line."""


@dataclass(frozen=True, eq=False)
class StudyResult:
    """A finished study.

    Attributes:
        study: the study.
        results: the numbers of all runs.
        files: written files by name.
        seconds: duration of this call.

    >>> import pandas as pd, tropica as tp
    >>> from tropica.studies.study import Results
    >>> rows = pd.DataFrame({"model": ["fcn-small"], "family": ["FCN"], "seed": [0]})
    >>> tp.studies.StudyResult(tp.studies.STUDIES["table2"], Results(rows, {}, {}), {}, seconds=0.5)
    StudyResult('table2', 1 rows, models fcn-small)
    """

    study: Study
    results: Results
    files: dict[str, Path]
    seconds: float

    def to_dataframe(self) -> pd.DataFrame:
        """The rows of all runs, as in ``rows.csv``."""
        return self.results.rows.copy()

    def __repr__(self) -> str:
        return f"StudyResult({self.study.name!r}, {len(self.results.rows):,} rows, models {', '.join(self.results.models)})"

    def _repr_html_(self) -> str:
        return "".join(f"<p>{table.title}</p>{table.frame.to_html()}" for table in self.study.tables(self.results))


@dataclass(frozen=True, eq=False)
class StudiesResult:
    """Several finished studies.

    Attributes:
        done: results by name, in the order of the registry.
        failed: the reason of each failure by name, in one line.
        files: ``report.html`` and ``numbers.json``.
        seconds: duration of this call.

    >>> import tropica as tp
    >>> found = tp.studies.StudiesResult(done={}, failed={"table2": "no network was trained"}, files={}, seconds=0.5)
    >>> found, found.to_dataframe()["failed"].tolist()
    (StudiesResult(failed: table2), ['no network was trained'])
    """

    done: dict[str, StudyResult]
    failed: dict[str, str]
    files: dict[str, Path]
    seconds: float

    def __repr__(self) -> str:
        failed = [f"failed: {', '.join(self.failed)}"] if self.failed else []
        return f"StudiesResult({', '.join([*self.done, *failed])})"

    def to_dataframe(self) -> pd.DataFrame:
        """The summary of each finished study, and the reason of each failed one."""
        summaries = {name: result.study.summarize(result.results) for name, result in self.done.items()}
        return pd.DataFrame({"summary": pd.Series(summaries, dtype=object), "failed": pd.Series(self.failed, dtype=object)})

    def _repr_html_(self) -> str:
        return self.to_dataframe().to_html(na_rep="")


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
    given: GivenNetwork | None = None,
    progress: Any = False,
) -> StudyResult:
    """Run a study, or the runs that are missing in its folder.

    Args:
        name: a key of `tropica.studies.STUDIES`.
        train, test: points with labels.
        out: the folder of the study.
        models: keys of `tropica.studies.networks.MODELS`; by default models that suit the data.
        runs, seed: networks of each model, with seeds ``seed`` … ``seed + runs − 1``.
        settings: the settings of the training; by default the paper's settings for this data.
        terms: the number of training points whose terms are extracted, the first ones; by default all.
        dtype: the dtype of decompositions and terms; deep networks need float64.
        networks: the folder of trained networks, for studies that share them; by default ``out/networks``.
        given: a network of the user's own, measured as it is; then models, runs, seed, settings and networks are not used. Some
            studies need more than a trained network, and say what.
        progress: True for bars, or a function (done, total, message).

    Raises:
        InputError: an unknown study or model (the message lists the known names), data that does not fit, or a folder with
            other runs.

    >>> import tempfile
    >>> from tropica.studies.datasets.load import load_data
    >>> data, quick = load_data("digits", limit=100), TrainSettings(epochs=1, batch_size=50, lr=1e-3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     test = load_data("digits", split="test", limit=50)
    ...     result = run_study("table2", data, test, folder, models=["fcn-small"], runs=1, settings=quick)
    ...     sorted(result.files), result.to_dataframe()["decomposition"].tolist()
    (['numbers.json', 'report.html', 'rows.csv', 'table2.png'], ['paper', 'calibrated', 'minimal'])
    """
    start = time.perf_counter()
    chosen: dict[str, Any] = {
        "models": models,
        "runs": runs,
        "seed": seed,
        "settings": settings,
        "terms": terms,
        "dtype": dtype,
    }
    with progress_callback(progress) as raw:
        report = _by_run(raw) if progress is True and raw else raw
        prepared = prepare_study(name, train, test, out, networks=networks, given=given, report=report, **chosen)
        for done, (model, number) in enumerate(prepared.runs):
            prepared.measure(model, number)
            if report:
                report(done + 1, len(prepared.runs), f"{name}: runs")
    return _finish(prepared, start)


def run_studies(
    train: LabelledData,
    test: LabelledData,
    out: str | os.PathLike[str],
    *,
    studies: Sequence[str] | None = None,
    runs: int = 5,
    networks: str | os.PathLike[str] | None = None,
    title: str = "All experiments of the paper",
    progress: Any = False,
    **settings: Any,
) -> StudiesResult:
    """Run several studies, or the runs that are missing, and write one report.

    Each network goes through all studies before the next one, and the studies share its training, decompositions and terms:
    memory holds the terms of one network. A study that fails, or that does not suit the data or the models, does not stop the
    others: the report names it, and its complete runs are kept.

    Args:
        train, test: points with labels.
        out: the folder; each study has a folder in it.
        studies: keys of `tropica.studies.STUDIES`; by default all.
        runs: networks of each model.
        networks: the folder of trained networks; by default ``out/networks``.
        title: the title of the report.
        progress: True for bars, or a function (done, total, message).
        settings: the other arguments of :func:`run_study`: models, seed, settings, terms, dtype, given. Studies that need more
            than a given network are left out, and the report says what they need.

    Raises:
        InputError: data or settings that do not fit any study, or a folder with other runs; nothing is written before.

    >>> import tempfile
    >>> from tropica.studies.datasets.load import load_data
    >>> from tropica.studies.training.settings import TrainSettings
    >>> digits = load_data("digits", limit=20)
    >>> run_studies(digits, digits, tempfile.gettempdir() + "/none", models=["resnet"], settings=TrainSettings(1, 10, 1e-3))
    Traceback (most recent call last):
    tropica.errors.InputError: there is no model 'resnet'; there are fcn2, fcn4, fcn6, fcn8, wide, conv, narrow, ...
    """
    start = time.perf_counter()
    folder = writable_folder(out)
    shared = folder / "networks" if networks is None else networks
    names = list(registry.STUDIES) if studies is None else [registry.find_study(name).name for name in studies]
    left_out = {}
    if settings.get("given") is not None and studies is None:
        left_out = {name: registry.STUDIES[name].needs for name in names if registry.STUDIES[name].needs}
        names = [name for name in names if name not in left_out]
    with progress_callback(progress) as report:
        prepared: dict[str, PreparedStudy] = {}
        errors: dict[str, TropicaError] = {}
        for name in names:
            chosen = {"runs": runs, "networks": shared, "report": _by_study(name, report), **_settings_of(name, settings)}
            try:
                prepared[name] = prepare_study(name, train, test, folder / name, **chosen)
            except TropicaError as error:
                errors[name] = error
        if not any(registry.STUDIES[name].transform is StudyData for name in prepared):
            raise next(iter(errors.values()))
        for one in prepared.values():
            for run in one.runs:
                one.earlier(*run)  # raises InputError for runs with other settings
        state = _Progress(prepared, failed={name: _on_one_line(error) for name, error in errors.items()})
        networks_of_all = list(dict.fromkeys(run for one in prepared.values() for run in one.runs))
        for number, (model, seed) in enumerate(networks_of_all):
            state.measure(model, seed)
            if report:
                report(number + 1, len(networks_of_all), "all studies: networks")
        for name in prepared:
            state.finish(name)
    numbers = state.numbers()
    sections = [state.section(name) for name in names]
    numbers["left_out"] = left_out
    files = {"numbers.json": write_json(folder / "numbers.json", numbers)}
    trained = networks is None and settings.get("given") is None
    commands = next_commands(numbers["settings"]) if trained else ()
    page = render_report(title, sections, numbers["settings"], commands, left_out)
    files["report.html"] = write_file(folder / "report.html", page)
    return StudiesResult(state.done, state.failed, files, time.perf_counter() - start)


def _settings_of(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings for one study: a study that transforms the data chooses models that suit the transformed data."""
    return settings if registry.STUDIES[name].transform is StudyData else {**settings, "models": ()}


def _by_study(name: str, report: ProgressCallback | None) -> ProgressCallback | None:
    """One progress bar for each study."""
    return (lambda done, total, message: report(done, total, f"study {name}")) if report else None


def _by_run(report: ProgressCallback) -> ProgressCallback:
    """One progress bar for each run: the text after the colon is left out."""
    return lambda done, total, message: report(done, total, message.partition(":")[0])


@dataclass(frozen=True)
class _Progress:
    """The studies that are done or have failed so far."""

    prepared: Mapping[str, PreparedStudy]
    done: dict[str, StudyResult] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def measure(self, model: str, seed: int) -> None:
        """Measure one network in all studies that have not failed."""
        cases: dict[str, Case] = {}
        for name, one in self.prepared.items():
            if name not in self.failed and (model, seed) in one.runs:
                try:
                    one.measure(model, seed, cases)
                except Exception as error:  # the other studies go on after any error, and the report names it
                    self.failed[name] = f"{model}, seed {seed}: {_on_one_line(error)}"

    def finish(self, name: str) -> None:
        """Write the files of a study that measured all networks."""
        if name not in self.failed:
            try:
                result = _finish(self.prepared[name], time.perf_counter())
                result.study.summarize(result.results)
                self.done[name] = result
            except Exception as error:  # as in `measure`
                self.failed[name] = f"tables and figures: {_on_one_line(error)}"

    def section(self, name: str) -> Section:
        """The section of a study in the report."""
        if name in self.failed:
            return Section.of_failure(registry.STUDIES[name], self.failed[name])
        result = self.done[name]
        pictures = {file: path.read_bytes() for file, path in result.files.items() if file.endswith(".png")}
        return Section.of_results(result.study, result.results, pictures)

    def numbers(self) -> dict[str, Any]:
        """The content of ``numbers.json``."""
        first = next(iter(self.prepared.values()))
        studies = {
            name: {
                "seconds": result.results.settings["seconds"],
                "training_seconds": result.results.settings["training_seconds"],
                "summary": result.study.summarize(result.results),
                "findings": result.study.conclusions(result.results),
            }
            for name, result in self.done.items()
        }
        about = {"models": list(first.models), "seeds": list(first.seeds), "versions": _versions(), "study": ALL}
        return {"settings": {**first.settings, **about}, "studies": studies, "failed": self.failed}


def _on_one_line(error: Exception) -> str:
    """The message of an error in one line, with its type where it is not an error of tropica's own."""
    text = " ".join(str(error).split())
    return text if isinstance(error, TropicaError) else f"{type(error).__name__}: {text}"


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("tropica", "torch", "numpy", "matplotlib")}
    return {**packages, "python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}


def _finish(prepared: PreparedStudy, start: float) -> StudyResult:
    """Write numbers, figures and report of all runs; ``start`` is when the call began (``time.perf_counter``)."""
    study, folder = prepared.study, prepared.folder
    rows, results = prepared.results()
    results = Results(results.rows, results.figure_data, {**results.settings, "versions": _versions()})
    numbers = {"settings": results.settings, "findings": study.conclusions(results), "rows": rows}
    csv = pd.DataFrame(rows, dtype=object).to_csv(index=False, lineterminator="\n")
    files = {  # the numbers before the pictures
        "rows.csv": write_file(folder / "rows.csv", csv),
        "numbers.json": write_json(folder / "numbers.json", numbers),
    }
    with style.applied():
        pictures = {f"{name}.png": _png(figure) for name, figure in study.figures(results).items()}
    page = render_report(study.title, [Section.of_results(study, results, pictures)], results.settings)
    files |= {name: write_file(folder / name, content) for name, content in pictures.items()}
    files["report.html"] = write_file(folder / "report.html", page)
    return StudyResult(study, results, files, time.perf_counter() - start)


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150)
    return content.getvalue()
