"""``tropica evaluate``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import tropica as tp
from tropica.cli import options
from tropica.cli.command import CommandResult, command
from tropica.cli.evaluate_regression import evaluate_regression
from tropica.cli.evaluation_source import EvaluationSource
from tropica.cli.output import print_facts, print_table, torchrun_rank
from tropica.cli.reading import read_points
from tropica.errors import InputError
from tropica.runtime.files import csv_text

if TYPE_CHECKING:
    from tropica.data.batches import Data


class SearchMethod(StrEnum):
    """The ways to find the active term."""

    exact = "exact"
    full = "full"


TERMS_HELP = "A folder of terms; with --streaming a model, as for extract."
TRAIN_HELP = (
    "With --streaming: the data to extract terms from (the training points of --data by default). With --model: the data of "
    "the stored terms."
)
SEARCH_HELP = (
    "exact: maximum inner-product search, which rules out most terms by bounds, where it is faster; full: evaluate all terms. "
    "Both give the same labels."
)


@command(
    "tropica train fcn-small --data digits --runs 1 --epochs 3",
    "tropica extract networks/fcn-small/seed-0 --data digits --out terms",
    "tropica evaluate terms --data digits --subset test --model networks/fcn-small/seed-0 --csv labels.csv",
    csv="Write each point's labels and the index of its active term.",
)
def evaluate(
    terms: Annotated[str, typer.Argument(metavar="TERMS", help=TERMS_HELP, show_default=False)],
    data: options.Data,
    subset: options.InSubset = options.Subset.test,
    limit: options.Limit = None,
    label: options.Label = None,
    train: Annotated[str | None, options.optional("--train", "SPEC", TRAIN_HELP)] = None,
    train_limit: Annotated[
        int | None, options.optional("--train-limit", "N", "With --streaming: extract N terms only.", min=1)
    ] = None,
    model: Annotated[
        str | None, options.optional("--model", "MODEL", f"The network to compare with. {options.MODEL_HELP}")
    ] = None,
    weights: options.Weights = None,
    arg: options.Arg = None,
    streaming: Annotated[
        bool, typer.Option("--streaming", help="Extract the terms during the evaluation; store none.")
    ] = False,
    decomposition: Annotated[
        options.Method | None,
        options.optional(
            "--decomposition", None, "With --streaming: the DC decomposition, as for extract (calibrated by default)."
        ),
    ] = None,
    task: Annotated[
        options.TaskName | None,
        options.optional("--task", None, "With --streaming: classification or regression, as for extract."),
    ] = None,
    targets: Annotated[
        Path | None,
        options.optional("--targets", "FILE", "For a regression: the true values, a row for each point in a .npy file."),
    ] = None,
    dtype: options.Dtype = None,
    memory: options.Memory = None,
    device: options.Device = options.DeviceName.cpu,
    search: Annotated[SearchMethod, typer.Option("--search", help=SEARCH_HELP)] = SearchMethod.exact,
) -> CommandResult | None:
    """Evaluate the extracted function N^(X): how often do its labels, the network's labels and the true labels agree?

    For the terms of a regression: the errors and R² between its values, the network's and the true values (--targets).

    The terms come from a folder; --model adds the network to the comparison. With --streaming the terms are extracted from a
    model and its training data, and are not stored. If terms are stored in a coarser dtype than they were computed in, --model
    with --train gives the labels of the unrounded terms. Several processes share the work:
    torchrun --nproc-per-node=N -m tropica evaluate ...
    """
    from tropica.cli.compared import load_terms
    from tropica.cli.models import load_model
    from tropica.compare.agreement import compare_labels
    from tropica.compare.batched import predicted_labels

    only_streaming = {"--train-limit": train_limit, "--decomposition": decomposition, "--dtype": dtype, "--task": task}
    _check_options(streaming, model, bool(weights or arg), train, only_streaming)
    stored = None if streaming else load_terms(terms, "a model goes with --streaming, or after --model")
    regression = task is options.TaskName.regression if stored is None else bool(stored.num_targets)
    points = read_points(data, subset.value, limit=limit, label=label, targets=regression)
    settings = {"memory": memory, "distributed": torchrun_rank() is not None}
    if stored is None:
        training = read_points(train or data, "train", limit=train_limit, lazy=True, label=label, targets=regression)
        net = load_model(terms, training, weights, arg).to(device.torch)
        settings["task"] = task.value if task else None
        source = _streaming(net, training, points, decomposition or options.Method.calibrated, dtype, settings)
    else:
        net = load_model(model, points, weights, arg) if model else None
        source = _stored(stored, net, points, train, label, settings | {"device": device.torch, "search": search.value})
    if source.function.task == "regression":
        return evaluate_regression(source, net, points, targets)
    if targets is not None:
        raise InputError("--targets goes with the terms of a regression (--task regression)")
    _check_labels(points, source.function.num_classes)
    labels, active = source.function.labels_and_terms(source.inputs, progress=True)
    certain = int(source.function.label_is_certified(source.inputs, progress=True).sum()) if source.rounded else None
    if torchrun_rank():  # the first process reports
        return None
    network = None if net is None else predicted_labels(net, points)
    found = compare_labels(network, labels, points.labels)
    searched = source.function.search_report
    numbers = {
        "points": found.points,
        **found.shares,
        "counts": found.counts,
        "terms": source.terms,
        "active_terms": len(active.unique()),
        "same_network": source.same_network,
        "certain": certain,
        "search": searched.used,
        "search_why": searched.why,
        "search_left": searched.left,
    }

    def table() -> str:
        columns = {"label": labels, "active_term": active, "network": network, "true": points.labels}
        lists = ([""] * len(labels) if column is None else column.tolist() for column in columns.values())
        return csv_text(("point", *columns), list(zip(range(len(labels)), *lists, strict=True)))

    return CommandResult(numbers, lambda: _print(numbers, found, points), csv=table)


def _check_options(
    streaming: bool, model: str | None, weights: bool, train: str | None, only_streaming: Mapping[str, object]
) -> None:
    """Raise InputError for options that would be ignored."""
    if streaming and model:
        raise InputError("with --streaming the model is the first argument; leave out --model")
    given = [name for name, value in only_streaming.items() if value is not None]
    if given and not streaming:
        raise InputError(f"{given[0]} goes with --streaming; stored terms have their own")
    if weights and not (streaming or model):
        raise InputError("--weights and --arg go with --model")
    if train is not None and not (streaming or model):
        raise InputError("--train goes with --streaming, or with --model")


def _streaming(
    net: tp.PiecewiseLinearNetwork,
    training: Data,
    points: tp.LabelledData,
    decomposition: options.Method,
    dtype: options.DtypeName | None,
    settings: dict[str, Any],
) -> EvaluationSource:
    """The function of terms that are extracted during the evaluation."""
    from tropica.data.batches import count_points

    _check_shape(net.input_shape, points)
    function = tp.ExtractedFunction.streaming(
        net, training, decomposition.value, dtype=dtype.torch if dtype else None, progress=True, **settings
    )
    return EvaluationSource(function, points, count_points(training), same_network=True, rounded=False)


def _stored(
    terms: tp.LinearTerms,
    net: tp.PiecewiseLinearNetwork | None,
    points: tp.LabelledData,
    train: str | None,
    label: str | None,
    settings: dict[str, Any],
) -> EvaluationSource:
    """The function of stored terms; with their network and data, rounded terms are computed again where rounding matters."""
    rounded = terms.lossy
    if rounded and net is not None and train is not None:
        targets = bool(terms.num_targets)
        settings |= {"net": net, "data": read_points(train, "train", limit=len(terms), lazy=True, label=label, targets=targets)}
        rounded = False
    function = tp.ExtractedFunction(terms, **settings)
    at, network = terms.about.get("at"), terms.about.get("network")
    if not at:
        _check_shape(terms.input_shape, points)
        return EvaluationSource(function, points, len(terms), net and _for_terms(net, terms).fingerprint == network, rounded)
    if net is None:
        raise InputError(f"these terms are functions of the inner layer {at!r}: give the network as --model")
    from tropica.decomposition.prepare import inner_points
    from tropica.network.batch_size import default_batch_size

    head, tail = net.cut(at)
    _check_shape(net.input_shape, points)
    inner = inner_points(head, points, default_batch_size(head))
    return EvaluationSource(function, inner, len(terms), _for_terms(tail, terms).fingerprint == network, rounded)


def _for_terms(net: tp.PiecewiseLinearNetwork, terms: tp.LinearTerms) -> tp.PiecewiseLinearNetwork:
    """The network for the task of the terms."""
    return net.for_task("regression" if terms.num_targets else "classification")


def _check_shape(shape: tuple[int, ...], points: tp.LabelledData) -> None:
    if points.input_shape != shape:
        raise InputError(f"the terms take points of shape {shape}, {points.name} has points of {points.input_shape}")


def _check_labels(points: tp.LabelledData, num_classes: int) -> None:
    """Raise InputError for labels outside the network's classes: data and network do not fit."""
    if points.labels is not None and int(points.labels.max()) >= num_classes:
        index = int((points.labels >= num_classes).nonzero()[0])
        raise InputError(
            f"{points.name}: labels must lie in 0 … {num_classes - 1}, as the network has {num_classes}; point {index} has "
            f"label {int(points.labels[index])}"
        )


def _print(numbers: dict[str, Any], found: tp.Agreement, points: tp.LabelledData) -> None:
    from tropica.compare.agreement import ANOTHER_NETWORK, COMPARISONS

    counts = found.counts
    rows = [
        [COMPARISONS[name], f"{counts[name]:,}", f"{found.points:,}", f"{share:.2%}"]
        for name, share in found.shares.items()
        if share is not None
    ]
    print_table(f"Equal labels on {points.name}, {points.split}", ["", "equal", "points", "share"], rows, numbers=3)
    facts = {"terms": f"{numbers['terms']:,}, of which {numbers['active_terms']:,} are active at some point"}
    if numbers["certain"] is not None:
        facts["rounding"] = (
            f"the terms are stored in a coarser dtype than they were computed in; {numbers['certain']:,} of "
            f"{numbers['points']:,} labels are proven unaffected by rounding (--model with --train computes the others again)"
        )
    if numbers["search"] == "exact":
        left = ", then ".join(f"{share:.2%}" for share in numbers["search_left"][:-1])
        facts["search"] = f"exact; the first bounds left {left} of the groups of terms"
    else:
        facts["search"] = f"full product ({numbers['search_why']})"
    notes = {
        "no --model: the network's labels are not known": found.network_extracted is None,
        "the data has no labels: the true labels are not known": points.labels is None,
        ANOTHER_NETWORK: numbers["same_network"] is False,
    }
    if any(notes.values()):
        facts["note"] = "; ".join(note for note, applies in notes.items() if applies)
    print_facts(facts)
