"""``tropica extract``."""

from __future__ import annotations

import dataclasses
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

import tropica as tp
from tropica.cli.exit_codes import interruptible
from tropica.cli.options import (
    ArgOption,
    DataOption,
    DecompositionOption,
    Device,
    DeviceOption,
    DtypeOption,
    JsonOption,
    LimitOption,
    MemoryOption,
    Method,
    ModelArgument,
    Split,
    SplitOption,
    StoredDtype,
    WeightsOption,
)
from tropica.cli.output import (
    check_writable,
    print_facts,
    print_written,
    resources,
    resources_text,
    save_json,
    shape_text,
    torchrun_rank,
)
from tropica.runtime.files import writable_folder


class Check(StrEnum):
    """The extent to which Theorem 3.3 is checked on the data."""

    none = "none"
    sample = "sample"
    full = "full"


def extract(
    model: ModelArgument,
    data: DataOption,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="DIR", help="The folder of the terms: empty, or one to resume.", show_default=False
        ),
    ],
    weights: WeightsOption = None,
    arg: ArgOption = None,
    split: SplitOption = Split.train,
    limit: LimitOption = None,
    decomposition: DecompositionOption = Method.calibrated,
    dtype: DtypeOption = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="NAME", help="Take terms as functions of this inner layer's output.", show_default=False),
    ] = None,
    stored_dtype: Annotated[
        StoredDtype | None,
        typer.Option(
            "--stored-dtype", help="The dtype of stored coefficients; that of the computation by default.", show_default=False
        ),
    ] = None,
    memory: MemoryOption = None,
    device: DeviceOption = Device.cpu,
    check: Annotated[
        Check,
        typer.Option("--check", help="Check Theorem 3.3 on the data: not at all, on a sample, or between all pairs of points."),
    ] = Check.sample,
    json: JsonOption = None,
) -> None:
    """Extract the linear terms of every point into a folder. The same command resumes an extraction that was stopped.

    A certificate that fails is an error (exit code 1): deep networks need --dtype float64. Several processes share the work:
    torchrun --nproc-per-node=N -m tropica extract ...
    """
    from tropica.cli.models import load_model
    from tropica.terms.store.store import check_folder

    check_writable(json)
    check_folder(writable_folder(out))
    start = time.perf_counter()
    points = tp.load_data(data, split=split.value, limit=limit, lazy=True)
    net = load_model(model, points, weights, arg).to(device.torch)
    with interruptible(lambda: _kept(out, len(points))):
        terms = tp.extract(
            net,
            points,
            decomposition=decomposition.value,
            at=at,
            dtype=dtype.torch if dtype else None,
            stored_dtype=stored_dtype.torch if stored_dtype else None,
            out=out,
            check=check.value,
            memory=memory,
            distributed=torchrun_rank() is not None,
            progress=True,
        )
    if torchrun_rank():  # the first process reports
        return
    numbers = {**_numbers(terms, check), **resources(start), "folder": str(out)}
    labels = ", ".join(f"{label}: {count:,}" for label, count in enumerate(numbers["labels"]))
    coefficients = f"{shape_text(terms.input_shape)} = {terms.center.numel():,} coefficients, {numbers['dtype']}"
    print_facts(
        {
            "terms": f"{len(terms):,}, each with {coefficients}",
            "labels": labels,
            "decomposition": terms.method,
            "certificate": "not checked (--check none)" if check is Check.none else str(terms.certificate),
            **resources_text(numbers),
        }
    )
    print_written(out)
    save_json(json, "extract", numbers)


def _kept(out: Path, points: int) -> str:
    """The parts of an interrupted extraction that were kept."""
    from tropica.terms.store.store import CALIBRATION, done_points

    done = done_points(out)
    if done:
        return f"{done:,} of {points:,} points are in {out}; the same command resumes there"
    if (out / CALIBRATION).exists():
        return f"the calibration's last pass is in {out}; the same command resumes there"
    return "no terms were written yet"


def _numbers(terms: tp.LinearTerms, check: Check) -> dict[str, Any]:
    certificate = terms.certificate
    return {
        "points": len(terms),
        "input_shape": list(terms.input_shape),
        "num_classes": terms.num_classes,
        "labels": terms.labels.bincount(minlength=terms.num_classes).tolist(),
        "decomposition": terms.method,
        "dtype": str(terms.dtype).removeprefix("torch."),
        "certificate": None if check is Check.none else {**dataclasses.asdict(certificate), "holds": certificate.holds},
        "about": dict(terms.about),
    }
