"""The arguments and options that commands share."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tropica.errors import InputError

if TYPE_CHECKING:
    import torch

DATA_SETS = {
    "digits": "1,797 images of 8 × 8 pixels, embedded",
    "mnist1d": "signals of 40 numbers, generated",
    "mnist": "mnist.npz in the folder TROPICA_DATA",
    "cifar10": "cifar10-train.parquet and cifar10-test.parquet in the folder TROPICA_DATA",
}
"""The names of data sets, with what they are."""
DATA_HELP = (
    "digits or mnist1d (embedded); mnist or cifar10 (files in the folder that the environment variable TROPICA_DATA names); a "
    "file *.npz, *.npy, *.parquet, *.csv or *.tsv; a folder of images with one subfolder for each class; or openml:NAME."
)
MODEL_SUFFIXES = (".onnx", ".nnet", ".pt2")
MODEL_HELP = (
    "A folder of a training, as tropica train writes it; a file *.onnx, *.nnet or *.pt2; your own code, as "
    "package.module:factory, looked up in the current folder first, or file.py:factory; or tropica:NAME with --weights, for "
    "the networks of tropica train. Files that need unpickling are refused."
)


class Subset(StrEnum):
    """The training points or the test points of a data set."""

    train = "train"
    test = "test"


class Method(StrEnum):
    """The methods of DC decomposition."""

    calibrated = "calibrated"
    minimal = "minimal"
    paper = "paper"


class TaskName(StrEnum):
    """What is asked of a network's outputs."""

    classification = "classification"
    regression = "regression"


METHOD_HELP = (
    "calibrated: from the data's own cotangents; minimal: calibrated, scaled down as far as Theorem 3.3 holds between all "
    "pairs of points; paper: from the weights alone (Algorithm 3.1 of TropEx)."
)


class _AnyDtypeName(StrEnum):
    @property
    def torch(self) -> torch.dtype:
        """The dtype of this name."""
        import torch

        return getattr(torch, self.value)


class DtypeName(_AnyDtypeName):
    """The dtypes of computations."""

    float32 = "float32"
    float64 = "float64"


class StoredDtypeName(_AnyDtypeName):
    """The dtypes of stored coefficients."""

    bfloat16 = "bfloat16"
    float32 = "float32"
    float64 = "float64"


class DeviceName(StrEnum):
    """The kinds of device."""

    cpu = "cpu"
    cuda = "cuda"

    @property
    def torch(self) -> str:
        """The device of this process; each of several processes on a machine has its own GPU.

        Raises:
            InputError: the machine has no such GPU.
        """
        if self is DeviceName.cpu:
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


def optional(name: str, metavar: str | None, help: str, *, short: str = "", **settings: Any) -> Any:  # noqa: A002
    """An option whose default is not shown, because the help text says what happens without it."""
    names = (name, short) if short else (name,)
    return typer.Option(*names, metavar=metavar, help=help, show_default=False, **settings)


def complete_data(incomplete: str) -> list[tuple[str, str]]:
    """The names of data sets that begin so, for the shell."""
    return [(name, about) for name, about in DATA_SETS.items() if name.startswith(incomplete)]


Model = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP, show_default=False)]
Weights = Annotated[
    Path | None, optional("--weights", "FILE", "The model's weights: a safetensors file, or a state dict (.pt, .pth).")
]
Arg = Annotated[list[str] | None, optional("--arg", "KEY=VALUE", "An argument of the factory; may be repeated.")]
Data = Annotated[str, optional("--data", "SPEC", DATA_HELP, autocompletion=complete_data)]
DataIfAny = Annotated[str | None, optional("--data", "SPEC", DATA_HELP, autocompletion=complete_data)]
InSubset = Annotated[Subset, typer.Option("--subset", help="Take the training points or the test points of the data.")]
Limit = Annotated[int | None, optional("--limit", "N", "Take the first N points only.", min=1)]
TrainingLimit = Annotated[int | None, optional("--limit", "N", "Take the first N training points only.", min=1)]
TestLimit = Annotated[int | None, optional("--test-limit", "N", "Take the first N test points only.", min=1)]
LABEL_HELP = "The column of a table, or the array of an archive, that has the labels (label, y, …); '' for none."
Label = Annotated[str | None, optional("--label", "NAME", LABEL_HELP)]
Decomposition = Annotated[Method, typer.Option("--decomposition", help=f"The DC decomposition. {METHOD_HELP}")]
Dtype = Annotated[DtypeName | None, optional("--dtype", None, "The dtype of the computation; the model's own by default.")]
MEMORY_HELP = "The memory to work in, such as 2GB; a quarter of the free memory by default."
Memory = Annotated[int | None, optional("--memory", "SIZE", MEMORY_HELP, parser=_bytes)]
TASK_HELP = "classification: the label of each point counts; regression: every output of every point, and there are no labels."
Task = Annotated[TaskName, typer.Option("--task", help=TASK_HELP)]
Device = Annotated[DeviceName, typer.Option("--device", help="The device to compute on.")]
INPUTS_HELP = "How many numbers a point has, for a model that does not say so and without --data."
Inputs = Annotated[int | None, optional("--inputs", "N", INPUTS_HELP, min=1)]
SEED_HELP = "The seed of random numbers."
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help=SEED_HELP)]
SearchSeconds = Annotated[
    float, typer.Option("--max-seconds", metavar="S", help="Stop a search after about this many seconds.")
]
MaxSeconds = Annotated[float | None, optional("--max-seconds", "S", "Stop after about this many seconds.")]
TERMS_HELP = "A folder of terms, as tropica extract writes it."
Terms = Annotated[str, typer.Argument(metavar="TERMS", help=TERMS_HELP, show_default=False)]
