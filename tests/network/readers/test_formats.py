"""NNet files, layer lists and scikit-learn's perceptrons; files of other kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, RobustScaler, StandardScaler
from torch import nn
from torch.testing import assert_close

import tropica as tp

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
    pytest.mark.filterwarnings("ignore:lbfgs failed"),
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer"),
]
NNET = """// a comment
2,2,1,3,
2,3,1,
0,
-1.0,-2.0,
1.0,2.0,
0.5,0.0,10.0,
2.0,4.0,3.0,
1.0,2.0,
-1.0,0.5,
0.25,-1.0,
0.1,
0.2,
-0.3,
1.0,-2.0,0.5,
0.75,
"""


def nnet_by_hand(x: np.ndarray) -> np.ndarray:
    z = (np.clip(x, [-1, -2], [1, 2]) - [0.5, 0]) / [2, 4]
    h = np.maximum(z @ np.array([[1, 2], [-1, 0.5], [0.25, -1]]).T + [0.1, 0.2, -0.3], 0)
    return (h @ np.array([[1, -2, 0.5]]).T + 0.75) * 3 + 10


def test_nnet(tmp_path: Path) -> None:
    """Inputs are clipped and normalized, outputs scaled back."""
    (tmp_path / "a.nnet").write_text(NNET)
    net = tp.load_network(tmp_path / "a.nnet")
    x = np.random.default_rng(0).normal(size=(50, 2)) * 2
    assert_allclose(net(torch.from_numpy(x)).numpy(), nnet_by_hand(x), rtol=1e-12)
    assert (net.dtype, net.input_shape, net.nonlinearities[-1].op.name) == (torch.float64, (2,), "relu")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.75,\n", "", "ends where a row of layer 1"),
        ("0.75,\n", "0.75,\n1,\n", "more numbers"),
        ("-0.3,", "-0.3,1,", "has 2 numbers; 1"),
        ("2,3,1,", "2,3,2,", "has the sizes|have the sizes"),
        ("2,3,1,", "2,3000000,1,", "ends|has 2 numbers|numbers"),
        ("2,2,1,3,", "2.5,2,1,3,", "2.5 is not a number of layers"),
        ("2.0,4.0,3.0", "2.0,0.0,3.0", "a range of its normalization is 0"),
        ("1.0,2.0,\n0.5", "-9.0,2.0,\n0.5", "above the maximum"),
        ("0.25", "a quarter", "is not 2 numbers: 'a quarter,-1.0,'"),
        ("0.25", "nan", "2 finite ones"),
    ],
)
def test_damaged_nnet(old: str, new: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.nnet").write_text(NNET.replace(old, new, 1))
    with pytest.raises(tp.DataError, match=message):
        tp.load_network(tmp_path / "a.nnet")


def test_layers() -> None:
    """As a torch model of the same layers, in the dtype of the numbers."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.Hardtanh(), nn.Linear(4, 2))
    linear = [layer for layer in model if isinstance(layer, nn.Linear)]
    layers = [(layer.weight, layer.bias) for layer in linear]
    net, x = tp.from_layers(layers, activation=["relu", "hardtanh"]), torch.randn(6, 3)
    assert_close(net(x), model(x))
    assert net.dtype == torch.float32
    assert tp.bounds.serra2018(tp.from_layers(layers)) == tp.bounds.serra2018((3, 5, 4))
    wide = tp.from_layers([(w.detach().numpy().astype(np.float64), None) for w, _ in layers])
    assert wide.dtype == torch.float64
    with torch.no_grad():
        linear[0].weight.zero_()
    assert float(net(x).detach().std()) > 0, "the network has its own numbers"


@pytest.mark.parametrize(
    ("layers", "settings", "message"),
    [
        ([], {}, "at least one pair"),
        ([np.eye(2)], {}, "layer 0 must be a pair|not an array|shape"),
        ([(np.eye(2), np.ones(3))], {}, r"W of shape \(2, 2\) and b of shape \(3,\)"),
        ([(np.ones((3, 4)), np.ones(4))], {}, "transpose a Keras kernel"),
        ([(np.ones((3, 4)), None), (np.ones((3, 2)), None)], {}, "layer 0 has 3 outputs, and layer 1 takes 2"),
        ([(np.eye(2), None)] * 2, {"activation": "gelu"}, "'gelu' is not known; identity, relu"),
        ([(np.eye(2), None)] * 2, {"activation": ["relu", "relu"]}, "2 activations are given for 2 layers"),
        ([(np.eye(2), None)], {"activation": "gelu"}, "'gelu' is not known"),
        ([(np.eye(2), None)], {"activation": None}, "None is not known"),
        ([("one", None)], {}, "W of layer 0 is not an array"),
        ([(np.ones(3), None)], {}, r"shape \(3,\); 2 axes"),
    ],
)
def test_layers_that_do_not_fit(layers: list, settings: dict, message: str) -> None:
    with pytest.raises(tp.InputError, match=message):
        tp.from_layers(layers, **settings)
    with pytest.raises(tp.NonFiniteWeights, match="b of layer 0 has 1"):
        tp.from_layers([(np.eye(2), [0, np.nan])])


def sklearn_data(dtype: type = np.float64) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal([3, -1, 0], [2, 1, 5], size=(60, 3)).astype(dtype)
    return x, (x[:, 0] > 3).astype(int) + (x[:, 1] > -1)


QUICK = {"hidden_layer_sizes": (6, 5), "max_iter": 30, "solver": "lbfgs", "random_state": 0}


@pytest.mark.parametrize(
    "scaler",
    [
        *("passthrough", StandardScaler(), StandardScaler(with_mean=False), StandardScaler(with_std=False), MaxAbsScaler()),
        *(MinMaxScaler((-1, 2), clip=True), MinMaxScaler(), RobustScaler(), RobustScaler(with_centering=False)),
        make_pipeline(MaxAbsScaler(), StandardScaler()),
        *(MaxAbsScaler(clip=True), PCA(2), PCA(2, whiten=True), TruncatedSVD(2), VarianceThreshold(3), SelectKBest(k=2)),
    ],
    ids=str,
)
def test_scalers(scaler: object) -> None:
    """Unscaled inputs, also those outside of the fitted range."""
    x, y = sklearn_data()
    model = Pipeline([("scale", scaler), ("mlp", MLPRegressor(**QUICK))]).fit(x, y)
    net, more = tp.from_sklearn(model), np.concatenate([x, 3 * x])
    assert_allclose(net(torch.from_numpy(more))[:, 0].numpy(), model.predict(more), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_classifiers(classes: int, dtype: type) -> None:
    x, y = sklearn_data(dtype)
    names = np.array(["a", "b", "c"])[np.minimum(y, classes - 1)]
    solver = "adam" if dtype == np.float32 else "lbfgs"  # lbfgs makes float64 weights of float32 data
    model = MLPClassifier(**{**QUICK, "solver": solver}).fit(x, names)
    net, points = tp.from_sklearn(model), torch.from_numpy(x)
    assert net.dtype == points.dtype
    assert (model.classes_[net.predict(points).numpy()] == model.predict(x)).all()
    assert net.dropped == ("sigmoid" if classes == 2 else "softmax")
    probabilities = net(points).softmax(1) if classes == 3 else net(points).sigmoid()
    assert_allclose(probabilities.numpy()[:, -1], model.predict_proba(x)[:, -1], atol=1e-5)


class Other(MLPRegressor):
    """An estimator with something that its fitted weights do not show."""

    def predict(self, x: np.ndarray) -> np.ndarray:
        return super().predict(x) + 1


def test_estimators_that_are_refused() -> None:
    x, y = sklearn_data()
    several = np.stack([y > 0, y > 1], 1).astype(int)
    for estimator, error, message in (
        (MLPRegressor(), tp.InputError, "is not fitted"),
        (nn.Linear(2, 2), tp.InputError, "Linear is not read; accepted: MLPClassifier"),
        (MLPRegressor(**QUICK, activation="tanh").fit(x, y), tp.UnsupportedOperation, "activation 'tanh'"),
        (MLPClassifier(**QUICK).fit(x, several), tp.InputError, "several labels"),
        (make_pipeline(Normalizer(), MLPRegressor(**QUICK)).fit(x, y), tp.UnsupportedOperation, "Normalizer"),
        (Other(**QUICK).fit(x, y), tp.TraceMismatch, "a parameter that is not read"),
        (GridSearchCV(MLPRegressor(**QUICK), {"alpha": [1]}, cv=2).fit(x, y), tp.InputError, "pass its best_estimator_"),
        (make_pipeline(StandardScaler()), tp.InputError, "StandardScaler is not read"),
    ):
        with pytest.raises(error, match=message):
            tp.from_sklearn(estimator)


def test_files_of_other_kinds(tmp_path: Path) -> None:
    """What to do instead."""
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "script.pt")
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "state.pth")
    for name, message in (
        ("script.pt", "TorchScript .* torch.onnx.export"),
        ("state.pth", "no architecture: build the model"),
        ("a.safetensors", "without an architecture"),
        ("a.keras", "convert it to ONNX"),
        ("a.txt", "suffix '.txt' is not known; .onnx, .nnet or .pt2 is read"),
    ):
        with pytest.raises(tp.DataError, match=message):
            tp.load_network(tmp_path / name)
