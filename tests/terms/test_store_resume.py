"""Interrupted extractions resume and write the same bytes; another extraction in the same folder is refused."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import tropica as tp
from tests.cached import case_of, decomposition_of, network, points
from tests.sizes import some_slow
from tests.terms.stores import NAME, content, extract, interrupt, same
from tropica.decomposition import extract_to_store
from tropica.decomposition import extraction as extraction_module
from tropica.terms.store import writer


@pytest.mark.parametrize("after", [1, 2, 3])
def test_resume(tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are those of an uninterrupted extraction, and no finished shard is extracted again."""
    extract(tmp_path / "whole")
    interrupt(tmp_path / "resumed", after)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "resumed").glob("shard-*")}
    assert len(before) == after
    with pytest.raises(tp.StoreError, match="not finished; run it again"):
        tp.load_terms(tmp_path / "resumed")
    batches = 0
    original = extraction_module.batch_terms

    def counted(*args, **settings):
        nonlocal batches
        batches += 1
        return original(*args, **settings)

    monkeypatch.setattr(extraction_module, "batch_terms", counted)
    extract(tmp_path / "resumed")
    assert batches == 2 * (4 - after)
    assert content(tmp_path / "resumed") == content(tmp_path / "whole")
    for name, time in before.items():
        assert (tmp_path / "resumed" / name).stat().st_mtime_ns == time
    batches = 0
    extract(tmp_path / "resumed")  # complete
    assert batches == 0
    assert content(tmp_path / "resumed") == content(tmp_path / "whole")


@pytest.mark.parametrize("method", ["calibrated", "paper"])
def test_resume_with_the_stored_decomposition(tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a method as the decomposition, a resumed run reuses the stored decomposition and its certificate."""
    wanted = extract(None, decomposition=method)
    interrupt(tmp_path / "terms", 2, decomposition=method)
    with monkeypatch.context() as patch:
        patch.setattr(extract_to_store, "decomposition_for", lambda *_, **__: pytest.fail("a decomposition is made again"))
        same(extract(tmp_path / "terms", decomposition=method), wanted)
        same(extract(tmp_path / "terms", decomposition=method), wanted)
    (tmp_path / "terms" / "decomposition.safetensors").unlink()
    whole = content(tmp_path / "terms")
    same(extract(tmp_path / "terms", decomposition=method), wanted)
    assert {**content(tmp_path / "terms"), "decomposition.safetensors": b""} == {**whole, "decomposition.safetensors": b""}


def test_resume_without_the_given_decomposition(tmp_path: Path) -> None:
    """A decomposition that was given is read from the store."""
    interrupt(tmp_path / "terms", 2)
    same(extract(tmp_path / "terms", decomposition="calibrated"), extract(None))


@pytest.mark.parametrize("nth", some_slow((4, 1, 2, 3, 5, 6, 7, 8, 9, 11), quick=1))
def test_killed_while_writing(tmp_path: Path, nth: int) -> None:
    """A process killed while it flushes its n-th file (or folder) leaves a store that can be resumed."""
    code = (
        "import os, sys, torch\n"
        "from tests.terms.stores import extract\n"
        "from pathlib import Path\n"
        "calls, flush = [0], os.fsync\n"
        "def die(fd):\n"
        "    calls[0] += 1\n"
        f"    if calls[0] == {nth}: os._exit(9)\n"
        "    flush(fd)\n"
        "os.fsync = die\n"
        "extract(Path(sys.argv[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "terms")], capture_output=True)
    assert done.returncode == 9, done.stderr
    extract(tmp_path / "terms")
    extract(tmp_path / "whole")
    assert content(tmp_path / "terms") == content(tmp_path / "whole")


# ── another extraction in the same folder ─────────────────────────────────────────────────────────────────────────────


def test_other_extractions_are_refused(tmp_path: Path) -> None:
    """The error names the differences, and the folder is unchanged."""
    extract(tmp_path / "terms")
    before = content(tmp_path / "terms")
    other = tp.trace(case_of(NAME).make(1).double(), points(NAME))
    changes = [
        (
            r"network is \w{8}… there, \w{8}… here; decomposition is",
            {"net": other, "decomposition": tp.decompose(other, points(NAME))},
        ),
        (r"method is calibrated there, paper here; decomposition is", {"decomposition": decomposition_of(NAME, "paper")}),
        (r"method is calibrated there, paper here", {"decomposition": "paper"}),
        (r"points is 32 there, 30 here", {"data": points(NAME)[:30]}),
        (r"batch_size is 4 there, 8 here", {"batch_size": 8}),
        (r"dtype is float64 there, float32 here", {"net": network(NAME).to(torch.float32), "data": points(NAME).float()}),
        (r"stored_dtype is float64 there, float32 here", {"stored_dtype": torch.float32}),
        (r"batches is \w{8}… there, \w{8}… here", {"data": list(points(NAME).split(2))}),
    ]
    for message, change in changes:
        with pytest.raises(tp.StoreError, match=rf"{re.escape(str(tmp_path))}.*another extraction: .*{message}"):
            extract(tmp_path / "terms", **change)
    with pytest.raises(tp.StoreError, match=r"network is.*at is none there, 2 here"):
        tp.extract(network(NAME), points(NAME), at="2", out=tmp_path / "terms", batch_size=4)
    assert content(tmp_path / "terms") == before


@pytest.mark.parametrize("after", [2, 4])
def test_other_points_are_refused(tmp_path: Path, after: int) -> None:
    """Other points with the same decomposition are refused with the indices of these points, and nothing is changed."""
    interrupt(tmp_path / "terms", after, check="none")
    before = content(tmp_path / "terms")
    x = points(NAME).clone()
    x[9] += 0.5
    with pytest.raises(tp.StoreError, match=r"the data differs: points 8 … 15 are not those"):
        extract(tmp_path / "terms", data=x, check="none")
    assert content(tmp_path / "terms") == before
    same(extract(tmp_path / "terms", check="none"), extract(None, check="none"))


def test_other_points_are_refused_where_they_were_calibrated(tmp_path: Path) -> None:
    """Points without terms yet, but used in the calibration, are compared as well."""
    interrupt(tmp_path / "terms", 1, decomposition="calibrated")
    x = points(NAME).clone()
    x[30] += 0.5
    with pytest.raises(tp.StoreError, match=r"the data differs: points 24 … 31 are not those"):
        extract(tmp_path / "terms", data=x, decomposition="calibrated")


def test_a_given_decomposition_is_checked_after_a_resume_without_it(tmp_path: Path) -> None:
    """A given decomposition may fail on these points: a resumed run must not treat it as calibrated on them."""
    other = tp.decompose(network(NAME), 0.05 * points(NAME)[:2])
    interrupt(tmp_path / "terms", 1, decomposition=other, on_failure="warn")
    with pytest.raises(tp.CertificateError, match="a cotangent is negative"):
        extract(tmp_path / "terms", decomposition="calibrated")
    (tmp_path / "terms" / "decomposition.safetensors").unlink()
    with pytest.raises(tp.StoreError, match="give it again"):
        extract(tmp_path / "terms", decomposition="calibrated")


def test_unchecked_shards_are_extracted_again(tmp_path: Path) -> None:
    """After an extraction without a check, one with a check certifies all points."""
    extract(tmp_path / "terms", check="none")
    same(extract(tmp_path / "terms"), extract(None))


def test_the_stored_decomposition_may_be_given(tmp_path: Path) -> None:
    """The bytes are those of an uninterrupted run."""
    whole = extract(tmp_path / "whole", decomposition="calibrated")
    interrupt(tmp_path / "terms", 2, decomposition="calibrated")
    extract(tmp_path / "terms", decomposition=tp.decompose(network(NAME), points(NAME), batch_size=4))
    assert content(tmp_path / "terms") == content(tmp_path / "whole")
    assert whole.certificate.holds


def test_other_threads_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(tmp_path / "terms", 1)
    monkeypatch.setattr(writer, "versions", lambda: {"torch": "0.1", "threads": "64"})
    noted = f"threads {torch.get_num_threads()} before, 64 now: what is computed now may differ in the last bit"
    with pytest.warns(UserWarning, match=noted):
        extract(tmp_path / "terms")


def test_the_batch_size_is_that_of_the_store(tmp_path: Path) -> None:
    interrupt(tmp_path / "terms", 1)
    same(extract(tmp_path / "terms", batch_size=None), extract(None))


def test_fewer_points_than_promised(tmp_path: Path) -> None:
    class Short(torch.utils.data.IterableDataset):
        def __len__(self) -> int:
            return 40

        def __iter__(self):
            return iter(points(NAME))

    for out in (None, tmp_path / "terms"):
        with pytest.raises(tp.InputError, match=r"40 points by its length, but a pass over it gave 32"):
            extract(out, data=Short())
    with pytest.raises(tp.StoreError, match="not finished"):
        tp.load_terms(tmp_path / "terms")
