"""``Explanation``: what decides the label of N^(X) at each point."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tropica.compare.agreement import ANOTHER_NETWORK
from tropica.compare.nearest import NearestNeighbors
from tropica.compare.training_points import TrainingPoints
from tropica.errors import InputError
from tropica.evaluation.top_terms import TopTerms
from tropica.runtime.html import picture
from tropica.terms.linear_terms import AffineTerms

if TYPE_CHECKING:
    from pandas import DataFrame

SHOWN = 5
"""Points in the HTML of a notebook."""


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """The terms that decide at each of B points, as ``tp.explain`` finds them.

    Attributes:
        points: (B, *input_shape).
        network_label: (B,), the label of N.
        true_label: (B,), or None if it is not known.
        values: (B, num_classes), N^(X)(x).
        margin: (B,), the largest of these values minus the second largest.
        top: the k terms with the largest a⁺ at each point; the first one is the active term.
        own: N's own affine function at each point, for the label of N.
        active: the active term at each point, a_k = a⁺_k − a⁻_k.
        angle, distance: (B, k), angle in degrees and Euclidean distance between the coefficients of ``own`` and of each term.
        training: the training points of the terms, and the nearest ones; None without the training data.
        shared: (B, k, nonlinearities), the share of activations that each training point has in common with the point.
        layers: the nonlinearities, by module path.
        same_network: whether the terms were extracted from this network; None if it is not known.
        class_names, feature_names: names of labels (in regression of outputs) and of inputs, or None.
        output: in regression the output that is explained: all labels are its number, ``own`` is N's function for it, and the
            margin is between the active term and the first runner-up. None in classification.
        network_value, true_value: (B,), in regression the value of N and the true one.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> x = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    >>> f = tp.ExtractedFunction(tp.extract(net, x))
    >>> why = tp.explain(net, f, torch.tensor([[3.0, 1.0]]).double(), k=2, data=x)
    >>> why.top.index.tolist(), why.margin.tolist(), why.nearest.index.tolist()
    ([[0, 1]], [2.0], [0])
    """

    points: Tensor
    network_label: Tensor
    true_label: Tensor | None
    values: Tensor
    margin: Tensor
    top: TopTerms
    own: AffineTerms
    active: AffineTerms
    angle: Tensor
    distance: Tensor
    training: TrainingPoints | None
    shared: Tensor | None
    layers: tuple[str, ...]
    same_network: bool | None
    class_names: tuple[str, ...] | None
    feature_names: tuple[str, ...] | None
    output: int | None = None
    network_value: Tensor | None = None
    true_value: Tensor | None = None

    @property
    def extracted_label(self) -> Tensor:
        """The label of N^(X), that of the active term: (B,)."""
        return self.top.label[:, 0]

    @property
    def second_label(self) -> Tensor:
        """The label with the second largest value of N^(X), the other side of the margin: (B,)."""
        others = self.values.scatter(1, self.extracted_label[:, None], -torch.inf)
        return others.argmax(1)

    @property
    def nearest(self) -> NearestNeighbors:
        """The nearest training points. Raises InputError without the training data."""
        if self.training is None:
            raise InputError("the training points are not known; give them to tp.explain as data=")
        return self.training.nearest

    def class_name(self, label: Any) -> str:
        """The name of a label, or its number."""
        return self.class_names[int(label)] if self.class_names else str(int(label))

    def __len__(self) -> int:
        return len(self.points)

    def to_dataframe(self) -> DataFrame:
        """A pandas table with a row for each point and rank: the term, its value and how its training point is related."""
        import pandas as pd

        k = self.top.k
        frame = self.top.to_dataframe()
        frame["label"] = [self.class_name(label) for label in frame["label"]]
        if self.output is not None:
            frame = frame.rename(columns={"label": "output"})
        frame["angle"] = self.angle.flatten().numpy()
        frame["coefficient_distance"] = self.distance.flatten().numpy()
        if self.training is not None:
            if self.training.labels is not None:
                true = self.training.labels[self.top.index.flatten()]
                frame["true_label_of_training_point"] = [self.class_name(label) for label in true]
            frame["point_distance"] = self.point_distance.flatten().numpy()
            near = self.training.nearest.index.repeat_interleave(k)
            frame["is_nearest"] = (near == self.top.index.flatten()).numpy()
        if self.shared is not None:
            for name, column in zip(self.layers, self.shared.flatten(0, 1).T, strict=True):
                frame[f"shared_{name}"] = column.numpy()
        labels = {"network_label": self.network_label, "true_label": self.true_label} if self.output is None else {}
        for name, column in labels.items():
            if column is not None:
                frame[name] = [self.class_name(label) for label in column.repeat_interleave(k)]
        for name, column in {"network_value": self.network_value, "true_value": self.true_value}.items():
            if column is not None:
                frame[name] = column.repeat_interleave(k).numpy()
        frame["margin"] = self.margin.repeat_interleave(k).numpy()
        return pd.DataFrame(frame)

    @property
    def point_distance(self) -> Tensor:
        """The Euclidean distance of each term's training point from the point: (B, k) float64."""
        if self.training is None:
            raise InputError("the training points are not known; give them to tp.explain as data=")
        difference = self.training.points.flatten(2).double() - self.points.flatten(1).double()[:, None]
        return torch.linalg.vector_norm(difference, dim=2)

    def features(self, point: int) -> DataFrame:
        """A pandas table with a row for each input of a point: its value there, and the coefficients of N and of N^(X).

        The columns are x (the point), own (the coefficient of N there), active (that of the active term), and with the
        training data deciding (the active term's training point) and nearest (the nearest training point).
        """
        import pandas as pd

        names = self.feature_names or tuple(map(str, range(self.own.weight.shape[1])))
        columns = {"x": self.points[point], "own": self.own.weight[point], "active": self.active.weight[point]}
        if self.training is not None:
            columns |= {"deciding": self.training.points[point, 0], "nearest": self.training.nearest_points[point]}
        return pd.DataFrame({name: column.flatten().cpu().numpy() for name, column in columns.items()}, index=list(names))

    def heading(self, point: int) -> str:
        """The labels and the margin at a point, in regression the values, on one line."""
        if self.output is not None:
            return self._heading_of_values(point)
        name = self.class_name
        true = "" if self.true_label is None else f"true {name(self.true_label[point])}, "
        margin = float(self.margin[point])
        before = "" if margin == float("inf") else f" {margin:.3g} before {name(self.second_label[point])}"
        network, extracted = name(self.network_label[point]), name(self.extracted_label[point])
        return f"point {point}: {true}N says {network}, N^(X) says {extracted},{before}".rstrip(",")

    def _heading_of_values(self, point: int) -> str:
        assert self.output is not None
        assert self.network_value is not None
        named = self.class_names is not None or self.values.shape[1] > 1
        name = f", {'' if self.class_names else 'output '}{self.class_name(self.output)}" if named else ""
        true = "" if self.true_value is None else f"true {float(self.true_value[point]):.4g}, "
        values = f"N gives {float(self.network_value[point]):.4g}, N^(X) gives {float(self.values[point, self.output]):.4g}"
        return f"point {point}{name}: {true}{values}"

    def __repr__(self) -> str:
        if self.output is not None and self.network_value is not None:
            apart = float((self.network_value.double() - self.values[:, self.output].double()).abs().max())
            note = f"; {ANOTHER_NETWORK}" if self.same_network is False else ""
            return f"Explanation({len(self):,} points, {self.top.k} terms each, largest |N − N^(X)| {apart:.3g}{note})"
        agree = float((self.network_label == self.extracted_label).double().mean())
        text = f"{len(self):,} points, {self.top.k} terms each, N = N^(X) at {agree:.1%}, median margin "
        note = f"; {ANOTHER_NETWORK}" if self.same_network is False else ""
        return f"Explanation({text}{float(self.margin.median()):.3g}{note})"

    def _repr_html_(self) -> str:
        rows = [f"<p><code>{escape(repr(self))}</code></p><table>"]
        for i in range(min(len(self), SHOWN)):
            cells = [picture(self.points[i])]
            if self.training is not None:
                cells += [picture(x) for x in self.training.points[i]]
            terms = ", ".join(
                f"{index} ({escape(self.class_name(label))}, {value:.3g})"
                for index, label, value in zip(
                    self.top.index[i].tolist(), self.top.label[i].tolist(), self.top.value[i].tolist(), strict=True
                )
            )
            pictures = "".join(f"<td>{cell}</td>" for cell in cells if cell)
            rows.append(f"<tr>{pictures}<td>{escape(self.heading(i))}<br>terms: {terms}</td></tr>")
        return "".join([*rows, "</table>"])
