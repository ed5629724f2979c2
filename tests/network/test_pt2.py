"""``tp.load_network``: the same network as a trace of the model that was archived."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import tropica as tp
from tests.network.archives import save
from tests.network_families import mlp
from tests.network_modules import Headed
from tests.traced import case_of, model_of, points, traced

NAMES = (
    *("mlp", "mnist_conv", "resnet_negative", "inverted_residual", "shufflenet", "unet", "patch_mlp", "maxout"),
    *("weight_norm_linear", "conv1d_circular", "softmax", "sigmoid", "prelu_mixed", "softshrink", "clamp_tensor"),
    *("adaptive_max_pool2d", "index_select", "einsum", "max_dim_keepdim", "relu_inplace", "upsample_bilinear", "cat_constant"),
)


@pytest.mark.parametrize("name", NAMES)
def test_same_as_a_trace(name: str, tmp_path: Path) -> None:
    """Values, nonlinearities, their module paths and source lines, and the dropped head."""
    x = points(name, 5)
    net = tp.load_network(save(model_of(name), x[:2], tmp_path / "model.pt2"))
    wanted = traced(name)
    assert_close(net(x), wanted(x), rtol=1e-12, atol=1e-12)
    assert_close(net(x[:1]), wanted(x[:1]), rtol=1e-12, atol=1e-12)
    assert (net.dropped, net.dtype, net.input_shape) == (wanted.dropped, wanted.dtype, wanted.input_shape)
    assert [(k.op, k.unit_shape, k.path, k.origin.source) for k in net.nonlinearities] == [
        (k.op, k.unit_shape, k.path, k.origin.source) for k in wanted.nonlinearities
    ]
    assert {n.origin.path for n in net.graph.nodes} <= {name for name, _ in model_of(name).named_modules()}
    assert net.activation_pattern(x).equal(wanted.activation_pattern(x))


class Eval(nn.Module):
    """In-place code, dropout, batch norm, a non-persistent buffer and a literal tensor in one model."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(inplace=True), nn.Dropout(0.5))
        self.out = nn.Linear(6, 3)
        self.register_buffer("shift", torch.linspace(-1, 1, 6), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        h = self.block(x)
        h += self.shift
        h[:, 0] = 0.5
        h = h.contiguous(memory_format=torch.contiguous_format) + torch.zeros(x.shape[0], 6, dtype=x.dtype, device=x.device)
        return self.out(h.clamp_(-1, float("inf")) * torch.tensor([1.0, 2.0, 3.0, 1.0, 2.0, 3.0])).softmax(-1)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_code_of_many_kinds(strict: bool, dtype: torch.dtype, tmp_path: Path) -> None:
    torch.set_default_dtype(dtype)
    try:
        model, x = Eval().eval(), torch.randn(6, 4)
        net = tp.load_network(save(model, x[:3], tmp_path / "model.pt2", strict=strict))
        assert_close(net(x).softmax(1), model(x))
    finally:
        torch.set_default_dtype(torch.float32)
    assert [(nonlinearity.path, nonlinearity.op.name) for nonlinearity in net.nonlinearities] == [
        ("block.2", "relu"),
        ("", "maximum"),
    ]
    assert net.dropped == "softmax"


def test_decomposed_archive(tmp_path: Path) -> None:
    """An archive in core ATen ops, as other tools write it."""
    model, x = case_of("resnet").make(0), points("resnet", 3, dtype=torch.float32)
    program = torch.export.export(model, (x[:2],), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)).run_decompositions()
    torch.export.save(program, tmp_path / "model.pt2")
    net = tp.load_network(tmp_path / "model.pt2")
    assert_close(net(x), model(x), rtol=1e-5, atol=1e-6)
    assert len(net.nonlinearities) == len(traced("resnet").nonlinearities)


def test_path_and_device(tmp_path: Path) -> None:
    """The path may be a string; the device is an argument."""
    path = save(mlp(3, 4, 2).eval(), torch.zeros(2, 3), tmp_path / "net.pt2")
    assert tp.load_network(str(path), device="cpu").device == torch.device("cpu")


def test_expanded_weight(tmp_path: Path) -> None:
    """A buffer that is a view: strides and an offset, or one number many times."""

    class Views(nn.Module):
        column: Tensor
        turned: Tensor
        many: Tensor
        none: Tensor

        def __init__(self) -> None:
            super().__init__()
            table = torch.arange(12.0).view(3, 4)
            self.register_buffer("column", table[:, 1])
            self.register_buffer("turned", table.T)
            self.register_buffer("none", torch.empty(0, 3))
            self.register_buffer("many", torch.tensor([2.0]).expand(3))

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x @ self.turned.T) @ self.turned * self.column + self.many + self.none.sum()

    model, x = Views().eval(), torch.randn(4, 3)
    assert_close(tp.load_network(save(model, x, tmp_path / "model.pt2"))(x), model(x))


def test_unsupported_operation(tmp_path: Path) -> None:
    """The error is that of a trace, with the archived model's own module path and source line, and the file's name."""
    head = Headed(mlp(3, 4, 2), nn.Sequential(nn.Tanh(), nn.Linear(2, 2)))
    path = save(head.eval(), torch.zeros(2, 3), tmp_path / "model.pt2")
    with pytest.raises(tp.UnsupportedOperation, match=r"model\.pt2: tropica cannot use") as caught:
        tp.load_network(path)
    assert (caught.value.op, caught.value.path) == ("aten.tanh.default", "head.0")
    assert caught.value.source.endswith("return self.head(self.body(x))")

    class Product(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x) * x

    with pytest.raises(tp.UnsupportedOperation, match="two activations") as caught:
        tp.load_network(save(nn.Sequential(Product()).eval(), torch.zeros(2, 3), path))
    assert (caught.value.path, caught.value.source.rpartition("  ")[2]) == ("0", "return torch.relu(x) * x")


def test_training_mode(tmp_path: Path) -> None:
    """An archive has no mode; ops that were exported in training mode are refused one by one."""
    for layer, why in ((nn.Dropout(), "drops units"), (nn.BatchNorm1d(4), "changes its own buffers|statistics of its own")):
        path = save(nn.Sequential(nn.Linear(3, 4), layer, nn.ReLU()).train(), torch.zeros(2, 3), tmp_path / "model.pt2")
        with pytest.raises(tp.TropicaError, match=why):
            tp.load_network(path)


def test_other_errors_of_a_trace(tmp_path: Path) -> None:
    model = mlp(3, 4, 2).eval()
    with torch.no_grad():
        model[2].weight[0] = torch.nan  # type: ignore[union-attr, index]
    with pytest.raises(tp.NonFiniteWeights, match=r"model\.pt2: 2\.weight has 4 values"):
        tp.load_network(save(model, torch.zeros(2, 3), tmp_path / "model.pt2"))

    class Centerd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x - x.mean(0))

    with pytest.raises(tp.TraceError, match="other points of its batch"):
        tp.load_network(save(Centerd().eval(), torch.zeros(2, 3), tmp_path / "model.pt2"))
