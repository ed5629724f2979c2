"""A stopped calibration resumes after its last finished pass, with the same K, and refuses the state of another one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tropica as tp
from tests.cached import by_method, by_name, case_of, decomposition_of, network
from tropica.decomposition import calibrated
from tropica.decomposition.calibrated import calibrated_decomposition
from tropica.decomposition.load import load_decomposition
from tropica.errors import StoreError


class Stop(Exception):
    pass


def some(seed: int = 3) -> torch.Tensor:
    return case_of("mlp_deep").inputs(160, seed, torch.float64)


def calibrate(path: Path | None, x: torch.Tensor, **settings) -> tp.DCDecomposition:
    """Calibrate in several passes: the first step takes 8 points only."""
    return calibrated_decomposition(network("mlp_deep"), x, batch_size=8, memory=1, checkpoint=path, **settings)


def stop_in_pass(number: int):
    """A progress callback that raises in the middle of a pass."""
    seen = 0

    def progress(done: int, total: int, message: str) -> None:
        nonlocal seen
        if message == "calibrating":
            seen += done == 8
            if seen == number and done > total // 2:
                raise Stop

    return progress


@pytest.mark.parametrize("number", [1, 2])
def test_resumes_after_the_last_pass(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No finished pass is repeated; K, passes, history and certificate are those of an uninterrupted calibration."""
    whole = calibrate(None, some())
    assert len(whole.history) > 2
    with pytest.raises(Stop):
        calibrate(tmp_path / "state", some(), progress=stop_in_pass(number))
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    passes = 0
    original = calibrated.calibration_pass

    def counted(*args):
        nonlocal passes
        passes += 1
        return original(*args)

    monkeypatch.setattr(calibrated, "layer_by_layer", lambda *_, **__: pytest.fail("the first step is made again"))
    monkeypatch.setattr(calibrated, "calibration_pass", counted)
    again = calibrate(tmp_path / "state", some())
    assert passes == len(whole.history) - number
    assert again.fingerprint == whole.fingerprint
    assert (again.passes, again.history, again.smallest_cotangent) == (whole.passes, whole.history, whole.smallest_cotangent)


def test_as_it_is_called(tmp_path: Path) -> None:
    net, x = network("mlp_deep"), some()
    first = tp.decompose(net, x, checkpoint=tmp_path / "state", batch_size=16)
    assert tp.decompose(net, x, checkpoint=str(tmp_path / "state"), batch_size=16).fingerprint == first.fingerprint
    for other, what in ((x[:100], "points, batches"), (x.split(32), "batches")):
        with pytest.raises(StoreError, match=rf"another calibration \({what} differ"):
            tp.decompose(net, list(other) if isinstance(other, tuple) else other, checkpoint=tmp_path / "state", batch_size=16)
    with pytest.raises(StoreError, match="dtype differ"):
        tp.decompose(net, x, checkpoint=tmp_path / "state", batch_size=16, dtype=torch.float32)
    with pytest.raises(StoreError, match="cannot be written"):
        tp.decompose(net, x, checkpoint=tmp_path / "nowhere" / "state")


def test_other_points_are_refused(tmp_path: Path) -> None:
    net, x = network("mlp_deep"), some()
    with pytest.raises(Stop):
        tp.decompose(net, x, checkpoint=tmp_path / "state", batch_size=8, memory=1, progress=stop_in_pass(2))
    with pytest.raises(StoreError, match=r"the data differs: points 0 … 159"):
        tp.decompose(net, some(4), checkpoint=tmp_path / "state", batch_size=8, memory=1)


@pytest.mark.parametrize("text", [b"", b"{}", b"\0" * 100])
def test_a_damaged_checkpoint_is_no_obstacle(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "state").write_bytes(text)
    assert calibrate(tmp_path / "state", some()).fingerprint == calibrate(None, some()).fingerprint


def test_order_of_batches_does_not_matter() -> None:
    """Every batch starts from the same K: the assignment of batches to processes does not matter."""
    x = some()
    batches = list(x.split(8))
    forwards = calibrated_decomposition(network("mlp_deep"), batches, memory=2**30)
    backwards = calibrated_decomposition(network("mlp_deep"), batches[::-1], memory=2**30)
    assert forwards.fingerprint == backwards.fingerprint


# ── decompositions on disk ────────────────────────────────────────────────────────────────────────────────────────────────────


@by_method
@by_name
def test_a_decomposition_on_disk(tmp_path: Path, name: str, method: str) -> None:
    made = decomposition_of(name, method)
    made.save(tmp_path / "decomposition")
    again = load_decomposition(tmp_path / "decomposition", network(name))
    assert again.fingerprint == made.fingerprint
    assert (again.method, again.constant, again.passes, again.smallest_cotangent) == (
        made.method,
        made.constant,
        made.passes,
        made.smallest_cotangent,
    )
    assert list(again.history) == list(made.history)


def test_damaged_and_foreign_decompositions(tmp_path: Path) -> None:
    path = tmp_path / "decomposition"
    decomposition_of("mlp", "calibrated").save(path)
    with pytest.raises(StoreError, match="the decomposition of another network"):
        load_decomposition(path, network("mlp_deep"))
    raw = bytearray(path.read_bytes())
    raw[-5] ^= 1
    path.write_bytes(raw)
    with pytest.raises(StoreError, match="damaged"):
        load_decomposition(path, network("mlp"))
    with pytest.raises(StoreError, match="missing"):
        load_decomposition(tmp_path / "none", network("mlp"))
