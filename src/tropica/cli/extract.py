"""``tropica extract``."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from tropica.cli.failures import stopping
from tropica.cli.models import ModelChoice
from tropica.cli.options import (
    Args,
    Data,
    DataSplit,
    Device,
    HowSplit,
    Json,
    Limit,
    Memory,
    Method,
    Model,
    Precision,
    Split,
    StoreDtype,
    Weights,
    Where,
)
from tropica.cli.output import checked, prints, save_json, say_written, shape_text, show_facts
from tropica.decomposition.extract import extract as extract_terms
from tropica.runtime.files import writable_folder
from tropica.runtime.memory import in_bytes, peak_memory, size_text
from tropica.runtime.processes import started_by_torchrun
from tropica.studies.datasets.load import load_data
from tropica.terms.linear_terms import LinearTerms
from tropica.terms.store.store import CALIBRATION, check_folder, done_points


def extract(
    model: Model,
    data: Data,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="DIR", help="The folder for the terms; empty, or one to go on with.", show_default=False
        ),
    ],
    weights: Weights = None,
    arg: Args = None,
    data_split: DataSplit = Split.train,
    limit: Limit = None,
    method: HowSplit = Method.calibrated,
    dtype: Precision = None,
    at: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--at", metavar="NAME", help="Take the terms as functions of this inner layer's output.", show_default=False
        ),
    ] = None,
    store_dtype: Annotated[
        Optional[StoreDtype],  # noqa: UP045
        typer.Option(
            "--store-dtype", help="What to keep coefficients in; as they are computed by default.", show_default=False
        ),
    ] = None,
    memory: Memory = None,
    device: Where = Device.cpu,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Certify Theorem 3.3 on the data.")] = True,
    json: Json = None,
) -> None:
    """Extract the linear terms of every point into a folder; stopped, the same command goes on where it was.

    A certificate that fails is an error (exit code 1): deep networks need --dtype float64. Several processes share the work:
    torchrun --nproc-per-node=N -m tropica extract ...
    """
    checked(json)
    check_folder(writable_folder(out))
    room = None if memory is None else in_bytes(memory)
    start = time.perf_counter()
    points = load_data(data, split=data_split.value, limit=limit, lazy=True)
    net = ModelChoice(model, weights, arg or ()).network(points).to(device.torch)
    with stopping(lambda: _left(out, len(points))):
        terms = extract_terms(
            net,
            points,
            at=at,
            method=method.value,
            dtype=dtype.torch if dtype else None,
            stored_dtype=store_dtype.torch if store_dtype else None,
            out=out,
            check=check,
            memory=room,
            distributed=started_by_torchrun(),
            progress=True,
        )
    if not prints():
        return
    seconds = time.perf_counter() - start
    counts = terms.labels.bincount(minlength=terms.num_classes).tolist()
    show_facts(
        {
            "terms": f"{len(terms):,}, of {shape_text(terms.input_shape)} = {terms.center.numel():,} coefficients, {_dtype(terms)}",
            "labels": ", ".join(f"{label}: {count:,}" for label, count in enumerate(counts)),
            "decomposition": terms.method,
            "certificate": str(terms.certificate).removeprefix("certificate ") if check else "not asked for (--no-check)",
            "seconds": f"{seconds:.1f}",
            "peak memory": size_text(peak_memory()),
        }
    )
    say_written(out)
    save_json(
        json, "extract", _numbers(terms, counts, check) | {"seconds": seconds, "peak_memory": peak_memory(), "folder": str(out)}
    )


def _left(out: Path, points: int) -> str:
    """What an interrupted extraction leaves behind."""
    done = done_points(out)
    if done:
        return f"{done:,} of {points:,} points are in {out}; the same command goes on from there"
    if (out / CALIBRATION).exists():
        return f"the calibration's last pass is in {out}; the same command goes on from there"
    return "no terms were written yet"


def _dtype(terms: LinearTerms) -> str:
    return str(terms.dtype).removeprefix("torch.")


def _numbers(terms: LinearTerms, counts: list[int], check: bool) -> dict[str, Any]:
    return {
        "points": len(terms),
        "shape": list(terms.input_shape),
        "labels": counts,
        "method": terms.method,
        "dtype": _dtype(terms),
        "certificate": {**dataclasses.asdict(terms.certificate), "holds": terms.certificate.holds} if check else None,
        "about": dict(terms.about),
    }
