"""Functions and terms that outlive the place or the process they were made in."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

import tropica as tp
from tests.cached import network, points


def test_functions_are_pickled(tmp_path: Path) -> None:
    net, x = network("mlp"), points("mlp")
    for terms in (tp.extract(net, x), tp.extract(net, x, out=tmp_path / "terms")):
        f = tp.ExtractedFunction(terms)
        assert torch.equal(pickle.loads(pickle.dumps(f)).active_term(x), f.active_term(x))


def test_relative_folders_survive_another_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = network("mlp"), points("mlp")
    monkeypatch.chdir(tmp_path)
    written = tp.extract(net, x, out="terms")
    read = tp.load_terms("terms")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for terms in (written, read):
        assert torch.equal(tp.ExtractedFunction(terms).predict(x), net.predict(x))


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_sigterm_releases_the_lock(tmp_path: Path) -> None:
    class Killed(Dataset[Tensor]):
        def __len__(self) -> int:
            return 20

        def __getitem__(self, index: int) -> Tensor:
            if index == 10:
                os.kill(os.getpid(), signal.SIGTERM)
            return points("mlp")[index]

    with pytest.raises(KeyboardInterrupt):
        tp.extract(network("mlp"), Killed(), out=tmp_path / "terms")
    assert not (tmp_path / "terms" / "lock").exists()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_models_and_points_made_in_inference_mode() -> None:
    with torch.inference_mode():
        torch.manual_seed(0)
        model, x = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval(), torch.randn(20, 4)
    terms = tp.extract(model, x)
    assert torch.equal(tp.ExtractedFunction(terms).predict(x), model(x).argmax(1))
    assert all(parameter.is_inference() for parameter in model.parameters())
