"""``tropica trace``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import tropica as tp
from tropica.cli import options
from tropica.cli.command import CommandResult, command
from tropica.cli.output import print_facts, print_table, shape_text
from tropica.cli.reading import read_points


@command(
    "tropica train fcn-small --data digits --runs 1 --epochs 3",
    "tropica trace networks/fcn-small/seed-0 --data digits",
)
def trace(
    model: options.Model,
    data: options.Data,
    subset: options.InSubset = options.Subset.train,
    label: options.Label = None,
    weights: options.Weights = None,
    arg: options.Arg = None,
) -> CommandResult:
    """Show a model as a graph of affine ops and nonlinearities.

    An operation that is not piecewise linear is an error; the message names the operation.
    """
    from tropica.cli.models import load_model

    net = load_model(model, read_points(data, subset.value, limit=2, label=label, targets=True), weights, arg)
    numbers = describe(net)
    return CommandResult(numbers, lambda: _show(net, numbers))


def _show(net: tp.PiecewiseLinearNetwork, numbers: Mapping[str, Any]) -> None:
    rows = [
        [one["name"], one["path"], one["op"], shape_text(one["shape"]), f"{one['units']:,}"]
        for one in numbers["nonlinearities"]
    ]
    print_table("Nonlinearities, in forward order", ["name", "module", "op", "shape of a point", "units"], rows, numbers=1)
    ops = Counter(one["op"] for one in numbers["nonlinearities"])
    print_facts(
        {
            "input": f"{shape_text(net.input_shape)}, {numbers['dtype']}",
            "outputs": f"{net.num_outputs} logits, {net.num_classes} labels",
            "dropped": f"a final {net.dropped}" if net.dropped else "nothing",
            "affine ops": _list_counts(numbers["affine_ops"]),
            "nonlinearities": f"{len(rows)} with {numbers['units']:,} units: {_list_counts(ops)}",
        }
    )


def describe(net: tp.PiecewiseLinearNetwork) -> dict[str, Any]:
    """A network in plain numbers and names."""
    from tropica.network.graph import NonlinearityNode

    affine = (node.origin.op for node in net.graph.nodes if not isinstance(node, NonlinearityNode))
    return {
        "input_shape": list(net.input_shape),
        "num_outputs": net.num_outputs,
        "num_classes": net.num_classes,
        "dropped": net.dropped,
        "dtype": str(net.dtype).removeprefix("torch."),
        "fingerprint": net.fingerprint,
        "units": sum(node.units for node in net.nonlinearities),
        "nonlinearities": [
            {"name": node.name, "path": node.path, "op": node.op.name, "shape": list(node.unit_shape), "units": node.units}
            for node in net.nonlinearities
        ],
        "affine_ops": dict(Counter(_short_name(op) for op in affine).most_common()),
    }


def _short_name(op: str) -> str:
    """The name of an op without namespace and overload.

    >>> _short_name("aten.linear.default")
    'linear'
    """
    parts = op.split(".")
    return parts[1] if len(parts) > 1 else op or "other"


def _list_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items()) or "none"
