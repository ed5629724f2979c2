"""Models of any signature: several inputs and outputs, keyword arguments, images and sequences as outputs."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.testing import assert_close

import tropica as tp

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
Pair = namedtuple("Pair", "first second")


@dataclass
class Answer:
    logits: Tensor
    inner: dict[str, Tensor]


class Many(nn.Module):
    """Returns its two layers in one of many forms."""

    def __init__(self, form: str = "tuple") -> None:
        super().__init__()
        self.form = form
        self.first, self.second = nn.Linear(4, 3), nn.Linear(4, 2)
        self.eval()

    def forward(self, x: Tensor) -> Any:
        a, b = self.first(x).relu(), self.second(x).relu()
        forms = {"tuple": (a, b), "dict": {"a": a, "b": b}, "named": Pair(a, b), "dataclass": Answer(a, {"b": b})}
        return {**forms, "nested": ([a], {"x": (b, 5)}), "nothing": None, "numbers": [1.0, 2.0]}[self.form]


PICKED = [
    ("tuple", 1, "second"),
    ("tuple", -2, "first"),
    ("dict", "a", "first"),
    ("named", "second", "second"),
    ("named", 0, "first"),
    ("dataclass", "logits", "first"),
    ("dataclass", ("inner", "b"), "second"),
    ("nested", (0, 0), "first"),
    ("nested", [1, "x", 0], "second"),
]


@pytest.mark.parametrize(("form", "output", "layer"), PICKED)
def test_output(form: str, output: Any, layer: str) -> None:
    model = Many(form)
    net = tp.trace(model, X, output=output)
    assert_close(net(X), model.get_submodule(layer)(X).relu())
    assert [node.path for node in net.nonlinearities] == [""]
    assert {node.origin.path for node in net.graph.nodes} == {"", layer}


WRONG: list[tuple[str, Any, type[Exception], str]] = [
    ("tuple", None, tp.TraceError, "returns a tuple of 2; pick one .* output=0"),
    ("dict", None, tp.TraceError, "a dict with the keys 'a', 'b'; pick .* output='a'"),
    ("dataclass", None, tp.TraceError, "a Answer with logits, inner; pick .* output='logits'"),
    ("nothing", None, tp.TraceError, "returns a NoneType; it must return a tensor"),
    ("numbers", None, tp.TraceError, "returns a list of 2; it must return a tensor"),
    ("nested", None, tp.TraceError, r"pick .* output=\(0, 0\)"),
    ("tuple", 2, tp.InputError, "output=2 is not a part of a tuple of 2"),
    ("dict", "c", tp.InputError, "output='c' is not a part of a dict with the keys 'a', 'b'"),
    ("dataclass", "inner", tp.InputError, "leads to a dict with the keys 'b'; it must lead to a tensor"),
    ("tuple", (0, 1), tp.InputError, "the part 0 of the model's output is a tensor already"),
    ("tuple", 1.5, tp.InputError, "must be an index, a key"),
]


@pytest.mark.parametrize(("form", "output", "error", "why"), WRONG)
def test_wrong_output(form: str, output: Any, error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        tp.trace(Many(form), X, output=output)


def test_output_of_a_tensor() -> None:
    with pytest.raises(tp.InputError, match="is a tensor already; output=0 picks a part of it"):
        tp.trace(nn.Linear(4, 3).eval(), X, output=0)


class Inputs(nn.Module):
    """Takes a mask, the batch, a switch and further keyword arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.eval()

    def forward(self, mask: Tensor, x: Tensor, switch: bool = False, *, scale: float = 1.0, parts: Any = ()) -> Tensor:
        out = self.layer(x * mask) * scale
        return torch.relu(out) + sum(parts) if switch else out


def test_fixed() -> None:
    model, mask, part = Inputs(), torch.tensor([[1.0, 0.0, 2.0, 1.0]]), torch.ones(3)
    given = {"mask": mask, "switch": True, "scale": -2.0, "parts": [part, 3.0]}
    net = tp.trace(model, X, fixed=given)
    wanted = model(mask, X, True, scale=-2.0, parts=[part, 3.0])
    assert_close(net(X), wanted)
    mask.zero_()  # the network has copies
    part.zero_()
    assert_close(net(X), wanted)


def test_wrong_fixed() -> None:
    for fixed, why in (
        ({"masks": 1}, r"fixed has masks, and the model's forward takes mask, x, switch, scale, parts"),
        ({"mask": X, "x": X, "switch": True}, "one input must be left for the batch: .* fixed holds mask, x, switch"),
        ({}, r"missing 1 required positional argument: 'x'; hold every argument but the batch at a value: fixed="),
        ({"mask": torch.zeros(1, 5)}, "the model itself fails on the example"),
    ):
        with pytest.raises(tp.InputError, match=why):
            tp.trace(Inputs(), X, fixed=fixed)


class Anything(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        return torch.relu(self.layer(*args)) * kwargs.get("scale", 1)


def test_any_arguments() -> None:
    model = Anything().eval()
    assert_close(tp.trace(model, X)(X), model(X))
    assert_close(tp.trace(model, X, fixed={"scale": -3.0})(X), model(X, scale=-3.0))


class ByName(nn.Linear):
    """Takes its input by name alone."""

    def forward(self, *, x: Tensor, scale: float = 1.0) -> Tensor:  # type: ignore[override]
        return super().forward(x).relu() * scale


def test_input_by_name() -> None:
    model = ByName(4, 3).eval()
    assert_close(tp.trace(model, X, fixed={"scale": 2.0})(X), model(x=X, scale=2.0))
    with pytest.raises(tp.InputError, match="takes x, scale, and fixed holds x"):
        tp.trace(model, X, fixed={"x": X})


def test_averaged_model() -> None:
    """The average is a wrapper, as in SWA and EMA; paths are those of the model in it."""
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    averaged = AveragedModel(model)
    averaged.update_parameters(model)
    net = tp.trace(averaged.eval(), X)
    assert_close(net(X), averaged(X))
    assert [node.path for node in net.nonlinearities] == ["1"]


def test_flatten_output() -> None:
    """Images and sequences as outputs: entries in the order of flatten."""
    model = nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 3, 1), nn.ReLU()).eval()
    net = tp.trace(model, X, flatten_output=True)
    assert_close(net(X), model(X).flatten(1))
    with pytest.raises(tp.TraceError, match=r"shape \(B, 3, 2, 2\); .* \(flatten_output=True"):
        tp.trace(model, X)
    plain = nn.Linear(4, 3).eval()
    assert_close(tp.trace(plain, X, flatten_output=True)(X), plain(X))


def test_recurrent_layer() -> None:
    layer = nn.RNN(4, 3, nonlinearity="relu", batch_first=True, num_layers=2).eval()
    x = torch.randn(3, 5, 4)
    assert_close(tp.trace(layer, x, output=0, flatten_output=True)(x), layer(x)[0].flatten(1))
    state = torch.ones(2, 1, 3)
    with pytest.raises(tp.TropicaError):  # a state for each point cannot be held
        tp.trace(layer, x, output=0, fixed={"hx": state})


# ── exported programs ──────────────────────────────────────────────────────────────────────────────────────────────────


def exported(dynamic: bool) -> torch.export.ExportedProgram:
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).eval()
    return torch.export.export(model, (X,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},) if dynamic else None)


def test_exported_programs() -> None:
    program = exported(True)
    with pytest.raises(tp.InputError, match=r"got an ExportedProgram; .*tp\.load_network"):
        tp.trace(program, X)  # type: ignore[arg-type]
    module = program.module()
    assert_close(tp.trace(module, X)(X), module(X))
    inside = nn.Sequential(module, nn.ReLU())
    inside.training = inside[1].training = False
    assert_close(tp.trace(inside, X)(X), inside(X))


def test_exported_for_one_batch_size() -> None:
    with pytest.raises(tp.TraceError, match=r"one batch size only.*dynamic_shapes="):
        tp.trace(exported(False).module(), X)
