"""``tropica trace``."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tropica.cli.models import ModelChoice
from tropica.cli.options import Args, Data, DataSplit, Json, Model, Split, Weights
from tropica.cli.output import checked, save_json, shape_text, show_facts, show_table
from tropica.network.graph import NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork
from tropica.studies.datasets.load import load_data


def trace(
    model: Model,
    data: Data,
    weights: Weights = None,
    arg: Args = None,
    split: DataSplit = Split.train,
    json: Json = None,
) -> None:
    """Show a model as a graph of affine ops and nonlinearities.

    A model that holds anything that is not piecewise linear is refused, and the operation named.
    """
    checked(json)
    points = load_data(data, split=split.value, limit=2)
    net = ModelChoice(model, weights, arg or ()).network(points)
    numbers = described(net)
    nonlinearities = [
        [k["name"], k["path"], k["kind"], shape_text(k["shape"]), f"{k['units']:,}"] for k in numbers["nonlinearities"]
    ]
    show_table(
        "Convex nonlinearities, in forward order",
        ["name", "module", "kind", "shape of a point", "units"],
        nonlinearities,
        numbers=1,
    )
    show_facts(
        {
            "input": f"{shape_text(net.input_shape)}, {numbers['dtype']}",
            "outputs": f"{net.num_outputs} logits, {net.num_classes} labels",
            "dropped": f"a final {net.dropped}" if net.dropped else "nothing",
            "affine ops": _counts(numbers["affine_ops"]),
            "nonlinearities": f"{len(nonlinearities)} with {numbers['units']:,} units: {_counts(Counter(k.op.name for k in net.nonlinearities))}",
        }
    )
    save_json(json, "trace", numbers)


def described(net: PiecewiseLinearNetwork) -> dict[str, Any]:
    """A network in plain numbers and names."""
    affine = (node.origin.op for node in net.graph.nodes if not isinstance(node, NonlinearityNode))
    return {
        "input_shape": list(net.input_shape),
        "outputs": net.num_outputs,
        "labels": net.num_classes,
        "dropped": net.dropped,
        "dtype": str(net.dtype).removeprefix("torch."),
        "fingerprint": net.fingerprint,
        "units": sum(nonlinearity.units for nonlinearity in net.nonlinearities),
        "nonlinearities": [
            {"name": k.name, "path": k.path, "kind": k.op.name, "shape": list(k.unit_shape), "units": k.units}
            for k in net.nonlinearities
        ],
        "affine_ops": dict(Counter(_short(op) for op in affine).most_common()),
    }


def _short(op: str) -> str:
    """An op without namespace and overload.

    >>> _short("aten.linear.default")
    'linear'
    """
    parts = op.split(".")
    return parts[1] if len(parts) > 1 else op or "other"


def _counts(counts: dict[str, int] | Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items()) or "none"
