"""The view Comparison: how often N^(X) agrees, by decomposition and by layer; how far its terms are from the network's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import tropica as tp
from tropica.app.encoding import AddressQuery
from tropica.app.inputs import METHODS
from tropica.app.jobs import Report
from tropica.app.session import WAIT, NotReady, Session

MOST_POINTS = 2_000
"""Test points of the scatter, and those that the layers are compared on."""


def agreement(session: Session, query: AddressQuery) -> dict[str, Any]:
    """Agreement and accuracy of each decomposition that is ready, as ``tp.agreement`` gives them; in regression errors."""
    if session.inputs.regression:
        return _errors(session)
    inputs, network = session.inputs, session.labels.column("network", -1)
    assert inputs.test is not None
    true = None if inputs.test.labels is None else inputs.test.labels.numpy()
    found = []
    for method in METHODS:
        if not session.is_ready(method):
            continue
        table = session.decided(method).table
        extracted, known = table.column("extracted", -1), table.known
        points = int(known.sum())
        shares = {"network_extracted": _share(network[known] == extracted[known])}
        if true is not None:
            shares |= {"extracted_true": _share(extracted[known] == true[known])}
        margin = float(np.median(table.column("margin", np.nan)[known])) if points else None
        found.append({"method": method, "points": points, "margin": margin, **shares})
    accuracy = None if true is None else _share(network == true)
    python = (
        f"{inputs.lines}for method in {METHODS!r}:\n    f = tp.ExtractedFunction(tp.extract(net, training, method))\n"
        "    print(method, tp.agreement(net, f, test))\n"
    )
    return {"rows": found, "network_true": accuracy, "python": python}


def _errors(session: Session) -> dict[str, Any]:
    """Errors of N^(X) against N by decomposition and output, as ``tp.regression_agreement`` gives them."""
    inputs, network = session.inputs, session.labels
    found = []
    for method in filter(session.is_ready, METHODS):
        table = session.decided(method).table
        numbers = np.flatnonzero(table.known & network.known)
        if not len(numbers):
            continue
        given, values = network.rows(numbers)["network"].astype(np.float64), table.rows(numbers)["values"]
        for output in range(inputs.net.num_outputs):
            apart, spread = values[:, output] - given[:, output], given[:, output] - given[:, output].mean()
            errors = {"mean_absolute": np.abs(apart).mean(), "largest": np.abs(apart).max()}
            r2 = 1 - (apart**2).sum() / (spread**2).sum() if spread.any() else None
            found.append({"method": method, "output": output, "points": len(numbers), "r2": r2, **errors})
    python = (
        f"{inputs.lines}for method in {METHODS!r}:\n"
        "    f = tp.ExtractedFunction(tp.extract(net, training, method, task='regression'))\n"
        "    print(method, tp.regression_agreement(net, f, test.inputs))\n"
    )
    return {"rows": found, "network_true": None, "python": python}


def scatter(session: Session, query: AddressQuery) -> dict[str, Any]:
    """For test points: angle and distance between the coefficients of N there and those of the active term."""
    inputs = session.inputs
    decided = session.decided(query.word("method", METHODS, session.first_method))
    output = query.integer("output", 0, 0, inputs.net.num_outputs - 1) if inputs.regression else None
    assert inputs.test is not None
    numbers = np.flatnonzero(decided.table.known)[:MOST_POINTS]
    if not len(numbers):
        raise NotReady("N^(X) of the test points")
    rows = decided.table.rows(numbers)
    own, network = tp.local_terms(decided.net, inputs.test.inputs[numbers])
    if output is not None:
        own = own[output :: inputs.net.num_outputs]
    unique, place = np.unique(rows["active"] if output is None else rows["active"][:, output], return_inverse=True)
    kept = (decided.terms if output is None else decided.terms.of_output(output)).select(unique.tolist()).local
    terms = tp.AffineTerms(kept.weight.to(own.weight), kept.bias.to(own.bias), kept.input_shape)[torch.from_numpy(place)]
    true = inputs.test.labels
    of, which, of_terms = (
        ("", "", "terms")
        if output is None
        else (f"[{output} :: net.num_outputs]", f"[:, {output}]", f"terms.of_output({output})")
    )
    python = (
        f"{inputs.lines}{decided.lines}x = test.inputs[:{len(numbers)}]\n"
        f"own = tp.local_terms(net.to(f.source.dtype), x)[0]{of}\n"
        f"active = {of_terms}.select(f.active_term(x){which}).local\nprint(tp.angles(own, active), tp.distances(own, active))\n"
    )
    return {
        "points": numbers,
        "complete": decided.table.complete or len(numbers) == MOST_POINTS,
        "angle": tp.angles(own, terms),
        "distance": tp.distances(own, terms),
        "same": network.numpy() == rows["extracted"] if output is None else np.ones(len(numbers), bool),
        "right": None if true is None or output is not None else rows["extracted"] == true[numbers].numpy(),
        "python": python,
    }


def layers(session: Session, query: AddressQuery) -> dict[str, Any]:
    """The rows of ``tp.layerwise``, which begins when it is first asked for: accuracy and agreement by merged layers."""
    inputs, method = session.inputs, query.word("method", METHODS, session.first_method)
    if inputs.test is None:
        raise tp.InputError("the model was opened without data")
    if inputs.regression:
        raise tp.InputError("layers are merged for classifications; these are the terms of a regression")
    x, y = inputs.test.inputs[:MOST_POINTS], inputs.test.labels
    y = None if y is None else y[:MOST_POINTS]

    def work(report: Report) -> tp.Layerwise:
        return tp.layerwise(inputs.net, inputs.training, x, y, decomposition=method, memory=inputs.memory, progress=report)

    job = session.job(f"layers ({method})", work)
    job.wait(WAIT)
    if job.state == "failed":
        raise tp.InputError(job.error)
    if job.result is None:
        raise NotReady("{2} {0} of {1}".format(*job.progress))
    rows = [vars(row) for row in job.result.rows]
    labels = "" if y is None else f", test.labels[:{MOST_POINTS}]"
    call = f"tp.layerwise(net, training, test.inputs[:{MOST_POINTS}]{labels}, decomposition={method!r})"
    python = f"{inputs.lines}print({call}.to_dataframe())\n"
    return {"rows": rows, "python": python}


def models(session: Session, query: AddressQuery) -> dict[str, Any]:
    """The numbers of ``tp.compare_models`` for the opened network (a) and another one (b), by the other's place."""
    inputs, method = session.inputs, query.word("method", METHODS, session.first_method)
    number = query.integer("other", 0, 0, max(0, len(inputs.others) - 1))
    if inputs.test is None or not inputs.others:
        raise tp.InputError("there is no other model: name one with --other")
    if inputs.regression:
        raise tp.InputError("models are compared by their labels; these are the terms of a regression")
    (name, other), x, y = inputs.others[number], inputs.test.inputs[:MOST_POINTS], inputs.test.labels
    y = None if y is None else y[:MOST_POINTS]

    def work(report: Report) -> dict[str, float | None]:
        settings = {"decomposition": method, "memory": inputs.memory, "progress": report}
        return tp.compare_models(inputs.net, other, inputs.training, x, y, **settings).numbers

    job = session.job(f"{name} ({method})", work)
    job.wait(WAIT)
    if job.state == "failed":
        raise tp.InputError(job.error)
    if job.result is None:
        raise NotReady("{2} {0} of {1}".format(*job.progress))
    return {"other": name, "numbers": job.result}


def _share(equal: np.ndarray) -> float | None:
    return float(equal.mean()) if len(equal) else None
