"""The demo: Table 2 and Figure 2 of the TropEx paper in small, on the digits that come with scikit-learn."""

from __future__ import annotations

import dataclasses
import os
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from tropica.compare.agreement import agreement
from tropica.data.labelled import LabelledData
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.decompose import decompose
from tropica.decomposition.extract import extract
from tropica.evaluation.function import ExtractedFunction
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import trace
from tropica.runtime.files import writable_folder, write_file, write_json
from tropica.runtime.progress import ProgressCallback, progress_callback
from tropica.studies.datasets.load import load_data
from tropica.studies.demo.figures import figures
from tropica.studies.demo.report import report_page
from tropica.studies.demo.rows import DemoRow, paper_table
from tropica.studies.experiments.deciders import Deciders, deciders
from tropica.studies.experiments.sizes import potential_sizes
from tropica.studies.networks import MODELS, build, train
from tropica.terms.linear_terms import LinearTerms

NETWORKS = {"FCN": "fcn4", "CNN": "conv-small"}
"""The paper's FCN4 (on 64 inputs: 64, 200, 80), and a convolutional network that suits 8 × 8 pixels."""
METHODS = ("calibrated", "paper")
BATCH_SIZE, RATE = 32, 1e-3


@dataclass(frozen=True, eq=False)
class DemoResult:
    """What the demo found, and where it wrote it.

    Attributes:
        rows: a row a network and split, as in the printed table.
        numbers: all numbers, as in ``demo.json``.
        files: name to path: report.html, demo.json, two figures, the networks' weights.
        seconds: the whole run.
    """

    rows: list[DemoRow]
    numbers: dict[str, Any]
    files: dict[str, Path]
    seconds: float

    @property
    def holds(self) -> bool:
        """Do all certificates hold?"""
        return all(row.certificate_holds for row in self.rows)


@dataclass(frozen=True, eq=False)
class _Trained:
    """A network of the demo."""

    name: str
    model: torch.nn.Sequential
    net: PiecewiseLinearNetwork
    training: dict[str, float]


def run_demo(
    out: str | os.PathLike[str], *, epochs: int = 40, seed: int = 0, threads: int = 1, progress: Any = True
) -> DemoResult:
    """Train an FCN and a CNN on the digits, rebuild both from the terms of the training points, and write a report.

    Args:
        out: a folder for ``report.html``, ``demo.json``, ``angle-distance.png``, ``term-images.png`` and the networks'
            weights; files of these names are replaced, each at once and only when all work is done.
        epochs: of training.
        seed: of the weights and of the order of the training points.
        threads: of torch; networks this small train fastest on one, and then give the same weights each time.
        progress: True for bars, or a function (done, total, message).

    Raises:
        InputError: ``out`` cannot be written to, or ``epochs`` is not a positive number.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = run_demo(folder, epochs=1, progress=False)
    >>> [(row.network, row.decomposition, row.certificate_holds) for row in result.rows]
    [('FCN', 'calibrated', True), ('FCN', 'paper', True), ('CNN', 'calibrated', True), ('CNN', 'paper', True)]
    """
    folder, start = writable_folder(out), time.perf_counter()
    data, test = load_data("digits"), load_data("digits", split="test")
    networks: dict[str, _Trained] = {}
    rows: list[DemoRow] = []
    found: dict[tuple[str, str], Deciders] = {}
    with progress_callback(progress) as report, _threads(threads):
        for name in NETWORKS:
            networks[name] = _trained(name, data, epochs, seed, report)
            for method in METHODS:
                row, deciding = _studied(networks[name], method, data, test, report)
                rows.append(row)
                found[name, method] = deciding
    best = {name: found[name, METHODS[0]] for name in NETWORKS}
    pictures = figures(best, data, test)
    numbers = _numbers(rows, found, networks, data, test)
    numbers["settings"] |= {"epochs": epochs, "seed": seed, "threads": threads}
    numbers["seconds"] = time.perf_counter() - start
    contents = {name: safetensors.torch.save(dict(networks[key].model.state_dict())) for key, name in _weight_files().items()}
    contents |= {**pictures, "report.html": report_page(rows, numbers, pictures)}
    files = {name: write_file(folder / name, content) for name, content in contents.items()}
    files["demo.json"] = write_json(folder / "demo.json", numbers)
    return DemoResult(rows, numbers, files, time.perf_counter() - start)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _as_step(report: ProgressCallback | None, step: str) -> Callable[[int, int, str], None]:
    """Reports of any inner work, under the name of one step, so that each step has one bar."""
    return (lambda done, total, message: report(done, total, step)) if report else (lambda done, total, message: None)


def _trained(name: str, data: LabelledData, epochs: int, seed: int, report: ProgressCallback | None) -> _Trained:
    assert data.labels is not None
    start = time.perf_counter()
    model = build(NETWORKS[name], data.input_shape, data.num_classes or 10, seed=seed)
    step = _as_step(report, f"{name}: training")
    history = train(model, data.inputs, data.labels, epochs=epochs, batch_size=BATCH_SIZE, lr=RATE, seed=seed, progress=step)
    last = {key: history[-1][key] for key in ("loss", "accuracy")}
    return _Trained(name, model, trace(model, data.inputs[:2]), {**last, "seconds": time.perf_counter() - start})


def _studied(
    network: _Trained, method: str, data: LabelledData, test: LabelledData, report: ProgressCallback | None
) -> tuple[DemoRow, Deciders]:
    """One network with one split: its terms, its extracted function, its row of the table."""
    step = _as_step(report, f"{network.name}: terms, {method} split")
    clock = [time.perf_counter()]
    made = decompose(network.net, data.inputs, method=method, progress=step)
    clock.append(time.perf_counter())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a certificate that fails: the table says it
        terms = extract(network.net, data.inputs, made, check="warn", progress=step)
    clock.append(time.perf_counter())
    shares = agreement(network.net, ExtractedFunction(terms), test, progress=step)
    clock.append(time.perf_counter())
    seconds = [after - before for before, after in pairwise(clock)]
    row = DemoRow(
        network=network.name,
        model=NETWORKS[network.name],
        decomposition=method,
        **{key: getattr(shares, key) for key in ("network_extracted", "network_true", "extracted_true")},
        test_points=shares.points,
        **_sizes(made, terms, data),
        seconds=dict(zip(("decompose", "extract", "evaluate"), seconds, strict=True)),
    )
    return row, deciders(made, terms, test.inputs, progress=step)


def _sizes(made: DCDecomposition, terms: LinearTerms, data: LabelledData) -> dict[str, Any]:
    """How large the decomposition is on the training points, and its certificate."""
    sizes, certificate = potential_sizes(made, data), terms.certificate
    return {
        "terms": len(terms),
        "largest_k": made.summary().largest,
        "largest_potential": sizes.largest,
        "largest_ratio": sizes.ratio,
        "passes": made.passes,
        "certificate_holds": certificate.holds,
        "smallest_cotangent": certificate.smallest_cotangent,
        "largest_violation": certificate.largest_violation,
        "tolerance": certificate.tolerance,
    }


def _weight_files() -> dict[str, str]:
    return {name: f"{model}.safetensors" for name, model in NETWORKS.items()}


def _numbers(
    rows: list[DemoRow],
    found: dict[tuple[str, str], Deciders],
    networks: dict[str, _Trained],
    data: LabelledData,
    test: LabelledData,
) -> dict[str, Any]:
    """Everything that was measured, as plain numbers."""
    assert test.labels is not None
    points: dict[str, dict[str, Any]] = {name: {} for name in networks}
    for (name, method), one in found.items():
        tensors = {key: getattr(one, key) for key in ("network", "extracted", "winner", "angle", "distance")}
        points[name][method] = {"true": test.labels.tolist(), **{key: t.tolist() for key, t in tensors.items()}}
    return {
        "settings": {
            "data": f"{data.name}: {len(data)} training points, {len(test)} test points of shape {data.input_shape}",
            "optimizer": f"Adam, rate {RATE}, batches of {BATCH_SIZE}",
        },
        "versions": _versions(),
        "networks": {
            name: {
                "model": NETWORKS[name],
                "layers": MODELS[NETWORKS[name]],
                "weights": _weight_files()[name],
                "parameters": sum(p.numel() for p in network.model.parameters()),
                "nonlinearities": len(network.net.nonlinearities),
                "units": sum(nonlinearity.units for nonlinearity in network.net.nonlinearities),
                "training": network.training,
            }
            for name, network in networks.items()
        },
        "rows": [dataclasses.asdict(row) for row in rows],
        "paper": paper_table(),
        "points": points,
    }


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("tropica", "torch", "numpy", "scikit-learn", "matplotlib")}
    return {**packages, "python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
