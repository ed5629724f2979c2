"""The view Decisions: the test points, what decides each of them, and what each training point decides."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import tropica as tp
from tropica.app.decompositions import Decided
from tropica.app.encoding import Query, packed
from tropica.app.inputs import METHODS
from tropica.app.session import NotReady, Session

FILTERS = ("all", "correct", "wrong", "differs", "extracted wrong")
ORDERS = ("number", "margin")
MOST = 500


def points(session: Session, query: Query) -> dict[str, Any]:
    """The test points of a filter, a page of them, in the order of their numbers or of their margins.

    "correct" and "wrong" compare the network with the true label, "differs" the network with N^(X).
    """
    inputs, network = session.inputs, session.labels.column("network", -1)
    method = query.word("method", METHODS, session.first_method)
    by, order = query.word("by", FILTERS, "all"), query.word("order", ORDERS, "number")
    label = query.integer("label", -1, -1, inputs.net.num_classes - 1)
    low, high = query.number_or_none("low"), query.number_or_none("high")
    first, count = query.integer("first", 0), query.integer("count", 60, 1, MOST)
    extracted, margin, active = _known(session, method)
    true = None if inputs.test is None or inputs.test.labels is None else inputs.test.labels.numpy()
    if true is None and by in ("correct", "wrong", "extracted wrong"):
        raise tp.InputError("the data has no labels: nothing is known to be right or wrong")
    chosen = {
        "all": np.ones(len(network), bool),
        "correct": (network == true) & (network >= 0),
        "wrong": (network != true) & (network >= 0),
        "differs": (network != extracted) & (extracted >= 0) & (network >= 0),
        "extracted wrong": (extracted != true) & (extracted >= 0),
    }[by]
    if label >= 0:
        chosen &= (network if true is None else true) == label
    if low is not None:
        chosen &= margin >= low
    if high is not None:
        chosen &= margin <= high
    numbers = np.flatnonzero(chosen)
    if order == "margin":
        numbers = numbers[np.argsort(margin[numbers], kind="stable")]
    page = numbers[first : first + count]
    rows = [
        {
            "point": int(i),
            "true": None if true is None else int(true[i]),
            "network": _or_none(network[i]),
            "extracted": _or_none(extracted[i]),
            "margin": None if np.isnan(margin[i]) else float(margin[i]),
            "active": _or_none(active[i]),
        }
        for i in page
    ]
    known = int((extracted >= 0).sum())
    return {"total": len(numbers), "first": first, "rows": rows, "known": known, "points": len(network)}


def explain(session: Session, query: Query) -> dict[str, Any]:
    """What decides one test point: N, N^(X), the active term and the runners-up, as ``tp.explain`` gives it."""
    inputs, number = session.inputs, query.integer("point")
    x = inputs.points("test", [number])
    method = query.word("method", METHODS, session.first_method)
    decided = session.decided(method)
    row = {name: column[0] for name, column in decided.table.rows([number]).items()}
    near = {name: column[0] for name, column in session.nearest.rows([number]).items()}
    index = row["index"].tolist()
    training = inputs.points("training", [*index, int(near["index"])])
    net, test = decided.net, inputs.test
    own, network = tp.local_terms(net, x)
    kept = decided.terms.select(index).local
    weight, bias = kept.weight.to(own.weight), kept.bias.to(own.bias)
    terms = tp.AffineTerms(weight, bias, kept.input_shape)
    again = tp.AffineTerms(own.weight.expand_as(weight), own.bias.expand_as(bias), own.input_shape)
    apart = torch.linalg.vector_norm((training[:-1] - x).flatten(1).double(), dim=1)
    columns = {
        "term": row["index"],
        "label": row["label"],
        "value": row["value"],
        "behind": row["value"][0] - row["value"],
        "true_label": _labels_of(inputs.training, index),
        "angle": tp.angles(again, terms),
        "coefficient_distance": tp.distances(again, terms),
        "point_distance": apart,
        "is_nearest": [i == int(near["index"]) for i in index],
    }
    true = None if test is None or test.labels is None else int(test.labels[number])
    return {
        "point": number,
        "method": method,
        "true": true,
        "network": int(network[0]),
        "extracted": int(row["extracted"]),
        "margin": row["margin"],
        "logits": inputs.net.scores(x.to(inputs.net.dtype))[0].detach(),
        "values": row["values"],
        "terms": [dict(zip(columns, cells, strict=True)) for cells in zip(*map(_as_list, columns.values()), strict=True)],
        "nearest": {
            "term": int(near["index"]),
            "distance": near["distance"],
            "label": _labels_of(inputs.training, [int(near["index"])])[0],
        },
        "x": packed(x[0].flatten()),
        "training": packed(training.flatten(1)),
        "own": packed(own.weight[0].double()),
        "coefficients": packed(weight.double()),
        "note": decided.note,
        "python": _lines(inputs.lines, decided, number, true is not None, len(index)),
    }


def shared(session: Session, query: Query) -> dict[str, Any]:
    """The shares of activations that a test point has in common with the training points of its terms, by layer (K, layers).

    The shares are those of ``tp.pattern_agreement``.
    On a large network this takes longer than all else of :func:`explain`, and the page asks for it by itself.
    """
    inputs, number = session.inputs, query.integer("point")
    x, decided = inputs.points("test", [number]), session.decided(query.word("method", METHODS, session.first_method))
    training = inputs.points("training", decided.table.rows([number])["index"][0].tolist())
    # exact pieces; those of the test point once, not for each term
    pieces = decided.net.to(torch.float64).active_pieces(torch.cat([x, training]))
    found = [(piece[1:] == piece[:1]).reshape(len(training), node.units).double().mean(1) for node, piece, _ in pieces]
    layers = [node.path or node.name for node in decided.net.nonlinearities]
    return {"layers": layers, "shared": torch.stack(found, 1) if found else torch.zeros(len(training), 0)}


def decides(session: Session, query: Query) -> dict[str, Any]:
    """Every test point that a training point decides, as ``tp.influence`` counts them."""
    inputs, number = session.inputs, query.integer("term")
    inputs.points("training", [number])
    method = query.word("method", METHODS, session.first_method)
    decided = session.decided(method)
    active = decided.table.column("active", -1)
    numbers = np.flatnonzero(active == number)
    network, extracted = session.labels.column("network", -1), decided.table.column("extracted", -1)
    true = None if inputs.test is None or inputs.test.labels is None else inputs.test.labels.numpy()
    rows = [
        {
            "point": int(i),
            "true": None if true is None else int(true[i]),
            "network": _or_none(network[i]),
            "extracted": int(extracted[i]),
        }
        for i in numbers
    ]
    wrong = None if true is None else int((extracted[numbers] != true[numbers]).sum())
    lines = f"{inputs.lines}{decided.lines}found = tp.influence(f, test)\nprint(found.decides[{number}])\n"
    return {
        "term": number,
        "method": method,
        "label": int(decided.terms.select([number]).labels[0]),
        "true": _labels_of(inputs.training, [number])[0],
        "rows": rows,
        "wrong": wrong,
        "known": int(decided.table.known.sum()),
        "points": len(active),
        "python": lines,
    }


def images(session: Session, query: Query) -> dict[str, Any]:
    """Points by their numbers, as they are."""
    which = query.word("of", ("test", "training"), "test")
    found = session.inputs.points(which, query.integers("points", most=MOST))
    return {"points": packed(found.flatten(1), "float32")}


def _known(session: Session, method: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The labels of N^(X), the margins and the active terms as far as they are known: −1, NaN and −1 elsewhere."""
    size = session.labels.size
    try:
        table = session.decided(method).table
    except NotReady:
        return np.full(size, -1), np.full(size, np.nan), np.full(size, -1)
    return table.column("extracted", -1), table.column("margin", np.nan), table.column("active", -1)


def _labels_of(data: Any, numbers: list[int]) -> list[int | None]:
    return [None] * len(numbers) if data.labels is None else [int(data.labels[n]) for n in numbers]


def _as_list(column: Any) -> list[Any]:
    return column.tolist() if hasattr(column, "tolist") else list(column)


def _or_none(label: Any) -> int | None:
    return None if label < 0 else int(label)


def _lines(lines: str, decided: Decided, number: int, labelled: bool, k: int) -> str:
    y = f", test.labels[{number}:{number + 1}]" if labelled else ""
    call = f"tp.explain(net, f, test.inputs[{number}:{number + 1}]{y}, k={k}, data=training)"
    return f"{lines}{decided.lines}found = {call}\nprint(found.to_dataframe())\n"
