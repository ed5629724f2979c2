"""The arguments and options that commands share."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import torch
import typer

from tropica.errors import InputError

MODEL_HELP = (
    "A torch.export archive (model.pt2), your own code (package.module:factory, looked up from this folder too), or "
    "tropica:NAME for a network of tropica.studies.networks with --weights. Files that would have to be unpickled are refused."
)
DATA_HELP = "digits, mnist1d, a file *.npz, *.npy or *.parquet, a folder of images with a subfolder a class, or openml:NAME."


class Split(StrEnum):
    """Which points of a data set."""

    train = "train"
    test = "test"


class Method(StrEnum):
    """How the DC decomposition is chosen."""

    calibrated = "calibrated"
    minimal = "minimal"
    paper = "paper"


class Dtype(StrEnum):
    """What to compute in."""

    float32 = "float32"
    float64 = "float64"

    @property
    def torch(self) -> torch.dtype:
        """The dtype itself."""
        return getattr(torch, self.value)


class StoreDtype(StrEnum):
    """What to keep coefficients in."""

    bfloat16 = "bfloat16"
    float32 = "float32"
    float64 = "float64"

    @property
    def torch(self) -> torch.dtype:
        """The dtype itself."""
        return getattr(torch, self.value)


class Device(StrEnum):
    """Where to compute."""

    cpu = "cpu"
    cuda = "cuda"

    @property
    def torch(self) -> str:
        """The device of this process: of several on a machine each has its own GPU.

        Raises InputError where there is none.
        """
        if self is Device.cpu:
            return "cpu"
        here = int(os.environ.get("LOCAL_RANK", "0"))
        if here >= torch.cuda.device_count():
            raise InputError(f"--device cuda: torch sees {torch.cuda.device_count()} GPUs here, and number {here} is wanted")
        torch.cuda.set_device(here)
        return f"cuda:{here}"


Model = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP, show_default=False)]
Weights = Annotated[
    Optional[Path],  # noqa: UP045  (older typers read no other form)
    typer.Option("--weights", metavar="FILE", help="Weights for the model: a safetensors file.", show_default=False),
]
Args = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--arg", metavar="KEY=VALUE", help="An argument for the factory; may be repeated.", show_default=False),
]
Data = Annotated[str, typer.Option("--data", metavar="SPEC", help=DATA_HELP, show_default=False)]
DataSplit = Annotated[Split, typer.Option("--split", help="Which of the data's points.")]
Limit = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--limit", metavar="N", min=1, help="At most so many points, the first ones.", show_default=False),
]
HowSplit = Annotated[
    Method,
    typer.Option(
        "--method",
        help="calibrated: from the data's own cotangents; minimal: that, scaled down as far as Theorem 3.3 holds between all "
        "pairs of points; paper: from the weights alone (Algorithm 3.1 of TropEx).",
    ),
]
Precision = Annotated[
    Optional[Dtype],  # noqa: UP045
    typer.Option("--dtype", help="What to compute in; the model's own by default.", show_default=False),
]
Memory = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="Memory to work in, such as 2GB; by default a quarter of what is free.",
        show_default=False,
    ),
]
Where = Annotated[Device, typer.Option("--device", help="Where to compute.")]
Json = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--json", metavar="FILE", help="Write all numbers to this file too.", show_default=False),
]
