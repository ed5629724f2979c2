"""``tropica extract``."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from tropica.cli.failures import stopping
from tropica.cli.models import ModelChoice
from tropica.cli.options import Args, Data, DataSplit, HowSplit, Json, Limit, Method, Model, Precision, Split, Weights
from tropica.cli.output import checked, save_json, say_written, shape_text, show_facts
from tropica.data import load_data
from tropica.errors import StoreError
from tropica.files import writable_folder
from tropica.terms import LinearTerms
from tropica.terms import extract as extract_terms
from tropica.terms.store import MANIFEST, read_manifest


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
    check: Annotated[bool, typer.Option("--check/--no-check", help="Certify Theorem 3.3 on the data.")] = True,
    json: Json = None,
) -> None:
    """Extract the linear terms of every point into a folder; stopped, the same command goes on where it was.

    A certificate that fails is an error (exit code 1): deep networks need --dtype float64.
    """
    checked(json)
    _usable(out)
    start = time.perf_counter()
    points = load_data(data, split=data_split.value, limit=limit)
    net = ModelChoice(model, weights, arg or ()).network(points)
    with stopping(lambda: _left(out, len(points))):
        terms = extract_terms(
            net, points, at=at, method=method.value, dtype=dtype.torch if dtype else None, out=out, check=check, progress=True
        )
    seconds = time.perf_counter() - start
    counts = terms.labels.bincount(minlength=terms.classes).tolist()
    show_facts(
        {
            "terms": f"{len(terms):,}, of {shape_text(terms.shape)} = {terms.centre.numel():,} coefficients, {_dtype(terms)}",
            "labels": ", ".join(f"{label}: {count:,}" for label, count in enumerate(counts)),
            "split": terms.method,
            "certificate": str(terms.certificate).removeprefix("certificate ") if check else "not asked for (--no-check)",
            "seconds": f"{seconds:.1f}",
        }
    )
    say_written(out)
    save_json(json, "extract", _numbers(terms, counts, check) | {"seconds": seconds, "folder": str(out)})


def _usable(out: Path) -> None:
    """Refuse a folder that cannot take the terms before the network is calibrated, not after."""
    if out.exists() and out.is_dir() and not (out / MANIFEST).exists() and any(out.iterdir()):
        others = sorted(p.name for p in out.iterdir() if not p.name.startswith(("shard-", "centre", ".")))
        if others:
            raise StoreError(f"{out}: not empty, and not a store of terms (it holds {others[0]}); give an empty folder")
    if (out / MANIFEST).exists():
        read_manifest(out)
    writable_folder(out)


def _left(out: Path, points: int) -> str:
    """What an interrupted extraction leaves behind."""
    done = 0
    if (out / MANIFEST).exists():
        done = sum(int(shard["points"]) for shard in read_manifest(out)["shards"])
    if not done:
        return "no terms were written yet"
    return f"{done:,} of {points:,} points are in {out}; the same command goes on from there"


def _dtype(terms: LinearTerms) -> str:
    return str(terms.dtype).removeprefix("torch.")


def _numbers(terms: LinearTerms, counts: list[int], check: bool) -> dict[str, Any]:
    return {
        "points": len(terms),
        "shape": list(terms.shape),
        "labels": counts,
        "method": terms.method,
        "dtype": _dtype(terms),
        "certificate": {**dataclasses.asdict(terms.certificate), "holds": terms.certificate.holds} if check else None,
        "about": dict(terms.about),
    }
