"""``tp.decompose`` apart from its methods: the network, the batch size, and F⁺ and F⁻."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import tropica as tp
from tests.cached import network, points
from tropica.network.batch_size import default_batch_size
from tropica.network.trace import as_network


@pytest.mark.parametrize("name", ["mlp", "mnist_conv", "resnet", "densenet"])
def test_default_batch_size(name: str) -> None:
    """The largest power of two up to 1024 for which twice the values of all nodes fit in memory."""
    net = network(name)
    numbers = 0

    def count(module_out: torch.Tensor) -> None:
        nonlocal numbers
        numbers += module_out.numel()

    values = {"input": torch.zeros(1, *net.input_shape, dtype=net.dtype)}
    for node in net.graph.nodes:
        values[node.name] = node.apply([values[i] for i in node.inputs], net.constants)
        count(values[node.name])
    need = 2 * 8 * numbers
    assert default_batch_size(net) == 1024
    assert default_batch_size(net, memory=64 * need) == 64
    assert default_batch_size(net, memory=64 * need - 1) == 32
    assert default_batch_size(net, memory=1) == 1
    assert default_batch_size(net.to(torch.float32), memory=64 * need) == 128


def test_a_network_is_taken_as_it_is() -> None:
    net = network("mlp")
    assert as_network(net, None) is net
    assert tp.decompose(net, points("mlp")).net is net


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_module_is_traced_in_its_own_dtype(dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).to(dtype).eval()
    for data in (torch.randn(5, 4), torch.randn(5, 4, dtype=torch.float64).numpy(), [torch.randn(1, 4), torch.randn(4, 4)]):
        assert as_network(model, data).dtype == dtype


def test_a_module_without_parameters() -> None:
    assert as_network(nn.Sequential(nn.ReLU(), nn.Flatten()).eval(), torch.randn(5, 4)).dtype == torch.float32
    assert tp.decompose(nn.ReLU().eval(), torch.randn(5, 4)).smallest_cotangent == 0


def test_training_mode_is_refused() -> None:
    with pytest.raises(tp.TrainingModeError):
        tp.decompose(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.randn(5, 4))


@pytest.mark.parametrize("option", [{"per": "network"}, {"margin": 0.1}])
@pytest.mark.parametrize("method", ["calibrated", "paper"])
def test_options_of_another_method_are_refused(method: str, option: dict) -> None:
    with pytest.raises(tp.InputError, match="options of the minimal decomposition"):
        tp.decompose(network("mlp"), points("mlp"), method=method, **option)


def test_the_paper_decomposition_has_no_checkpoint(tmp_path) -> None:
    with pytest.raises(tp.InputError, match="checkpoint is an option of"):
        tp.decompose(network("mlp"), method="paper", checkpoint=tmp_path / "state")


@pytest.mark.parametrize("name", ["mlp", "one_logit"])
def test_f_plus_and_f_minus(name: str) -> None:
    """N = F⁺ − F⁻, and each function is convex on the segments between data points."""
    net, x = network(name), points(name)
    dec = tp.decompose(net, x, method="paper")
    plus, minus = dec.f_plus(x), dec.f_minus(x)
    assert plus.shape == (len(x), net.num_outputs)
    torch.testing.assert_close(plus - minus[:, None], net(x), rtol=1e-9, atol=1e-9 * float(minus.abs().max()))
    middle = (x + x.flip(0)) / 2
    for f in (dec.f_plus, dec.f_minus):
        allowed = 1e-12 * float(f(x).abs().max())
        assert (f(middle) <= (f(x) + f(x.flip(0))) / 2 + allowed).all()


def test_the_summary() -> None:
    dec = tp.decompose(network("mlp"), points("mlp"))
    summary = dec.summary()
    table = summary.to_dataframe()
    assert list(table["nonlinearity"]) == [node.name for node in network("mlp").nonlinearities]
    assert summary.largest == table["largest"].max() == max(float(k.max()) for k in dec.multipliers.values())
    assert repr(dec).startswith("DCDecomposition(calibrated, 2 nonlinearities, largest K ")
    assert "<table" in dec._repr_html_()
    assert "largest" in summary._repr_html_()
