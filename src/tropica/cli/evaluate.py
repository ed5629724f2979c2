"""``tropica evaluate``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Optional

import torch
import typer
from torch import Tensor

from tropica.cli.models import ModelChoice
from tropica.cli.options import (
    MODEL_HELP,
    Args,
    Data,
    DataSplit,
    Device,
    Dtype,
    Json,
    Limit,
    Memory,
    Method,
    Precision,
    Split,
    Weights,
    Where,
)
from tropica.cli.output import checked, prints, save_json, say_written, show_facts, show_table
from tropica.data.batches import Data as Points
from tropica.data.batches import as_batches
from tropica.data.file_data import FileData
from tropica.data.labelled import LabelledData
from tropica.decomposition.prepare import inner_points
from tropica.errors import InputError
from tropica.evaluation.function import ExtractedFunction
from tropica.network.batch_size import default_batch_size
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime.files import write_csv
from tropica.runtime.memory import in_bytes, peak_memory, size_text
from tropica.runtime.processes import started_by_torchrun
from tropica.studies.datasets.load import load_data
from tropica.terms.store.load import load_terms


class Kind(StrEnum):
    """How labels are found."""

    exact = "exact"
    full = "full"


Source = Annotated[
    str,
    typer.Argument(metavar="TERMS", help="A folder of terms; with --streaming a model, as for extract.", show_default=False),
]
TermsModel = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--model", metavar="MODEL", help=f"The network, to compare with. {MODEL_HELP}", show_default=False),
]
Streaming = Annotated[bool, typer.Option("--streaming", help="Extract the terms on the way and keep none of them.")]
Train = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--train",
        metavar="SPEC",
        help="With --streaming: data to take terms of; else the train points of --data. With --model: the data of the terms.",
        show_default=False,
    ),
]
TrainLimit = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--train-limit", metavar="N", min=1, help="With --streaming: at most so many terms.", show_default=False),
]
StreamMethod = Annotated[
    Optional[Method],  # noqa: UP045
    typer.Option("--method", help="With --streaming: the decomposition (calibrated by default).", show_default=False),
]
SearchKind = Annotated[
    Kind,
    typer.Option("--search", help="exact: rule most terms out by bounds where that pays; full: evaluate all. Same answers."),
]
Csv = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--csv", metavar="FILE", help="Write each point's labels and the training point that decided.", show_default=False
    ),
]


def evaluate(
    terms: Source,
    data: Data,
    data_split: DataSplit = Split.test,
    limit: Limit = None,
    model: TermsModel = None,
    weights: Weights = None,
    arg: Args = None,
    streaming: Streaming = False,
    train: Train = None,
    train_limit: TrainLimit = None,
    method: StreamMethod = None,
    dtype: Precision = None,
    memory: Memory = None,
    device: Where = Device.cpu,
    search: SearchKind = Kind.exact,
    json: Json = None,
    csv: Csv = None,
) -> None:
    """Evaluate the extracted function N^(X): how often do it, the network and the true labels agree?

    From a folder of terms, where --model adds the network to the comparison; or with --streaming from a model and its
    training data, when the terms are too many to keep. Where terms are stored in fewer digits than they were computed in,
    --model and --train give the labels of the terms as computed. Several processes share the work:
    torchrun --nproc-per-node=N -m tropica evaluate ...
    """
    checked(json, csv)
    _check_options(streaming, model, weights, arg, {"--train-limit": train_limit, "--method": method, "--dtype": dtype})
    if train is not None and not (streaming or model):
        raise InputError("--train goes with --streaming, or with --model")
    start = time.perf_counter()
    settings = {"memory": None if memory is None else in_bytes(memory), "distributed": started_by_torchrun()}
    points = load_data(data, split=data_split.value, limit=limit)
    if streaming:
        training = load_data(train or data, split="train", limit=train_limit, lazy=True)
        choice = ModelChoice(terms, weights, arg or ())
        case = _stream(choice, training, points, method or Method.calibrated, dtype, device, settings)
    else:
        choice = ModelChoice(model, weights, arg or ()) if model else None
        case = _stored(Path(terms), choice, points, train, settings | {"device": device.torch, "search": search.value})
    _check_labels(points, case.function.num_classes)
    label, winner = case.function.decide(case.points, progress=True)
    sure = None if case.exact else int(case.function.certain(case.points, progress=True).sum())
    if not prints():
        return
    network = None if case.net is None else _network_labels(case.net, points)
    numbers = _agreement(network, label, points.labels)
    numbers |= {"terms": case.terms, "deciding": len(winner.unique()), "same_network": case.same_network, "certain": sure}
    searched = case.function.searched
    numbers |= {"search": searched.used, "search_why": searched.why, "search_left": searched.left}
    numbers |= {"seconds": time.perf_counter() - start, "peak_memory": peak_memory()}
    _show(numbers, points)
    if csv is not None:
        write_csv(csv, ("point", "label", "winner", "network", "true"), _rows(label, winner, network, points.labels))
        say_written(csv)
    save_json(json, "evaluate", numbers)


@dataclass(frozen=True)
class _Case:
    """An extracted function, the points as it takes them, and the network where there is one."""

    function: ExtractedFunction
    points: Points
    terms: int
    net: PiecewiseLinearNetwork | None = None
    same_network: bool | None = None
    exact: bool = True
    """Are labels those of the terms as they were computed? (Else those of the terms as stored.)"""


def _check_options(
    streaming: bool, model: str | None, weights: Path | None, arg: list[str] | None, only_streaming: dict[str, Any]
) -> None:
    """Refuse options that would be ignored."""
    if streaming and model:
        raise InputError("with --streaming the model is the first argument; leave out --model")
    given = [name for name, value in only_streaming.items() if value is not None]
    if given and not streaming:
        raise InputError(f"{given[0]} goes with --streaming; stored terms have their own")
    if (weights or arg) and not (streaming or model):
        raise InputError("--weights and --arg go with --model")


def _stream(
    choice: ModelChoice,
    training: LabelledData | FileData,
    points: LabelledData,
    method: Method,
    dtype: Dtype | None,
    device: Device,
    settings: dict[str, Any],
) -> _Case:
    net = choice.network(training).to(device.torch)
    _check_shape(net.input_shape, points)
    kind = dtype.torch if dtype else None
    function = ExtractedFunction.streaming(net, training, method=method.value, dtype=kind, progress=True, **settings)
    return _Case(function, points, len(training), net, True)


def _stored(
    folder: Path, choice: ModelChoice | None, points: LabelledData, train: str | None, settings: dict[str, Any]
) -> _Case:
    if folder.is_file() or (not folder.exists() and (":" in str(folder) or folder.suffix)):
        raise InputError(f"{folder}: not a folder of terms; a model goes with --streaming, or after --model")
    terms = load_terms(folder)
    net = choice.network(points) if choice else None
    function, exact = ExtractedFunction(terms, **settings), not terms.lossy
    if train is not None and terms.lossy and net is not None:
        training = load_data(train, split="train", limit=len(terms), lazy=True)
        function, exact = ExtractedFunction(terms, net=net, data=training, **settings), True
    at = terms.about.get("at")
    if at:
        if net is None:
            raise InputError(f"these terms are functions of the inner layer {at!r}: give the network as --model")
        head, tail = net.cut(at)
        _check_shape(net.input_shape, points)
        inner = inner_points(head, points, default_batch_size(head))
        return _Case(function, inner, len(terms), net, tail.fingerprint == terms.about.get("network"), exact)
    _check_shape(terms.input_shape, points)
    same = None if net is None else net.fingerprint == terms.about.get("network")
    return _Case(function, points, len(terms), net, same, exact)


def _check_shape(shape: tuple[int, ...], points: LabelledData) -> None:
    if points.input_shape != shape:
        raise InputError(f"the terms take points of shape {shape}, {points.name} has points of {points.input_shape}")


def _check_labels(points: LabelledData, classes: int) -> None:
    """Labels that the network cannot give would count as wrong, and mean that data and network do not belong together."""
    if points.labels is not None and int(points.labels.max()) >= classes:
        at = int((points.labels >= classes).nonzero()[0])
        raise InputError(
            f"{points.name}: labels must lie in 0 … {classes - 1}, as the network has {classes}; point {at} has label "
            f"{int(points.labels[at])}"
        )


def _network_labels(net: PiecewiseLinearNetwork, points: LabelledData) -> Tensor:
    batches = as_batches(points, default_batch_size(net), dtype=net.dtype, device=net.device, shape=net.input_shape)
    return torch.cat([net.predict(x).cpu() for x in batches])


def _agreement(network: Tensor | None, label: Tensor, truth: Tensor | None) -> dict[str, Any]:
    """Shares and counts of equal labels; None where one of the two is not known."""
    pairs = {"network_extracted": (network, label), "network_true": (network, truth), "extracted_true": (label, truth)}
    counts = {name: None if a is None or b is None else int((a == b).sum()) for name, (a, b) in pairs.items()}
    shares = {name: None if count is None else count / len(label) for name, count in counts.items()}
    return {"points": len(label), **shares, "counts": counts}


def _show(numbers: dict[str, Any], points: LabelledData) -> None:
    names = {
        "network_extracted": "network N = extracted N^(X)",
        "network_true": "network N = true",
        "extracted_true": "extracted N^(X) = true",
    }
    rows = [
        [name, f"{numbers['counts'][key]:,}", f"{numbers['points']:,}", f"{numbers[key]:.2%}"]
        for key, name in names.items()
        if numbers[key] is not None
    ]
    show_table(f"Equal labels on {points.name}, {points.split}", ["", "equal", "points", "share"], rows, numbers=3)
    unknown = {
        "no --model: the network's labels are not known": numbers["network_extracted"] is None,
        "the data has no labels: the true ones are not known": points.labels is None,
        "another network than the one the terms were extracted from": numbers["same_network"] is False,
    }
    facts = {"terms": f"{numbers['terms']:,}, of which {numbers['deciding']:,} decide a point"}
    if numbers["certain"] is not None:
        facts["rounding"] = (
            f"the terms are stored in fewer digits than they were computed in; {numbers['certain']:,} of {numbers['points']:,} "
            "labels cannot have changed by it (--model with --train computes the others again)"
        )
    if numbers["search"] == "exact":
        left = ", then ".join(f"{share:.2%}" for share in numbers["search_left"][:-1])
        facts["search"] = f"exact; the first bounds left {left} of the groups of terms"
    else:
        facts["search"] = f"full product ({numbers['search_why']})"
    facts |= {"seconds": f"{numbers['seconds']:.1f}", "peak memory": size_text(numbers["peak_memory"])}
    show_facts(facts | {"note": "; ".join(text for text, so in unknown.items() if so)} if any(unknown.values()) else facts)


def _rows(label: Tensor, winner: Tensor, network: Tensor | None, truth: Tensor | None) -> list[list[Any]]:
    """A row a point; empty where a label is not known."""
    empty = [""] * len(label)
    columns = [range(len(label)), label.tolist(), winner.tolist()]
    columns += [empty if t is None else t.tolist() for t in (network, truth)]
    return [list(row) for row in zip(*columns, strict=True)]
