"""``tp.from_sklearn``: multi-layer perceptrons of scikit-learn, alone or behind affine steps of a pipeline."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tropica.errors import InputError, TraceMismatch, UnsupportedOperation
from tropica.network.builder import Builder, Value
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.ops import activations, linear
from tropica.network.readers.dense import Step, as_tensor, assemble, common_dtype
from tropica.runtime.arithmetic import own_settings

_ACCEPTED = (
    "MLPClassifier and MLPRegressor with the activations relu and identity",
    "before them in a Pipeline: StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, PCA, TruncatedSVD, feature selection",
)
_SCALERS = {
    "StandardScaler": ("mean_", "scale_"),
    "RobustScaler": ("center_", "scale_"),
    "MaxAbsScaler": (None, "scale_"),
    "MinMaxScaler": ("min_", "scale_"),
}
"""The fitted fields of a scaler: the center (of MinMaxScaler, the shift behind the scaling) and the scale."""
_HEADS = {"identity": None, "softmax": "softmax", "logistic": "sigmoid"}


@own_settings()
def from_sklearn(estimator: Any) -> PiecewiseLinearNetwork:
    """Make the network of a fitted ``MLPClassifier`` or ``MLPRegressor``, or of a ``Pipeline`` that ends in one.

    The steps before it may be scalers, projections (``PCA``, ``TruncatedSVD``) and selections of features. The network takes
    what the pipeline takes. Its outputs are the regressor's predictions, or the
    classifier's logits: the softmax, or the sigmoid of two classes, is dropped. ``net.predict(x)`` gives positions in
    ``estimator.classes_``. Its dtype is that of the fitted weights.

    Raises:
        UnsupportedOperation: an activation is smooth (tanh, logistic), or the pipeline has another kind of step.
        InputError: the estimator is of another kind, not fitted, or predicts several labels for each point.
        TraceMismatch: on random points the network gives something else than the estimator.

    >>> import numpy as np, torch, tropica as tp
    >>> from sklearn.neural_network import MLPRegressor
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> x = np.random.default_rng(0).normal(3, 2, (40, 2))
    >>> mlp = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", max_iter=20)
    >>> model = make_pipeline(StandardScaler(), mlp).fit(x, x[:, 0] - abs(x[:, 1]))
    >>> net = tp.from_sklearn(model)
    >>> bool(np.allclose(net(torch.from_numpy(x))[:, 0], model.predict(x)))
    True
    """
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import Pipeline

    *scalers, model = _steps(estimator) if isinstance(estimator, Pipeline) else [("", estimator)]
    mlp = model[1]
    if not isinstance(mlp, MLPClassifier | MLPRegressor):
        best = "; pass its best_estimator_" if hasattr(mlp, "best_estimator_") else ""
        raise InputError(f"{_kind(mlp)} is not read{best}; accepted: {'; '.join(_ACCEPTED)}")
    if not hasattr(mlp, "coefs_"):
        raise InputError(f"the {_kind(mlp)} is not fitted; call fit first")
    if mlp.activation not in ("relu", "identity"):
        raise _unsupported(f"{_kind(mlp)} with activation {mlp.activation!r}", "it is smooth, not piecewise linear")
    pairs = [
        (as_tensor(w, f"coefs_[{i}]", 2).T.contiguous(), as_tensor(b, f"intercepts_[{i}]", 1))
        for i, (w, b) in enumerate(zip(mlp.coefs_, mlp.intercepts_, strict=True))
    ]
    if mlp.out_activation_ not in _HEADS:
        raise _unsupported(f"{_kind(mlp)} with output activation {mlp.out_activation_!r}", "it is not known")
    if mlp.out_activation_ == "logistic" and len(pairs[-1][0]) > 1:
        raise InputError("the MLPClassifier predicts several labels for each point; one label a point is needed")
    steps = [step for name, before in scalers for step in _affine(name, before)]
    dtype = common_dtype([t for pair in pairs for t in pair])
    names = [mlp.activation] * (len(pairs) - 1)
    first: Any = scalers[0][1] if scalers else mlp
    net = assemble(pairs, names, dtype, inputs=first.n_features_in_, first=steps, dropped=_HEADS[mlp.out_activation_])
    _compare(net, estimator)
    return net


def _compare(net: PiecewiseLinearNetwork, estimator: Any) -> None:
    """Check the network against the estimator on random points: a parameter that was not read would show."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, *net.input_shape)) * 10 ** rng.uniform(-2, 4, (64, 1))
    points = torch.from_numpy(x).to(net.dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # points without names of features
        classifier = hasattr(estimator, "predict_proba")
        wanted = torch.from_numpy(np.asarray((estimator.predict_proba if classifier else estimator.predict)(points.numpy())))
    found = net(points)
    if classifier:
        found = found.softmax(1) if found.shape[1] > 1 else torch.cat([1 - found.sigmoid(), found.sigmoid()], 1)
    worst = float((found - wanted.reshape(found.shape)).abs().max() / wanted.abs().max().clamp(min=1e-300))
    if not worst <= (1e-8 if net.dtype == torch.float64 else 1e-2):
        raise TraceMismatch(
            f"the network differs from {_kind(estimator)} by {worst:.2g} of the largest output on random points: "
            "the estimator has a parameter that is not read, or its steps round too much"
        )


def _steps(pipeline: Any) -> list[tuple[str, Any]]:
    """The steps of a pipeline that do something; pipelines in it are written out."""
    from sklearn.pipeline import Pipeline

    found: list[tuple[str, Any]] = []
    for name, step in pipeline.steps:
        if isinstance(step, Pipeline):
            found += _steps(step)
        elif step is not None and step != "passthrough":
            found.append((name, step))
    if not found:
        raise InputError("the pipeline has no steps")
    return found


def _affine(name: str, step: Any) -> Sequence[Step]:
    """What a fitted step of a pipeline does: affine functions, and bounds if it has them."""
    from sklearn import decomposition, preprocessing
    from sklearn.feature_selection import SelectorMixin

    kind = _kind(step)
    if kind in _SCALERS and type(step) is getattr(preprocessing, kind):
        _check_fitted(name, step, _SCALERS[kind][1])
        return _scaling(step)
    if type(step) in (decomposition.PCA, decomposition.TruncatedSVD):
        _check_fitted(name, step, "components_")
        return _projection(step)
    if isinstance(step, SelectorMixin):
        _check_fitted(name, step, "n_features_in_")
        kept = torch.from_numpy(np.asarray(step.get_support()))
        return [_matrix(torch.eye(len(kept), dtype=torch.float64)[kept])]
    raise _unsupported(f"{kind} (step {name!r})", "it is not among the steps that are read")


def _check_fitted(name: str, step: Any, field: str) -> None:
    if not hasattr(step, field):
        raise InputError(f"the {_kind(step)} of step {name!r} is not fitted; call fit first")


def _scaling(scaler: Any) -> Sequence[Step]:
    """A shift, a scaling, and bounds if the scaler has them."""
    kind = _kind(scaler)
    center, scale = (None if field is None else _numbers(scaler, field) for field in _SCALERS[kind])
    if kind == "StandardScaler" and not scaler.with_mean:  # its mean is fitted all the same
        center = None
    if kind == "MinMaxScaler":
        steps = [_scale(scale), _shift(center)]
    else:
        steps = [_shift(None if center is None else -center), _scale(None if scale is None else 1 / scale)]
    if getattr(scaler, "clip", False):
        low, high = scaler.feature_range if kind == "MinMaxScaler" else (-1, 1)
        steps.append(lambda b, x: activations.clamp(b, x, low, high))
    return steps


def _projection(projection: Any) -> Sequence[Step]:
    """The coordinates along the components of a PCA or a TruncatedSVD."""
    rows = as_tensor(np.asarray(projection.components_, np.float64), "components_", 2)
    if getattr(projection, "whiten", False):
        variance = torch.from_numpy(np.asarray(projection.explained_variance_, np.float64))
        least = torch.finfo(torch.from_numpy(projection.explained_variance_).dtype).eps
        rows = rows / variance.sqrt().clamp(min=least)[:, None]
    mean = getattr(projection, "mean_", None)
    return [_shift(None if mean is None else -torch.from_numpy(np.asarray(mean, np.float64))), _matrix(rows)]


def _numbers(scaler: Any, field: str) -> torch.Tensor | None:
    """A fitted field in float64; None if the scaler does without it."""
    found = getattr(scaler, field)
    return None if found is None else as_tensor(np.asarray(found, np.float64), field, 1)


def _shift(offset: torch.Tensor | None) -> Step:
    def step(b: Builder, x: Value) -> Value:
        return x if offset is None else b.shift(x, offset)

    return step


def _scale(factor: torch.Tensor | None) -> Step:
    def step(b: Builder, x: Value) -> Value:
        return x if factor is None else b.scale(x, factor)

    return step


def _matrix(rows: torch.Tensor) -> Step:
    return lambda b, x: linear.linear(b, x, rows, None)


def _kind(estimator: Any) -> str:
    return type(estimator).__name__


def _unsupported(op: str, reason: str) -> UnsupportedOperation:
    return UnsupportedOperation(op=op, reason=reason, accepted=_ACCEPTED)
