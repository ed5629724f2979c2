"""``tp.explain``: what decides the label, in regression the value, of N^(X) at each point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tropica.compare.agreement import as_true_labels, is_network_of
from tropica.compare.explanation import Explanation
from tropica.compare.patterns import pattern_agreement
from tropica.compare.regression import as_values, network_values
from tropica.compare.similarity import angles, distances
from tropica.compare.training_points import TrainingPoints, read_training_points
from tropica.data.batches import Data, as_batches
from tropica.data.labels import LabelSource
from tropica.decomposition.local_terms import local_terms
from tropica.errors import InputError
from tropica.evaluation.function import ExtractedFunction
from tropica.evaluation.sources import KeptTerms
from tropica.evaluation.streaming import StreamedTerms
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.progress import ProgressCallback, progress_callback
from tropica.terms.linear_terms import AffineTerms

SAME_TERM = 1e-2
"""The relative difference up to which a term that is computed again is the stored one: above the rounding of bfloat16."""


@own_settings()
def explain(
    net: PiecewiseLinearNetwork | torch.nn.Module,
    f: ExtractedFunction,
    x: Data,
    y: Tensor | np.ndarray | None = None,
    k: int = 5,
    *,
    data: Data | None = None,
    output: int | None = None,
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    progress: bool | ProgressCallback = False,
) -> Explanation:
    """Explain the label or value that N^(X) gives each point: the active term, the runners-up, and the training points behind.

    For each point: the labels of N and N^(X), the margin of N^(X), the k terms with the largest a⁺, and for each of them the
    angle and the distance between its coefficients and those of N on the point's own linear region (Figure 2 of TropEx). With
    the training data also the training points themselves, their distance from the point, the activations that they share
    with it in each nonlinearity (Appendix E.5), and the nearest training point. In regression the same for the value of one
    output.

    Args:
        net: the network, traced or not; for terms of an inner layer, the part behind it (``net.cut(at)[1]``).
        f: the extracted function.
        x: the points (B, *input), which are kept in memory with two coefficient vectors each.
        y: the true labels (B,), in regression the true values (B, s); by default those that come with x, if any
            (in regression, if they are floats).
        k: the number of terms for each point.
        data: the points of the terms, in their order; it is read once. Streamed terms have it already.
        output: in regression the output to explain; it may be left out where there is one.
        feature_names: the names of the inputs of points of shape (d,); by default those of x or of ``data``.
        class_names: the names of the labels, in regression of the outputs; by default those of x or of ``data``.
        progress: True for a bar, or a function (done, total, message).

    Returns:
        The explanation; ``tp.plots.explain`` draws it.

    Raises:
        InputError: network, function, points, labels and names do not fit each other, or ``data`` holds other points than
            those of the terms.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> data = torch.randn(200, 4)
    >>> f = tp.ExtractedFunction(tp.extract(model, data))
    >>> found = tp.explain(model, f, data[:10], k=3, data=data)
    >>> bool((found.top.label[:, 0] == found.network_label).all()), bool((found.nearest.index == torch.arange(10)).all())
    (True, True)
    """
    source = f.source
    net = as_network(net, x).for_task(f.task).to(source.dtype)
    _check_fit(net, f)
    labels = LabelSource(x, y)
    form = {"dtype": net.dtype, "device": net.device, "shape": net.input_shape}
    points = torch.cat(list(as_batches(x, 1024, **form, where="points", observer=labels.observer)))
    data = source.data_pass if data is None and isinstance(source, StreamedTerms) else data
    with progress_callback(progress) as report:
        quiet = report or False
        top = f.top_terms(points, k, output=output, progress=quiet)
        output = (output or 0) if source.num_targets else None
        count = source.num_terms // max(1, source.num_targets)
        training = None if data is None else read_training_points(data, top.index, points, count, report)
        own, network_labels = local_terms(net, points, progress=quiet)
        own = _of_output(own, net, output)
        shared = _shared(net, points, training)
        if output is None:
            true = as_true_labels(labels.labels(), len(points), net.num_classes)
            values, margin = f.values_and_margins(points, progress=quiet)
            about = {"network_label": network_labels.cpu(), "true_label": true, "margin": margin}
        else:
            training = None if training is None else training.without_labels()
            values = f(points, progress=quiet)
            about = _values(net, f, points, output, _true_values(labels, y), quiet)
    names = _names("class_names", class_names, (x, data), net.num_classes)
    features = _names("feature_names", feature_names, (x, data), points[0].numel()) if len(net.input_shape) == 1 else None
    if features is None and feature_names is not None:
        raise InputError(f"feature_names are for points of shape (d,); these have the shape {net.input_shape}")
    angle, distance, active = _coefficients(net, f, own, top.index, training, output)
    return Explanation(
        points=points.cpu(),
        values=values,
        top=top,
        own=own,
        active=active,
        angle=angle,
        distance=distance,
        training=training,
        shared=shared,
        layers=tuple(node.path or node.name for node in net.nonlinearities),
        same_network=is_network_of(net, f),
        class_names=names,
        feature_names=features,
        **about,
    )


def _values(
    net: PiecewiseLinearNetwork, f: ExtractedFunction, points: Tensor, output: int, true: Any, progress: Any
) -> dict[str, Any]:
    """The values of one output of a regression, and by how much the active term exceeds the first runner-up."""
    true = None if true is None else as_values(true, len(points), net.num_outputs)[:, output]
    rows = f.source.num_terms // f.source.num_targets
    two = f.top_terms(points, min(2, rows), output=output, progress=progress).value
    margin = two[:, 0] - two[:, 1] if rows > 1 else torch.full((len(points),), torch.inf, dtype=torch.float64)
    number = torch.full((len(points),), output)
    value = network_values(net, points)[:, output]
    return {
        "network_label": number,
        "true_label": None,
        "margin": margin,
        "output": output,
        "network_value": value,
        "true_value": true,
    }


def _true_values(labels: LabelSource, given: Any) -> Any:
    """The values that were given, or that come with the data; whole numbers that come with it are labels, no values."""
    if given is not None:
        return given
    found = labels.labels()
    return found if found is not None and torch.as_tensor(found).is_floating_point() else None


def _of_output(terms: AffineTerms, net: PiecewiseLinearNetwork, output: int | None) -> AffineTerms:
    """In regression, where each point has a row for each output: the rows of one output."""
    return terms if output is None else terms[output :: net.num_outputs]


def _check_fit(net: PiecewiseLinearNetwork, f: ExtractedFunction) -> None:
    if (net.input_shape, net.num_classes) != (f.input_shape, f.num_classes):
        raise InputError(
            f"the extracted function takes {f.input_shape} to {f.num_classes} labels, the network {net.input_shape} to "
            f"{net.num_classes}: is it of another network, or of the part behind an inner layer (net.cut(at)[1])?"
        )


def _names(what: str, given: Sequence[str] | None, sources: Sequence[Any], count: int) -> tuple[str, ...] | None:
    """The given names, or those that come with the data; InputError unless there are ``count``."""
    known = (getattr(source, what, None) for source in sources)
    names = given if given is not None else next((found for found in known if found is not None), None)
    if names is None:
        return None
    if isinstance(names, str) or len(names) != count:
        raise InputError(f"{what} must be {count} names; got {names if isinstance(names, str) else len(names)}")
    return tuple(map(str, names))


def _coefficients(
    net: PiecewiseLinearNetwork,
    f: ExtractedFunction,
    own: AffineTerms,
    index: Tensor,
    training: TrainingPoints | None,
    output: int | None,
) -> tuple[Tensor, Tensor, AffineTerms]:
    """Angle and distance (B, k) between the points' own coefficients and those of the terms, and the active terms."""
    unique, place = index.unique(return_inverse=True)
    again = _computed_again(net, unique, index, training, output)
    kept = _of_output(f.source.terms.select(unique).local, net, output) if isinstance(f.source, KeptTerms) else again
    assert kept is not None  # streamed terms come with their data
    kept = AffineTerms(kept.weight.to(own.weight), kept.bias.to(own.bias), kept.input_shape)
    if again is not None:
        _check_points(kept, again, is_network_of(net, f))
    pairs = [kept[column] for column in place.T]
    found = [torch.stack([measure(own, one).cpu() for one in pairs], 1) for measure in (angles, distances)]
    return found[0], found[1], pairs[0]


def _computed_again(
    net: PiecewiseLinearNetwork, unique: Tensor, index: Tensor, training: TrainingPoints | None, output: int | None
) -> AffineTerms | None:
    """The network's own terms at the training points with numbers ``unique``."""
    if training is None:
        return None
    first = torch.zeros(len(unique), dtype=torch.int64)
    first[torch.searchsorted(unique, index.flatten())] = torch.arange(index.numel())
    return _of_output(local_terms(net, training.points.flatten(0, 1)[first].to(net.device))[0], net, output)


def _check_points(kept: AffineTerms, again: AffineTerms, same_network: bool | None) -> None:
    """Raise InputError if most terms that are computed again differ from the stored ones: the data are other points."""
    if same_network is False:
        return
    difference = torch.linalg.vector_norm((kept.weight - again.weight).double(), dim=1)
    size = torch.linalg.vector_norm(kept.weight.double(), dim=1)
    if float((difference > SAME_TERM * size).double().mean()) > 0.5:
        raise InputError(
            "data: these are not the points of the terms, or not in their order: the network has other terms there"
        )


def _shared(net: PiecewiseLinearNetwork, x: Tensor, training: TrainingPoints | None) -> Tensor | None:
    """The shares of activations in common with each training point, (B, k, nonlinearities)."""
    if training is None or not net.nonlinearities:
        return None
    k = training.points.shape[1]
    others = training.points.flatten(0, 1).to(net.device)
    return pattern_agreement(net, x.repeat_interleave(k, 0), others, per_point=True).unflatten(0, (-1, k))
