"""``tropica extract``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

import tropica as tp
from tropica.cli import options
from tropica.cli.command import CommandResult, command
from tropica.cli.exit_codes import interruptible
from tropica.cli.output import print_facts, print_written, shape_text, torchrun_rank
from tropica.cli.reading import read_points
from tropica.runtime.files import writable_folder


class Check(StrEnum):
    """The extent to which Theorem 3.3 is checked on the data."""

    none = "none"
    sample = "sample"
    full = "full"


class OnFailure(StrEnum):
    """What a certificate that fails leads to."""

    raise_error = "raise"
    warn = "warn"


CHECK_HELP = "Check Theorem 3.3 on the data: not at all, on a sample, or between all pairs of points."


@command(
    "tropica train fcn-small --data digits --runs 1 --epochs 3",
    "tropica extract networks/fcn-small/seed-0 --data digits --out terms --dtype float64",
)
def extract(
    model: options.Model,
    data: options.Data,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder of the terms: empty, or one to resume.")],
    subset: options.InSubset = options.Subset.train,
    limit: options.Limit = None,
    label: options.Label = None,
    weights: options.Weights = None,
    arg: options.Arg = None,
    decomposition: options.Decomposition = options.Method.calibrated,
    task: options.Task = options.TaskName.classification,
    dtype: options.Dtype = None,
    at: Annotated[str | None, options.optional("--at", "NAME", "Take terms as functions of this inner layer's output.")] = None,
    stored_dtype: Annotated[
        options.StoredDtypeName | None,
        options.optional("--stored-dtype", None, "The dtype of stored coefficients; by default the dtype of the computation."),
    ] = None,
    memory: options.Memory = None,
    device: options.Device = options.DeviceName.cpu,
    check: Annotated[Check, typer.Option("--check", help=CHECK_HELP)] = Check.sample,
    on_failure: Annotated[
        OnFailure, typer.Option("--on-failure", help="A certificate that fails is an error, or a warning.")
    ] = OnFailure.raise_error,
) -> CommandResult | None:
    """Extract the linear terms of every point into a folder. The same command resumes an extraction that was stopped.

    Where too few digits of f(x) are left, the precision rises by itself, and the certificate says so. A certificate that
    fails is an error (exit code 1; with --on-failure warn a warning). Several processes share the work:
    torchrun --nproc-per-node=N -m tropica extract ...
    """
    from tropica.cli.models import load_model
    from tropica.terms.store.writer import check_folder

    check_folder(writable_folder(out))
    points = read_points(data, subset.value, limit=limit, lazy=True, label=label, targets=task.value == "regression")
    net = load_model(model, points, weights, arg).to(device.torch)
    with interruptible(lambda: _kept(out, len(points))):
        terms = tp.extract(
            net,
            points,
            decomposition=decomposition.value,
            at=at,
            task=task.value,
            dtype=dtype.torch if dtype else None,
            stored_dtype=stored_dtype.torch if stored_dtype else None,
            out=out,
            check=check.value,
            on_failure=on_failure.value,
            memory=memory,
            distributed=torchrun_rank() is not None,
            progress=True,
        )
    if torchrun_rank():  # the first process reports
        return None
    numbers = {**_numbers(terms, check), "folder": str(out)}
    return CommandResult(numbers, lambda: _show(terms, numbers, check, out))


def _show(terms: tp.LinearTerms, numbers: dict[str, Any], check: Check, out: Path) -> None:
    labels = ", ".join(f"{label}: {count:,}" for label, count in enumerate(numbers["labels"]))
    coefficients = f"{shape_text(terms.input_shape)} = {terms.center.numel():,} coefficients, {numbers['dtype']}"
    print_facts(
        {
            "terms": f"{len(terms):,}, each with {coefficients}",
            **({"outputs": terms.num_targets} if terms.num_targets else {"labels": labels}),
            "decomposition": terms.method,
            "certificate": "not checked (--check none)" if check is Check.none else str(terms.certificate),
        }
    )
    print_written(out)


def _kept(out: Path, points: int) -> str:
    """A text for an interrupted extraction: the parts that were kept, and how to resume."""
    from tropica.terms.store.manifest import CALIBRATION
    from tropica.terms.store.writer import count_finished_points

    done = count_finished_points(out)
    if done:
        return f"{done:,} of {points:,} points are in {out}; the same command resumes there"
    if (out / CALIBRATION).exists():
        return f"the calibration's last pass is in {out}; the same command resumes there"
    return "no terms were written yet"


def _numbers(terms: tp.LinearTerms, check: Check) -> dict[str, Any]:
    certificate = terms.certificate
    return {
        "points": terms.num_points,
        "task": "regression" if terms.num_targets else "classification",
        "input_shape": list(terms.input_shape),
        "num_classes": terms.num_classes,
        "labels": terms.labels.bincount(minlength=terms.num_classes).tolist(),
        "decomposition": terms.method,
        "dtype": str(terms.dtype).removeprefix("torch."),
        "precision": terms.precision,
        "certificate": None if check is Check.none else certificate.to_dict(),
        "about": dict(terms.about),
    }
