"""N^(X) of one decomposition: its terms from a store, or extracted, and what it gives the test points."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tropica as tp
from tropica.app.inputs import METHODS, Inputs
from tropica.app.jobs import Report
from tropica.app.tables import Columns, FeatureTable

TERMS = 5
"""Terms that are shown of a point: the active one and the runners-up."""
MOST_BYTES = 2**30
"""Terms of more bytes go to a store, which is read and not loaded."""


@dataclass(frozen=True, eq=False)
class Decided:
    """The extracted function of one decomposition on the test points.

    Attributes:
        terms: the terms.
        f: N^(X).
        net: the network in the terms' dtype.
        table: of each test point the terms ``index``, ``label``, ``value`` (K), the ``values`` of N^(X), ``extracted``,
            ``active`` and ``margin``; in regression ``index`` and ``value`` (outputs, K), ``values``, ``active`` and ``margin``
            (outputs,).
        lines: Python lines that make ``terms`` and ``f``.
        note: what a reader of the terms must know.
    """

    terms: tp.LinearTerms
    f: tp.ExtractedFunction
    net: tp.PiecewiseLinearNetwork
    table: FeatureTable
    lines: str
    note: str


def stores_by_method(stores: tuple[Path, ...]) -> dict[str, Path]:
    """The folder of each method: those of finished stores by what is in them, the others for the first methods left."""
    found: dict[str, Path] = {}
    new = []
    for folder in stores:
        try:
            found[tp.load_terms(folder, check="none").method] = folder
        except (tp.StoreError, OSError):
            new.append(folder)
    left = [method for method in METHODS if method not in found]
    return found | dict(zip(left, new, strict=False))


def make_decided(inputs: Inputs, method: str, folder: Path | None, report: Report) -> Decided:
    """Load the terms of a method, or extract them, and resume a store that is not finished.

    Raises:
        InputError: there is no data, or the terms need a folder.
        StoreError: the folder holds something else.
    """
    if inputs.training is None or inputs.test is None:
        raise tp.InputError("terms are those of data: name it with --data")
    report(0, 0, f"terms ({method})")
    terms, line = _terms(inputs, method, folder, report)
    settings: dict[str, Any] = {"memory": inputs.memory}
    made = "tp.ExtractedFunction(terms)"
    if terms.lossy:
        settings |= {"net": inputs.net, "data": inputs.training}
        made = "tp.ExtractedFunction(terms, net=net, data=training)"
    if bool(terms.num_targets) != inputs.regression:
        of = "a regression: open them with --task regression" if terms.num_targets else "a classification"
        raise tp.InputError(f"the {method} terms are of {of}, the other terms or --task say {inputs.task}")
    if terms.num_points != len(inputs.training):
        raise tp.InputError(f"the terms are of {terms.num_points:,} points, the training data has {len(inputs.training):,}")
    f = tp.ExtractedFunction(terms, **settings)
    k, rows = min(TERMS, terms.num_points), _value_rows if inputs.regression else _rows
    table = FeatureTable(len(inputs.test), lambda numbers: rows(inputs, f, k, numbers), f"N^(X) of the test points ({method})")
    fingerprint = terms.about.get("network", "")
    other = bool(fingerprint) and fingerprint != inputs.net.fingerprint
    note = "These terms are of another network than the one that was opened." if other else ""
    return Decided(terms, f, inputs.net.to(f.source.dtype), table, f"terms = {line}\nf = {made}\n", note)


def _terms(inputs: Inputs, method: str, folder: Path | None, report: Report) -> tuple[tp.LinearTerms, str]:
    settings: dict[str, Any] = {"task": inputs.task, "memory": inputs.memory, "progress": report}
    if folder is None:
        outputs = inputs.net.num_outputs if inputs.regression else 1
        size = len(inputs.training) * outputs * 2 * int(np.prod(inputs.net.input_shape)) * inputs.net.dtype.itemsize
        if size > (inputs.memory or MOST_BYTES):
            raise tp.InputError(
                f"the {method} terms of {len(inputs.training):,} points take {size / 2**30:.1f} GB: give a folder for them, "
                "--terms DIR (it may be repeated), or take fewer points, --limit N"
            )
        terms = tp.extract(inputs.net, inputs.training, method, **settings)
        return terms, f"tp.extract(net, training, {method!r}{', task=' + repr(inputs.task) if inputs.regression else ''})"
    try:
        terms = tp.load_terms(folder)
    except tp.StoreError:  # not there, or not finished: the extraction makes, resumes or refuses it
        terms = tp.extract(inputs.net, inputs.training, method, out=folder, **settings)
    return terms, f"tp.load_terms({str(folder)!r})"


def _rows(inputs: Inputs, f: tp.ExtractedFunction, k: int, numbers: np.ndarray) -> Columns:
    """What N^(X) is at some test points."""
    assert inputs.test is not None
    x = inputs.test.inputs[numbers]
    top, values = f.top_terms(x, k), f(x)
    columns = {"index": top.index, "label": top.label, "value": top.value, "values": values, "margin": f.margin(x)}
    found = {name: column.numpy() for name, column in columns.items()}
    return found | {"extracted": found["label"][:, 0], "active": found["index"][:, 0]}


def _value_rows(inputs: Inputs, f: tp.ExtractedFunction, k: int, numbers: np.ndarray) -> Columns:
    """What N^(X) is at some test points of a regression, for each output."""
    assert inputs.test is not None
    x = inputs.test.inputs[numbers]
    tops = [f.top_terms(x, k, output=output) for output in range(inputs.net.num_outputs)]
    index, value = (np.stack([getattr(top, name).numpy() for top in tops], 1) for name in ("index", "value"))
    margin = value[:, :, 0] - value[:, :, 1] if k > 1 else np.full(value.shape[:2], np.inf)
    return {"index": index, "value": value, "values": f(x).numpy(), "margin": margin, "active": index[:, :, 0]}
