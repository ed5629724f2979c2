"""A calibration that is stopped goes on behind its last finished pass, to the same K; and it does not take another's state."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tropica as tp
from tropica.errors import StoreError
from tropica.split import calibrated
from tropica.split.archive import load_split, save_split
from tropica.split.calibrated import calibrated_split
from tropica.split.sweep import Sweep

from ..extracted import by_method, by_name, case_of, network, split_of


class Stop(Exception):
    pass


def some(seed: int = 3) -> torch.Tensor:
    return case_of("mlp_deep").inputs(160, seed, torch.float64)


def calibrate(path: Path | None, x: torch.Tensor, **settings) -> tp.ConvexSplit:
    """Several passes: the first step sees 8 points only."""
    return calibrated_split(network("mlp_deep"), x, batch_size=8, memory=1, checkpoint=path, **settings)


def stop_in_pass(number: int):
    """Progress that stops in the middle of a pass."""
    seen = 0

    def progress(done: int, total: int, message: str) -> None:
        nonlocal seen
        if message == "calibrating":
            seen += done == 8
            if seen == number and done > total // 2:
                raise Stop

    return progress


@pytest.mark.parametrize("number", [1, 2])
def test_goes_on_behind_the_last_pass(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing finished is done again, and all is as without the stop: K, passes, history, certificate."""
    whole = calibrate(None, some())
    assert len(whole.history) > 2
    with pytest.raises(Stop):
        calibrate(tmp_path / "state", some(), progress=stop_in_pass(number))
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    passes = 0
    original = Sweep.over

    def counted(self, *args):
        nonlocal passes
        passes += 1
        return original(self, *args)

    monkeypatch.setattr(calibrated, "tight_weights", lambda *_, **__: pytest.fail("the first step is made again"))
    monkeypatch.setattr(Sweep, "over", counted)
    again = calibrate(tmp_path / "state", some())
    assert passes == len(whole.history) - number
    assert again.fingerprint == whole.fingerprint
    assert (again.passes, again.history, again.smallest) == (whole.passes, whole.history, whole.smallest)


def test_as_it_is_called(tmp_path: Path) -> None:
    net, x = network("mlp_deep"), some()
    first = tp.split(net, x, checkpoint=tmp_path / "state", batch_size=16)
    assert tp.split(net, x, checkpoint=str(tmp_path / "state"), batch_size=16).fingerprint == first.fingerprint
    for other, what in ((x[:100], "points, batches"), (x.split(32), "batches")):
        with pytest.raises(StoreError, match=rf"the calibration of something else \({what} differ"):
            tp.split(net, list(other) if isinstance(other, tuple) else other, checkpoint=tmp_path / "state", batch_size=16)
    with pytest.raises(StoreError, match="dtype differ"):
        tp.split(net, x, checkpoint=tmp_path / "state", batch_size=16, dtype=torch.float32)
    with pytest.raises(StoreError, match="cannot be written"):
        tp.split(net, x, checkpoint=tmp_path / "nowhere" / "state")


def test_other_points_are_refused(tmp_path: Path) -> None:
    net, x = network("mlp_deep"), some()
    with pytest.raises(Stop):
        tp.split(net, x, checkpoint=tmp_path / "state", batch_size=8, memory=1, progress=stop_in_pass(2))
    with pytest.raises(StoreError, match=r"the data differs: points 0 … 159"):
        tp.split(net, some(4), checkpoint=tmp_path / "state", batch_size=8, memory=1)


@pytest.mark.parametrize("text", [b"", b"{}", b"\0" * 100])
def test_a_damaged_checkpoint_is_no_obstacle(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "state").write_bytes(text)
    assert calibrate(tmp_path / "state", some()).fingerprint == calibrate(None, some()).fingerprint


def test_order_of_batches_does_not_matter() -> None:
    """Every batch starts from the same K: which process has which makes no difference."""
    x = some()
    batches = list(x.split(8))
    forwards = calibrated_split(network("mlp_deep"), batches, memory=2**30)
    backwards = calibrated_split(network("mlp_deep"), batches[::-1], memory=2**30)
    assert forwards.fingerprint == backwards.fingerprint


# ── splits on disk ────────────────────────────────────────────────────────────────────────────────────────────────────


@by_method
@by_name
def test_a_split_on_disk(tmp_path: Path, name: str, method: str) -> None:
    made = split_of(name, method)
    save_split(made, tmp_path / "split")
    again = load_split(tmp_path / "split", network(name))
    assert again.fingerprint == made.fingerprint
    assert (again.method, again.constant, again.passes, again.smallest) == (
        made.method,
        made.constant,
        made.passes,
        made.smallest,
    )
    assert list(again.history) == list(made.history)


def test_damaged_and_foreign_splits(tmp_path: Path) -> None:
    path = tmp_path / "split"
    save_split(split_of("mlp", "calibrated"), path)
    with pytest.raises(StoreError, match="the split of another network"):
        load_split(path, network("mlp_deep"))
    raw = bytearray(path.read_bytes())
    raw[-5] ^= 1
    path.write_bytes(raw)
    with pytest.raises(StoreError, match="damaged"):
        load_split(path, network("mlp"))
    with pytest.raises(StoreError, match="missing"):
        load_split(tmp_path / "none", network("mlp"))
