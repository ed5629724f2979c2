"""``tp.from_sklearn``: multi-layer perceptrons of scikit-learn, alone or behind scalers in a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tropica.errors import InputError, UnsupportedOperation
from tropica.network.builder import Builder, Value
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.ops import activations
from tropica.network.readers.dense import Step, as_tensor, assemble, common_dtype
from tropica.runtime.arithmetic import own_settings

_ACCEPTED = (
    "MLPClassifier and MLPRegressor with the activations relu and identity",
    "StandardScaler, MinMaxScaler, MaxAbsScaler and RobustScaler before them in a Pipeline",
)
_HEADS = {"identity": None, "softmax": "softmax", "logistic": "sigmoid"}


@own_settings()
def from_sklearn(estimator: Any) -> PiecewiseLinearNetwork:
    """Make the network of a fitted ``MLPClassifier`` or ``MLPRegressor``, or of a ``Pipeline`` of scalers that ends in one.

    The network takes what the estimator takes, before any scaling. Its outputs are the regressor's predictions, or the
    classifier's logits: the softmax, or the sigmoid of two classes, is dropped. ``net.predict(x)`` gives positions in
    ``estimator.classes_``. Its dtype is that of the fitted weights.

    Raises:
        UnsupportedOperation: an activation is smooth (tanh, logistic), or the pipeline has another kind of step.
        InputError: the estimator is of another kind, not fitted, or predicts several labels for each point.

    >>> import numpy as np, torch, tropica as tp
    >>> from sklearn.neural_network import MLPRegressor
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> x = np.random.default_rng(0).normal(3, 2, (40, 2))
    >>> model = make_pipeline(StandardScaler(), MLPRegressor((8,), solver="lbfgs", max_iter=20)).fit(x, x[:, 0] - abs(x[:, 1]))
    >>> net = tp.from_sklearn(model)
    >>> bool(np.allclose(net(torch.from_numpy(x))[:, 0], model.predict(x)))
    True
    """
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import Pipeline

    *scalers, model = _steps(estimator) if isinstance(estimator, Pipeline) else [("", estimator)]
    mlp = model[1]
    if not isinstance(mlp, MLPClassifier | MLPRegressor):
        raise InputError(f"{_kind(mlp)} is not read; accepted: {'; '.join(_ACCEPTED)}")
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
    steps = [step for name, scaler in scalers for step in _scaling(name, scaler)]
    dtype = common_dtype([t for pair in pairs for t in pair])
    names = [mlp.activation] * (len(pairs) - 1)
    return assemble(pairs, names, dtype, first=steps, dropped=_HEADS[mlp.out_activation_])


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


def _scaling(name: str, scaler: Any) -> Sequence[Step]:
    """The steps of a fitted scaler: a shift, a scaling, and bounds if it has them."""
    from sklearn import preprocessing

    kind = _kind(scaler)
    known = {
        "StandardScaler": ("mean_", "scale_"),
        "RobustScaler": ("center_", "scale_"),
        "MaxAbsScaler": (None, "scale_"),
        "MinMaxScaler": ("min_", "scale_"),
    }
    if kind not in known or type(scaler) is not getattr(preprocessing, kind):
        raise _unsupported(f"{kind} (step {name!r})", "it is not affine, or not known")
    if not hasattr(scaler, known[kind][1]):
        raise InputError(f"the {kind} of step {name!r} is not fitted; call fit first")
    center, scale = (None if field is None else _numbers(scaler, field) for field in known[kind])
    if kind == "StandardScaler" and not scaler.with_mean:  # its mean is fitted all the same
        center = None
    if kind == "MinMaxScaler":
        low, high = scaler.feature_range
        steps = [_scale(scale), _shift(center)]
        return [*steps, lambda b, x: activations.clamp(b, x, low, high)] if scaler.clip else steps
    return [_shift(None if center is None else -center), _scale(None if scale is None else 1 / scale)]


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


def _kind(estimator: Any) -> str:
    return type(estimator).__name__


def _unsupported(op: str, reason: str) -> UnsupportedOperation:
    return UnsupportedOperation(op=op, reason=reason, accepted=_ACCEPTED)
