"""ONNX files as networks: the batch axis, the choice of outputs and inputs, dropped final ops, files that are refused."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path

import onnx
import onnx.parser
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import tropica as tp
from tropica.network.readers.onnx_graph import supported

LAYERS = "z = MatMul(x, w) h = Relu(z) y = MatMul(h, v)"
WEIGHTS = "float[3,2] w = {1, -2, 3, -1, 0.5, 1}, float[2,2] v = {1, 2, -3, 1}"


def expected(x: Tensor) -> Tensor:
    w, v = torch.tensor([[1, -2], [3, -1], [0.5, 1]]), torch.tensor([[1.0, 2], [-3, 1]])
    return (x.reshape(-1, 3) @ w).relu() @ v


def write(path: Path, signature: str, body: str = LAYERS, constants: str = WEIGHTS, opset: int = 13) -> Path:
    """Write a model given in the text form of ONNX."""
    text = f'<ir_version: 8, opset_import: ["" : {opset}, "my.ops" : 1]> g {signature} <{constants}> {{ {body} }}'
    path.write_bytes(onnx.parser.parse_model(text).SerializeToString())
    return path


@pytest.mark.parametrize(
    ("shape", "input_shape"), [("N,3", (3,)), ("1,3", (3,)), ("3", (3,)), ("1,1,1,3", (1, 1, 3)), ("N,1,3", (1, 3))]
)
def test_batch_axis(shape: str, input_shape: tuple[int, ...], tmp_path: Path) -> None:
    """A first axis that is free or 1 is the batch; one axis alone is no batch."""
    net = tp.load_network(write(tmp_path / "net.onnx", f"(float[{shape}] x) => (float y)"))
    x = torch.randn(5, *input_shape)
    assert (net.input_shape, net.dtype, len(net.nonlinearities)) == (input_shape, torch.float32, 1)
    assert_close(net(x), expected(x), rtol=1e-5, atol=1e-6)
    assert_close(net.predict(x, smallest=True), expected(x).argmin(1))
    assert net.activation_pattern(x).shape == (5, 1)


def test_sizes_written_into_the_file(tmp_path: Path) -> None:
    """A reshape to (1, 3), or back from columns: a file for one point at a time holds for every batch."""
    body = "f = Reshape(x, s) z = MatMul(f, w) h = Relu(z) c = Reshape(h, t) y = MatMul(u, c)"
    constants = f"{WEIGHTS}, int64[2] s = {{1, 3}}, int64[2] t = {{2, 1}}, float[2,2] u = {{1, -3, 2, 1}}"
    for shape in ("1,3,1", "N,3,1"):
        net = tp.load_network(write(tmp_path / "net.onnx", f"(float[{shape}] x) => (float y)", body, constants))
        x = torch.randn(4, 3, 1)
        assert_close(net(x), expected(x), rtol=1e-5, atol=1e-6)


MEAN = "m = ReduceMean<axes = [0], keepdims = 1>(x) d = Sub(x, m) y = MatMul(d, w)"


@pytest.mark.parametrize(
    ("signature", "body", "error", "message"),
    [
        ("(float[N,3] x) => (float y)", MEAN, tp.TraceMismatch, "points of a batch act on each other"),
        ("(float[N,3] x) => (float y)", "y = ReduceMax<axes = [0], keepdims = 0>(x)", tp.TraceError, "not the batch"),
        ("(float[4,3] x) => (float y)", "y = ReduceMax<axes = [1]>(x)", tp.TraceError, "for 4 points at a time"),
        ("(float[N,M] x) => (float y)", LAYERS, tp.DataError, r"shape \(any, any\); one free size"),
        ("(float[N] x) => (float y)", "y = Relu(x)", tp.DataError, "one free size"),
        ("(float[2,3] x) => (float y)", "y = Transpose<perm = [1, 0]>(x)", tp.TraceError, "flatten_output=True"),
        ("(int64[N,3] x) => (float y)", "f = Cast<to = 1>(x) y = Relu(f)", tp.DataError, "int64; float32 or float64"),
        ("(float[N,3] x, float[N,3] a) => (float y)", "y = Add(x, a)", tp.InputError, r"has 2 \(x, a\); hold the others"),
        ("(float[N,3] x) => (float y)", "y = Identity(w)", tp.InputError, "needs exactly one input, and has none"),
        ("(float[N,3] x) => (float y)", "s = Shape(x) y = Cast<to = 1>(s)", tp.TraceError, "does not depend on the input"),
        ("(float[N,3] x) => (float y, float z)", "y = Relu(x) z = Abs(x)", tp.InputError, r"2 outputs \(y, z\); pick one"),
        ("(float[N,3] x) => (float y)", "y = my.ops.Relu(x)", tp.UnsupportedOperation, "domain 'my.ops'"),
    ],
)  # fmt: skip
def test_refused(signature: str, body: str, error: type[Exception], message: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=message) as found:
        tp.load_network(write(tmp_path / "net.onnx", signature, body))
    assert str(found.value).startswith(str(tmp_path / "net.onnx"))


@pytest.mark.parametrize("opset", [6, 23])
def test_opsets(opset: int, tmp_path: Path) -> None:
    with pytest.raises(tp.DataError, match=f"opset is {opset}; 7 to 22 are read"):
        tp.load_network(write(tmp_path / "net.onnx", "(float[N,3] x) => (float y)", opset=opset))


def test_outputs_and_held_inputs(tmp_path: Path) -> None:
    """Only what the picked output depends on is read."""
    body = "s = Mul(x, a) y = Relu(s) z = Tanh(x)"
    file = write(tmp_path / "net.onnx", "(float[N,3] x, float[3] a) => (float y, float z)", body)
    x, a = torch.randn(4, 3), torch.tensor([1.0, -2, 0])
    for output in ("y", 0, -2):
        assert_close(tp.load_network(file, output=output, fixed={"a": a})(x), (x * a).relu())
    for settings, message in (
        ({"output": "q"}, "'q' is none of them"),
        ({"output": 0, "fixed": {"b": a}}, "names 'b'"),
        ({"output": 0, "fixed": {"a": a[:2]}}, r"shape \(3\); the value given for it has \(2,\)"),
        ({"output": 0, "fixed": {"a": a.double().numpy().astype(complex)}}, "complex128"),
    ):
        with pytest.raises(tp.InputError, match=message):
            tp.load_network(file, **settings)
    with pytest.raises(tp.UnsupportedOperation, match="smooth"):
        tp.load_network(file, output=1)
    file = write(tmp_path / "wide.onnx", "(float[N,2,3] x) => (float y)", "y = Relu(x)")
    assert tp.load_network(file, flatten_output=True).num_outputs == 6
    with pytest.raises(tp.InputError, match=r"are for .onnx files"):
        tp.load_network(tmp_path / "net.pt2", output=1)


@pytest.mark.parametrize(
    ("body", "dropped"),
    [
        ("l = MatMul(x, w) s = Softmax(l) y = Identity(s)", "softmax"),
        ("l = MatMul(x, w) y = LogSoftmax<axis = -1>(l)", "log_softmax"),
        ("l = MatMul(x, w) y = Sigmoid(l)", "sigmoid"),
    ],
)
def test_final_ops_are_dropped(body: str, dropped: str, tmp_path: Path) -> None:
    net, x = tp.load_network(write(tmp_path / "net.onnx", "(float[N,3] x) => (float y)", body)), torch.randn(4, 3)
    assert net.dropped == dropped
    assert_close(net(x), x @ torch.tensor([[1, -2], [3, -1], [0.5, 1]]))


def test_weights_keep_their_digits(tmp_path: Path) -> None:
    """In float64 a float32 file is the same function of the same numbers."""
    net = tp.load_network(write(tmp_path / "net.onnx", "(float[N,3] x) => (float y)")).to(torch.float64)
    assert all(torch.equal(c, c.float().double()) for c in net.constants.values())
    assert tp.bounds.serra2018(net) == tp.bounds.serra2018((3, 2))


def test_exported_by_torch(tmp_path: Path) -> None:
    """A model with shapes computed in the graph, batch norm and pooling, by torch's own exporter."""
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(1, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        nn.Flatten(),
        nn.Linear(48, 4),
    ]
    model, x = nn.Sequential(*layers).eval(), torch.randn(3, 1, 8, 8)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (x,), buffer, dynamo=False, do_constant_folding=False,
            input_names=["x"], dynamic_axes={"x": {0: "batch"}},
        )  # fmt: skip
    (tmp_path / "net.onnx").write_bytes(buffer.getvalue())
    net = tp.load_network(tmp_path / "net.onnx")
    assert_close(net(x), model(x), rtol=1e-4, atol=1e-5)
    assert [node.op.name for node in net.nonlinearities] == ["relu", "max_pool"]


def test_local_functions_and_external_weights(tmp_path: Path) -> None:
    """Functions in the file are written out; weights may be in a file beside it, and nowhere else."""
    text = (
        '<ir_version: 8, opset_import: ["" : 17, "mine" : 1]> g (float[N,3] x) => (float y) <' + WEIGHTS + "> "
        "{ h = mine.layer(x, w) y = MatMul(h, v) } "
        '<domain: "mine", opset_import: ["" : 17]> layer (a, b) => (c) { p = MatMul(a, b) c = Relu(p) }'
    )
    model, x = onnx.parser.parse_model(text), torch.randn(4, 3)
    file = tmp_path / "net.onnx"
    for tensor in model.graph.initializer:
        tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor), tensor.name))
    onnx.save(model, file, save_as_external_data=True, location="net.data", size_threshold=0)
    assert_close(tp.load_network(file)(x), expected(x), rtol=1e-5, atol=1e-6)
    (tmp_path / "net.data").unlink()
    with pytest.raises(tp.DataError, match=r"net.data"):
        tp.load_network(file)
    for tensor in model.graph.initializer:
        tensor.raw_data = bytes(24)
        onnx.external_data_helper.set_external_data(tensor, location="../secret", length=24)
        tensor.ClearField("raw_data")
    (tmp_path / "inner").mkdir()
    (tmp_path / "secret").write_bytes(bytes(24))
    (tmp_path / "inner" / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(tp.DataError, match="valid ONNX"):
        tp.load_network(tmp_path / "inner" / "net.onnx")


def test_damaged_files(tmp_path: Path) -> None:
    file = write(tmp_path / "net.onnx", "(float[N,3] x) => (float y)")
    whole = file.read_bytes()
    for content, message in (
        (whole[:-7], "damaged"),
        (b"\x00" * 40, "damaged|valid"),
        (b"", "valid"),
        (b"PK\x03\x04 no", "damaged"),
    ):
        file.write_bytes(content)
        with pytest.raises(tp.DataError, match=message):
            tp.load_network(file)
    with pytest.raises(tp.DataError, match="no such file"):
        tp.load_network(tmp_path / "none.onnx")
    with pytest.raises(tp.DataError, match="a folder"):
        tp.load_network(tmp_path.rename(tmp_path.with_suffix(".onnx")))


def test_non_finite_weights(tmp_path: Path) -> None:
    with pytest.raises(tp.NonFiniteWeights, match="MatMul"):
        tp.load_network(
            write(tmp_path / "net.onnx", "(float[N,3] x) => (float y)", "y = MatMul(x, w)", "float[3,1] w = {1, nan, 2}")
        )


def test_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the extra."""
    file = write(tmp_path / "net.onnx", "(float[N,3] x) => (float y)")
    for name in [name for name in sys.modules if name.startswith("tropica.network.readers.onnx_")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(tp.InputError, match=r"pip install 'tropica\[onnx\]'"):
        tp.load_network(file)


def test_listed_ops() -> None:
    """The list in the documentation is that of the code."""
    page = (Path(__file__).parents[3] / "docs" / "readers.md").read_text(encoding="utf8")
    assert ", ".join(supported()) in " ".join(page.split())
