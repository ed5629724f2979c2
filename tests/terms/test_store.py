"""Terms on disk: the bits written are the bits read, and folders that cannot hold a store are refused."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import tropica as tp
from tests.cached import decomposition_of, network, points
from tests.terms.stores import NAME, SMALL, content, extract, interrupt, same
from tropica.data.passes import ShardSizes
from tropica.decomposition import extraction as extraction_module
from tropica.decomposition import prepare


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip(tmp_path: Path, dtype: torch.dtype) -> None:
    """extract with and without a folder and load_terms give the same bits and the same certificate."""
    given = {"net": network(NAME).to(dtype), "data": points(NAME).to(dtype)}
    written, kept = extract(tmp_path / "a" / "terms", **given), extract(None, **given)
    loaded = tp.load_terms(str(tmp_path / "a" / "terms"))
    same(written, kept)
    same(loaded, kept)
    assert loaded.dtype == dtype
    assert loaded.certificate.holds
    assert len(loaded.blocks) == 4
    assert loaded.about == kept.about
    shards = [f"shard-{i:05d}.safetensors" for i in range(4)]
    names = ["center.safetensors", "decomposition.safetensors", "manifest.json", *shards]
    assert sorted(content(tmp_path / "a" / "terms")) == names
    assert json.loads((tmp_path / "a" / "terms" / "manifest.json").read_text())["state"] == "complete"


def test_manifest_is_strict_json(tmp_path: Path) -> None:
    """The manifest contains no NaN or Infinity, not even for a network without nonlinearities."""
    tp.extract(network("linear_only"), points("linear_only"), out=tmp_path / "terms")
    text = (tmp_path / "terms" / "manifest.json").read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in the manifest"))


@pytest.mark.parametrize("size", [1, 3, 20])
def test_size_of_shards_for_given_batches(tmp_path: Path, size: int) -> None:
    """Given batches are kept: ``batch_size`` does not apply, and a shard holds whole batches."""
    batches = list(points(NAME).split(size))
    terms = extract(tmp_path / "terms", data=batches, batch_size=1)
    assert [len(block) for block in terms.blocks][:-1] == {1: [8, 8, 8], 3: [9, 9, 9], 20: [20]}[size]
    same(terms, extract(None, data=batches))


def test_shards_of_large_points_are_smaller(tmp_path: Path) -> None:
    terms = extract(tmp_path / "terms", batch_size=2, shard_sizes=ShardSizes(8, 5 * 64))
    assert [len(block) for block in terms.blocks] == [6, 6, 6, 6, 6, 2]


# ── folders ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make calibration and extraction fail as soon as they begin."""

    def work(*args, **settings):
        raise AssertionError("work has begun")

    monkeypatch.setattr(prepare, "decomposition_of_data", work)
    monkeypatch.setattr(extraction_module, "batch_terms", work)


@pytest.mark.usefixtures("no_work")
def test_foreign_folders_are_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("Chapter 1")
    with pytest.raises(tp.StoreError, match=r"not empty, and not a store of terms \(it holds thesis.tex\)"):
        extract(tmp_path, decomposition="calibrated")
    assert content(tmp_path) == {"thesis.tex": b"Chapter 1"}


@pytest.mark.usefixtures("no_work")
def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "terms").write_text("")
    for folder in (tmp_path / "terms", tmp_path / "terms" / "inside"):
        with pytest.raises(tp.StoreError, match="cannot be created"):
            extract(folder, decomposition="calibrated")


@pytest.mark.usefixtures("no_work")
def test_read_only_folders_are_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "terms").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root may write to any folder
    with pytest.raises(tp.StoreError, match="cannot be written to"):
        extract(tmp_path / "terms", decomposition="calibrated")


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what is kept, no temporary file is left, and with free space the extraction resumes."""
    interrupt(tmp_path / "terms", 2)
    before = content(tmp_path / "terms")

    flush = os.fsync

    def full(fd: int) -> None:
        if os.fstat(fd).st_size > 10_000:  # a shard, not the manifest
            raise OSError(28, "No space left on device")
        flush(fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(tp.StoreError, match=r"shard-00002.*No space left on device.*finished files are kept"):
            extract(tmp_path / "terms")
    assert content(tmp_path / "terms") == before
    extract(tmp_path / "terms")
    same(tp.load_terms(tmp_path / "terms"), extract(None))


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_not_a_store(tmp_path: Path, folder: str) -> None:
    with pytest.raises(tp.StoreError, match=r"not a store of terms \(there is no manifest.json\)"):
        tp.load_terms(tmp_path / folder)


def test_a_failing_certificate_leaves_the_store_unfinished(tmp_path: Path) -> None:
    """With on_failure="raise" the store is incomplete; with "warn" it is complete and keeps the failed certificate."""
    decomposition = decomposition_of(NAME, "calibrated")
    half = replace(decomposition, multipliers={name: k / 2 for name, k in decomposition.multipliers.items()})
    with pytest.raises(tp.CertificateError):
        extract(tmp_path / "terms", decomposition=half)
    with pytest.raises(tp.StoreError, match="not finished"):
        tp.load_terms(tmp_path / "terms")
    with pytest.warns(UserWarning, match="certificate fails"):
        extract(tmp_path / "terms", decomposition=half, on_failure="warn")
    assert not tp.load_terms(tmp_path / "terms").certificate.holds


def test_coefficients_are_mapped_not_read(tmp_path: Path) -> None:
    """load_terms reads headers only, so a store larger than memory can be opened."""
    extract(tmp_path / "terms")
    maps, shard = Path("/proc/self/maps"), str(tmp_path / "terms" / "shard-00000.safetensors")
    loaded = tp.load_terms(tmp_path / "terms")
    if not maps.exists():
        pytest.skip("needs /proc")
    assert shard not in maps.read_text()
    assert len(loaded) == 32
    assert loaded.dtype == torch.float64
    block = loaded.blocks[0]
    assert shard in maps.read_text()
    assert len(block) == 8


# ── saved terms ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stored", [None, torch.bfloat16], ids=str)
@pytest.mark.parametrize("selected", [False, True])
def test_saved_terms(tmp_path: Path, stored: torch.dtype | None, selected: bool) -> None:
    """``load_terms`` reads the terms that ``save`` wrote, and the store passes its check."""
    terms = extract(None, stored_dtype=stored, on_failure="warn")
    terms = terms.select(torch.arange(20, 3, -1)) if selected else terms
    terms.save(tmp_path / "terms", shard_sizes=SMALL)
    assert len(list((tmp_path / "terms").glob("shard-*"))) == (3 if selected else 4)
    for check in ("all", "use", "none"):
        loaded = tp.load_terms(tmp_path / "terms", check=check)
        same(loaded, terms)
        assert {**loaded.about, "points": ""} == {**terms.about, "points": ""}
    assert tp.check_terms(tmp_path / "terms")[1] == []
    x = points(NAME)
    assert torch.equal(tp.ExtractedFunction(loaded).predict(x), tp.ExtractedFunction(terms).predict(x))
    assert torch.equal(loaded.blocks[0].tensors["margin"], terms.blocks[0].tensors["margin"][: len(loaded.blocks[0])])
    loaded.save(tmp_path / "copy")
    assert content(tmp_path / "copy") == content(tmp_path / "terms")


def test_saved_terms_by_hand(tmp_path: Path) -> None:
    """Terms without an extraction have no network and no margins."""
    terms = extract(None)
    block = replace(terms.blocks[0], margin=None, smallest_cotangent=None)
    replace(terms, blocks=[block], about={}).save(tmp_path / "terms")
    loaded = tp.load_terms(tmp_path / "terms", check="all")
    same(loaded, terms)
    assert loaded.blocks[0].tensors["margin"].isnan().all()


def test_saved_terms_are_extracted_again(tmp_path: Path) -> None:
    """An extraction into a folder of saved terms extracts them again, because their points are unknown."""
    extract(None).save(tmp_path / "terms", shard_sizes=SMALL)
    extract(tmp_path / "terms")
    extract(tmp_path / "whole")
    assert content(tmp_path / "terms") == content(tmp_path / "whole")


def test_saving_refuses_other_folders(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(tp.StoreError, match=r"not empty, and not a store of terms"):
        extract(None).save(tmp_path)
    extract(tmp_path / "terms", decomposition="paper")
    with pytest.raises(tp.StoreError, match="holds terms of another extraction: method is paper there, calibrated here"):
        extract(None).save(tmp_path / "terms")


def test_unknown_checks(tmp_path: Path) -> None:
    with pytest.raises(tp.InputError, match="check must be one of 'use', 'all', 'none'; got True"):
        tp.load_terms(tmp_path, check=True)  # type: ignore[arg-type]
