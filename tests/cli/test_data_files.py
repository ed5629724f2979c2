"""Commands on data read lazily from a file, and the check of a damaged store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import tropica as tp
from tests.cli.folder import refuse, run, succeed
from tests.data.test_file_data import images, parquet
from tropica.studies.datasets.load import load_data


@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_terms_of_data_in_a_file(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Extraction and both evaluations at the command line give the results of data in memory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / f"lazy_{kind}.py").write_text(
        "import torch\n"
        "def net():\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(90, 8), torch.nn.ReLU(), torch.nn.Linear(8, 4))\n"
    )
    pixels = images()
    np.savez(tmp_path / "whole.npz", x_train=pixels, y_train=np.arange(23) % 4, x_test=pixels, y_test=np.arange(23) % 4)
    if kind == "npy":
        np.save(tmp_path / "data.npy", pixels)
    else:
        parquet(tmp_path / "data.parquet", pixels)
    model = f"lazy_{kind}:net"
    succeed("extract", model, "--data", f"data.{kind}", "-o", "lazy", "--memory", "500MB")
    succeed("extract", model, "--data", "whole.npz", "-o", "kept")
    assert torch.equal(tp.load_terms("lazy").plus.weight, tp.load_terms("kept").plus.weight)
    succeed("evaluate", model, "--streaming", "--train", f"data.{kind}", "--data", "whole.npz", "--csv", "a.csv")
    succeed("evaluate", model, "--streaming", "--data", "whole.npz", "--csv", "b.csv")
    assert Path("a.csv").read_text() == Path("b.csv").read_text()
    coarse = ("extract", model, "--data", f"data.{kind}", "-o", "coarse", "--stored-dtype", "bfloat16")
    assert "leaves 0." in run(*coarse).stderr
    assert run(*coarse, "--on-failure", "warn").exit_code == 0
    result = succeed("evaluate", "coarse", "--data", "whole.npz")
    assert "stored in a coarser dtype" in result.stdout
    succeed("evaluate", "coarse", "--data", "whole.npz", "--model", model, "--train", f"data.{kind}", "--csv", "c.csv")
    assert Path("c.csv").read_text() == Path("b.csv").read_text()
    assert "a size is a number" in refuse("extract", model, "--data", f"data.{kind}", "-o", "x", "--memory", "much")
    assert "goes with" in refuse("evaluate", "coarse", "--data", "whole.npz", "--train", "whole.npz")


def test_verify_at_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10)).eval()
    tp.extract(model, load_data("digits", limit=50), out="terms")
    assert "none" in succeed("check", "terms", "--json", "v.json").stdout
    shard = tmp_path / "terms" / "shard-00000.safetensors"
    raw = bytearray(shard.read_bytes())
    raw[-1] ^= 1
    shard.write_bytes(raw)
    result = run("check", "terms", "--json", "v.json")
    assert result.exit_code == 1
    assert "shard-00000.safetensors: damaged (the checksum of" in result.stdout.replace("\n", " ")
    assert result.stderr == "error: terms: damaged or missing files: 1; repeat the extraction to write them again\n"
    assert "not a store of terms" in refuse("check", "nowhere")
