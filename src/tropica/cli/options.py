"""The arguments and options that commands share."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tropica.errors import InputError

if TYPE_CHECKING:
    import torch

MODEL_HELP = (
    "A torch.export archive (model.pt2), your own code (package.module:factory, looked up in the current folder first), or "
    "tropica:NAME for a network of tropica.studies.networks with --weights. Files that need unpickling are refused."
)
DATA_HELP = (
    "digits, mnist1d, a file *.npz, *.npy or *.parquet, a folder of images with one subfolder for each class, or openml:NAME."
)


class Split(StrEnum):
    """The training points or the test points of a data set."""

    train = "train"
    test = "test"


class Method(StrEnum):
    """The methods of DC decomposition."""

    calibrated = "calibrated"
    minimal = "minimal"
    paper = "paper"


METHOD_HELP = (
    "calibrated: from the data's own cotangents; minimal: calibrated, scaled down as far as Theorem 3.3 holds between all "
    "pairs of points; paper: from the weights alone (Algorithm 3.1 of TropEx)."
)


class _DtypeName(StrEnum):
    @property
    def torch(self) -> torch.dtype:
        """The dtype of this name."""
        import torch

        return getattr(torch, self.value)


class Dtype(_DtypeName):
    """The dtypes of computations."""

    float32 = "float32"
    float64 = "float64"


class StoredDtype(_DtypeName):
    """The dtypes of stored coefficients."""

    bfloat16 = "bfloat16"
    float32 = "float32"
    float64 = "float64"


class Device(StrEnum):
    """The kinds of device."""

    cpu = "cpu"
    cuda = "cuda"

    @property
    def torch(self) -> str:
        """The device of this process; each of several processes on a machine has its own GPU.

        Raises:
            InputError: the machine has no such GPU.
        """
        if self is Device.cpu:
            return "cpu"
        import torch

        number = int(os.environ.get("LOCAL_RANK", "0"))
        if number >= torch.cuda.device_count():
            raise InputError(f"--device cuda: torch sees {torch.cuda.device_count()} GPUs; this process needs GPU {number}")
        torch.cuda.set_device(number)
        return f"cuda:{number}"


def _bytes(text: str) -> int:
    from tropica.runtime.memory import in_bytes

    return in_bytes(text)


ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP, show_default=False)]
WeightsOption = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", help="A safetensors file with the model's weights.", show_default=False),
]
ArgOption = Annotated[
    list[str] | None,
    typer.Option("--arg", metavar="KEY=VALUE", help="An argument of the factory; may be repeated.", show_default=False),
]
DataOption = Annotated[str, typer.Option("--data", metavar="SPEC", help=DATA_HELP, show_default=False)]
SplitOption = Annotated[Split, typer.Option("--split", help="Take the training points or the test points of the data.")]
LimitOption = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=1, help="Take the first N points only.", show_default=False),
]
DecompositionOption = Annotated[Method, typer.Option("--decomposition", help=f"The DC decomposition. {METHOD_HELP}")]
DtypeOption = Annotated[
    Dtype | None,
    typer.Option("--dtype", help="The dtype of the computation; the model's own by default.", show_default=False),
]
MemoryOption = Annotated[
    int | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        parser=_bytes,
        help="The memory to work in, such as 2GB; a quarter of the free memory by default.",
        show_default=False,
    ),
]
DeviceOption = Annotated[Device, typer.Option("--device", help="The device to compute on.")]
JsonOption = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write all numbers to this file too.", show_default=False),
]
