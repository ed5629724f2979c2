"""Weights of ``--weights``: state dicts of torch.save as training frameworks write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tropica as tp
from tropica.cli.weights import load_weights


def make() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def prefixed(prefix: str) -> Callable[[nn.Module], dict[str, Any]]:
    return lambda model: {f"{prefix}{name}": tensor for name, tensor in model.state_dict().items()}


SAVED: dict[str, Callable[[nn.Module], Any]] = {
    "plain": lambda model: model.state_dict(),
    "data parallel": prefixed("module."),
    "compiled": prefixed("_orig_mod."),
    "both": prefixed("module._orig_mod."),
    "averaged": lambda model: torch.optim.swa_utils.AveragedModel(model).state_dict(),
    "framework": lambda model: {"state_dict": prefixed("model.")(model), "epoch": 3, "optimizer_states": [{"lr": 0.1}]},
    "inner": lambda model: {name.replace("0.", "0._orig_mod."): t for name, t in model.state_dict().items()},
}


@pytest.mark.parametrize("name", SAVED)
@pytest.mark.parametrize("wrapped", [False, True])
def test_prefixes(name: str, wrapped: bool, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """Names fit without the prefixes of wrappers, in the file or in the model, and a note says so."""
    model, other = make(), make()
    torch.save(SAVED[name](model), tmp_path / "weights.pt")
    load_weights(nn.DataParallel(other) if wrapped else other, tmp_path / "weights.pt")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    notes = [str(w.message) for w in recwarn if "weights.pt" in str(w.message)]
    assert any("without the prefixes" in note for note in notes) == ((name, wrapped) not in NO_NOTE)
    assert any("under its key 'state_dict'" in note for note in notes) == (name == "framework")


NO_NOTE = {("plain", False), ("data parallel", True), ("averaged", True)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            lambda model: {**prefixed("model.")(model), "loss.weight": torch.ones(2)},
            "missing: 0.weight.*unexpected: model.0.weight",
        ),
        (lambda model: model, "nothing of it is run; save the weights alone"),
        (lambda model: {"weights": 3}, "no state dict, but the keys weights"),
        (lambda model: [torch.ones(2)], "holds a list, not weights by name"),
        (
            lambda model: {"model": model.state_dict(), "state_dict": model.state_dict()},
            "weights under several keys, model, state_dict|state_dict, model",
        ),
        (lambda model: {**model.state_dict(), "0.weight": model[0].weight.to(torch.int8)}, "0.weight is torch.int8"),
        (lambda model: {**model.state_dict(), "0.weight": model[0].weight.to(torch.complex64)}, "0.weight is torch.complex64"),
        (lambda model: {**model.state_dict(), "0.weight": model[0].weight.to_sparse()}, "0.weight is sparse"),
        (lambda model: {**model.state_dict(), "0.bias": torch.ones(3)}, r"of another shape: 0.bias is \(3,\)"),
    ],
)
def test_files_that_do_not_fit(content: Callable[[nn.Module], Any], message: str, tmp_path: Path) -> None:
    torch.save(content(make()), tmp_path / "weights.pth")
    with pytest.raises(tp.InputError, match=message):
        load_weights(make(), tmp_path / "weights.pth")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_files_without_weights(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(make(), torch.zeros(1, 3)), tmp_path / "script.pt")
    (tmp_path / "text.pt").write_text("weights")
    (tmp_path / "empty.ckpt").touch()
    for name, message in (("script.pt", "a TorchScript archive"), ("text.pt", "damaged"), ("empty.ckpt", "damaged")):
        with pytest.raises(tp.DataError, match=message):
            load_weights(make(), tmp_path / name)


def test_files_without_counters_of_batches(tmp_path: Path) -> None:
    """Files of old and of other libraries have the statistics of batch norm alone."""
    model, other = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    nn.init.normal_(model.weight)
    torch.save({name: t for name, t in model.state_dict().items() if name != "num_batches_tracked"}, tmp_path / "weights.pt")
    load_weights(other, tmp_path / "weights.pt")
    assert torch.equal(other.weight, model.weight)
