"""The view Decisions: the test points, what decides each of them, and what each training point decides."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import tropica as tp
from tropica.app.decompositions import Decided
from tropica.app.encoding import AddressQuery, packed
from tropica.app.inputs import METHODS, Inputs
from tropica.app.session import NotReady, Session

FILTERS = ("all", "correct", "wrong", "differs", "extracted wrong")
ORDERS = ("number", "margin", "difference")
MOST = 500


def points(session: Session, query: AddressQuery) -> dict[str, Any]:
    """The test points of a filter, a page of them, in the order of their numbers or of their margins.

    "correct" and "wrong" compare the network with the true label, "differs" the network with N^(X). In regression the
    rows are of one output.
    """
    if session.inputs.regression:
        return _values(session, query)
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


def explain(session: Session, query: AddressQuery) -> dict[str, Any]:
    """What decides one test point: N, N^(X), the active term and the runners-up, as ``tp.explain`` gives it.

    In regression it is the value of one output that is explained, and "network" and "extracted" are that output.
    """
    inputs, number = session.inputs, query.integer("point")
    x = inputs.points("test", [number])
    method = query.word("method", METHODS, session.first_method)
    decided = session.decided(method)
    output = _output(session, query)
    row = _row(decided, number, output)
    near = {name: column[0] for name, column in session.nearest.rows([number]).items()}
    index = row["index"].tolist()
    training = inputs.points("training", [*index, int(near["index"])])
    net, test = decided.net, inputs.test
    own, network = tp.local_terms(net, x)
    terms = decided.terms if output is None else decided.terms.of_output(output)
    own = own if output is None else own[[output]]
    kept = terms.select(index).local
    weight, bias = kept.weight.to(own.weight), kept.bias.to(own.bias)
    terms = tp.AffineTerms(weight, bias, kept.input_shape)
    again = tp.AffineTerms(own.weight.expand_as(weight), own.bias.expand_as(bias), own.input_shape)
    apart = torch.linalg.vector_norm((training[:-1] - x).flatten(1).double(), dim=1)
    columns = {
        "term": row["index"],
        "label": row["label"],
        "value": row["value"],
        "behind": row["value"][0] - row["value"],
        "true_label": _labels_of(inputs, index),
        "angle": tp.angles(again, terms),
        "coefficient_distance": tp.distances(again, terms),
        "point_distance": apart,
        "is_nearest": [i == int(near["index"]) for i in index],
    }
    true = None if test is None or test.labels is None or output is not None else int(test.labels[number])
    return {
        "point": number,
        "method": method,
        "true": true,
        "network": int(network[0]) if output is None else output,
        "extracted": int(row["extracted"]),
        "margin": row["margin"],
        "logits": inputs.net.scores(x.to(inputs.net.dtype))[0].detach(),
        "values": row["values"],
        "terms": [dict(zip(columns, cells, strict=True)) for cells in zip(*map(_as_list, columns.values()), strict=True)],
        "nearest": {
            "term": int(near["index"]),
            "distance": near["distance"],
            "label": _labels_of(inputs, [int(near["index"])])[0],
        },
        "x": packed(x[0].flatten()),
        "training": packed(training.flatten(1)),
        "own": packed(own.weight[0].double()),
        "coefficients": packed(weight.double()),
        "note": decided.note,
        "python": _lines(inputs.lines, decided, number, true is not None, len(index), output),
    }


def shared(session: Session, query: AddressQuery) -> dict[str, Any]:
    """The shares of activations that a test point has in common with the training points of its terms, by layer (K, layers).

    The shares are those of ``tp.pattern_agreement``.
    On a large network this takes longer than all else of :func:`explain`, and the page asks for it by itself.
    """
    inputs, number = session.inputs, query.integer("point")
    x, decided = inputs.points("test", [number]), session.decided(query.word("method", METHODS, session.first_method))
    training = inputs.points("training", _row(decided, number, _output(session, query))["index"].tolist())
    # exact pieces; those of the test point once, not for each term
    pieces = decided.net.to(torch.float64).active_pieces(torch.cat([x, training]).double())
    found = [(piece[1:] == piece[:1]).reshape(len(training), node.units).double().mean(1) for node, piece, _ in pieces]
    layers = [node.path or node.name for node in decided.net.nonlinearities]
    return {"layers": layers, "shared": torch.stack(found, 1) if found else torch.zeros(len(training), 0)}


def decides(session: Session, query: AddressQuery) -> dict[str, Any]:
    """Every test point that a training point decides, as ``tp.influence`` counts them; in regression at one output."""
    inputs, number = session.inputs, query.integer("term")
    inputs.points("training", [number])
    method = query.word("method", METHODS, session.first_method)
    decided = session.decided(method)
    output = _output(session, query)
    if output is not None:
        return _decides_values(session, decided, method, number, output)
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
        "true": _labels_of(inputs, [number])[0],
        "rows": rows,
        "wrong": wrong,
        "known": int(decided.table.known.sum()),
        "points": len(active),
        "python": lines,
    }


def images(session: Session, query: AddressQuery) -> dict[str, Any]:
    """Points by their numbers, as they are."""
    which = query.word("of", ("test", "training"), "test")
    found = session.inputs.points(which, query.integers("points", most=MOST))
    return {"points": packed(found.flatten(1), "float32")}


def _output(session: Session, query: AddressQuery) -> int | None:
    """In regression the output that is asked for."""
    inputs = session.inputs
    return query.integer("output", 0, 0, inputs.net.num_outputs - 1) if inputs.regression else None


def _row(decided: Decided, number: int, output: int | None) -> dict[str, Any]:
    """The table's columns at one point; in regression those of one output, which stands for the label."""
    row = {name: column[0] for name, column in decided.table.rows([number]).items()}
    if output is None:
        return row
    of_output = {name: row[name][output] for name in ("index", "value", "margin", "active")}
    return row | of_output | {"label": np.full(len(of_output["index"]), output), "extracted": output}


def _values(session: Session, query: AddressQuery) -> dict[str, Any]:
    """The test points of a regression: the values of one output of N and of N^(X), the first ones by an order."""
    inputs, method = session.inputs, query.word("method", METHODS, session.first_method)
    output = query.integer("output", 0, 0, inputs.net.num_outputs - 1)
    order, first, count = query.word("order", ORDERS, "number"), query.integer("first", 0), query.integer("count", 60, 1, MOST)
    low, high = query.number_or_none("low"), query.number_or_none("high")
    network = _of_output(session.labels.column("network", np.nan), output)
    try:
        table = session.decided(method).table
        extracted, margin = (_of_output(table.column(name, np.nan), output) for name in ("values", "margin"))
    except NotReady:
        extracted = margin = np.full(len(network), np.nan)
    difference = np.abs(network - extracted)
    chosen = np.ones(len(network), bool)
    if low is not None:
        chosen &= margin >= low
    if high is not None:
        chosen &= margin <= high
    numbers = np.flatnonzero(chosen)
    keys = {"number": numbers, "margin": margin[numbers], "difference": -difference[numbers]}
    numbers = numbers[np.argsort(keys[order], kind="stable")]
    columns = {"network": network, "extracted": extracted, "margin": margin, "difference": difference}
    rows = [
        {"point": int(i), **{name: None if np.isnan(column[i]) else float(column[i]) for name, column in columns.items()}}
        for i in numbers[first : first + count]
    ]
    known = int((~np.isnan(extracted)).sum())
    return {"total": len(numbers), "first": first, "output": output, "rows": rows, "known": known, "points": len(network)}


def _decides_values(session: Session, decided: Decided, method: str, number: int, output: int) -> dict[str, Any]:
    """The test points of a regression at which a training point's term is the active one of an output."""
    active = _of_output(decided.table.column("active", -1), output)
    numbers = np.flatnonzero(active == number)
    network, extracted = session.labels.column("network", np.nan), decided.table.column("values", np.nan)
    rows = [{"point": int(i), "network": float(network[i, output]), "extracted": float(extracted[i, output])} for i in numbers]
    lines = f"{session.inputs.lines}{decided.lines}active = f.active_term(test.inputs)[:, {output}]\n"
    lines += f"print((active == {number}).sum())\n"
    known = {"known": int(decided.table.known.sum()), "points": len(active)}
    about = {"term": number, "method": method, "label": output, "true": None, "wrong": None}
    return {**about, "rows": rows, **known, "python": lines}


def _of_output(column: np.ndarray, output: int) -> np.ndarray:
    """A column of a regression at one output; as it is while nothing is known of it."""
    return column if column.ndim == 1 else column[:, output]


def _known(session: Session, method: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The labels of N^(X), the margins and the active terms as far as they are known: −1, NaN and −1 elsewhere."""
    size = session.labels.size
    try:
        table = session.decided(method).table
    except NotReady:
        return np.full(size, -1), np.full(size, np.nan), np.full(size, -1)
    return table.column("extracted", -1), table.column("margin", np.nan), table.column("active", -1)


def _labels_of(inputs: Inputs, numbers: list[int]) -> list[int | None]:
    labels = None if inputs.regression else inputs.training.labels
    return [None] * len(numbers) if labels is None else [int(labels[n]) for n in numbers]


def _as_list(column: Any) -> list[Any]:
    return column.tolist() if hasattr(column, "tolist") else list(column)


def _or_none(label: Any) -> int | None:
    return None if label < 0 else int(label)


def _lines(lines: str, decided: Decided, number: int, labelled: bool, k: int, output: int | None) -> str:
    y = f", test.labels[{number}:{number + 1}]" if labelled else ""
    of = "" if output is None else f", output={output}"
    call = f"tp.explain(net, f, test.inputs[{number}:{number + 1}]{y}, k={k}, data=training{of})"
    return f"{lines}{decided.lines}found = {call}\nprint(found.to_dataframe())\n"
