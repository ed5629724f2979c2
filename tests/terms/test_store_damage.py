"""Damaged stores: every error names the file, and the next extraction repairs it."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

import tropica as tp
from tests.cached import decomposition_of, points
from tests.sizes import some_slow
from tests.terms.stores import NAME, content, corrupt, empty, extract, flip, same, truncate
from tropica.runtime.safetensors_files import checksum_of


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 4 shards."""
    folder = tmp_path_factory.mktemp("store") / "terms"
    extract(folder)
    return folder


@pytest.mark.parametrize("damage", [truncate, flip, empty, Path.unlink])
@pytest.mark.parametrize(
    "file", ["shard-00000.safetensors", "shard-00002.safetensors", "center.safetensors", "decomposition.safetensors"]
)
def test_damage_is_named_and_repaired(tmp_path: Path, damage, file: str) -> None:
    """load_terms and check_terms name the file; another extraction replaces this file only, with the same bytes."""
    folder = tmp_path / "terms"
    extract(folder)
    whole = content(folder)
    times = {path.name: path.stat().st_mtime_ns for path in folder.glob("shard-*") if path.name != file}
    damage(folder / file)
    with pytest.raises(tp.StoreError, match=rf"{file}.*(damaged|cannot be read|missing).*run the extraction again"):
        tp.load_terms(folder, check="all")
    _, faults = tp.check_terms(folder)
    assert len(faults) == 1
    assert file in faults[0]
    if file != "decomposition.safetensors":  # the terms are used without it
        with pytest.raises(tp.StoreError, match=rf"{file}.*(damaged|cannot be read|missing).*run the extraction again"):
            tp.ExtractedFunction(tp.load_terms(folder)).predict(points(NAME))
    extract(folder)
    assert content(folder) == whole
    assert {name: (folder / name).stat().st_mtime_ns for name in times} == times
    assert tp.check_terms(folder)[1] == []


@pytest.mark.parametrize("damage", [truncate, empty, Path.unlink])
def test_without_checksums_files_must_still_be_readable(tmp_path: Path, damage) -> None:
    extract(tmp_path / "terms")
    damage(tmp_path / "terms" / "shard-00001.safetensors")
    with pytest.raises(tp.StoreError, match="shard-00001"):
        tp.load_terms(tmp_path / "terms", check="none")


MANIFESTS = ["", "[]", "{}", '{"format": 7}', '{"format": 3, "shards": 3, "run": {}}', "null", "\x00\xff", "[" * 100_000]


@pytest.mark.parametrize("text", [*MANIFESTS, None])
def test_a_damaged_manifest(tmp_path: Path, text: str | None) -> None:
    """The error names the manifest; the next extraction rebuilds it from the shards, and another extraction is refused."""
    folder = tmp_path / "terms"
    extract(folder)
    whole = content(folder)
    if text is None:
        (folder / "manifest.json").unlink()
    else:
        (folder / "manifest.json").write_text(text, encoding="latin-1")
    for call in (tp.load_terms, tp.check_terms):
        with pytest.raises(tp.StoreError, match=r"manifest\.json"):
            call(folder)
    with pytest.raises(tp.StoreError, match="method is calibrated there, paper here"):
        extract(folder, decomposition=decomposition_of(NAME, "paper"))
    extract(folder)
    assert content(folder) == whole


@pytest.mark.parametrize("number", [1, 2])
def test_older_formats_are_refused(tmp_path: Path, number: int) -> None:
    """The error says what to do, and the folder is unchanged."""
    folder = tmp_path / "terms"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"format": number, "run": {}}))
    (folder / "split.safetensors").write_bytes(b"")
    (folder / "shard-00000.safetensors").write_bytes(b"")
    before = content(folder)
    for call in (tp.load_terms, tp.check_terms, extract):
        with pytest.raises(
            tp.StoreError, match=rf"manifest.json: store format {number}.*: extract the terms again into another"
        ):
            call(folder)
    assert content(folder) == before


def test_a_manifest_and_shards_that_are_unreadable(tmp_path: Path) -> None:
    extract(tmp_path / "terms")
    for path in (tmp_path / "terms").iterdir():
        path.write_bytes(b"{}")
    before = content(tmp_path / "terms")
    with pytest.raises(tp.StoreError, match=r"manifest.json: damaged.*no shard names its extraction"):
        extract(tmp_path / "terms")
    assert content(tmp_path / "terms") == before


def change_manifest(folder: Path, change) -> None:
    """Change the manifest and update its checksum."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    manifest.pop("checksum")
    path.write_text(json.dumps({**manifest, "checksum": checksum_of(manifest)}))


KEYS = [
    "extraction",
    "decomposition_given",
    "shard_points",
    "input_shape",
    "num_classes",
    "state",
    "data",
    "decomposition",
    "center",
    "shards",
    "certificate",
    "point_digests",
]


@pytest.mark.parametrize("key", KEYS)
def test_a_manifest_without_an_entry(tmp_path: Path, key: str) -> None:
    extract(tmp_path / "terms")
    change_manifest(tmp_path / "terms", lambda manifest: manifest.pop(key))
    for call in (tp.load_terms, tp.check_terms):
        with pytest.raises(tp.StoreError, match="damaged"):
            call(tmp_path / "terms")


ABSURD = {
    "shard_points": [[], [0, 32], [-8, 40], ["8"] * 4, [2**60], [8] * 5, 8, None],
    "input_shape": [[], [0], [2**50], [2**30, 2**30], ["28"], "28", None, [7]],
    "num_classes": [0, -1, 2**60, "10", None, True],
    "shards": [[], [[8, 1, "a"]] * 4, [[8, 100]] * 4, [["../../etc/passwd", 8, "0" * 64]] * 4, [[8, -1, "0" * 64]] * 4, {}],
    "state": ["done", None, 3],
    "decomposition": ["../../x", "0", 5],
    "certificate": [{}, {"dtype": "float32"}, [], 3],
    "extraction": [{}, {"points": "x"}, [], {"points": 32}],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in ABSURD.items() for value in values])
def test_an_absurd_manifest(tmp_path: Path, key: str, value: object, stored: Path) -> None:
    """Any entry raises a StoreError."""
    shutil.copytree(stored, tmp_path / "terms")
    change_manifest(tmp_path / "terms", lambda manifest: manifest.update({key: value}))
    with pytest.raises(tp.StoreError):
        tp.ExtractedFunction(tp.load_terms(tmp_path / "terms", check="all")).predict(points(NAME))


@pytest.mark.parametrize("seed", some_slow(range(25), quick=6))
def test_any_corruption(tmp_path: Path, stored: Path, seed: int) -> None:
    """After random damage load_terms returns the original terms or raises a StoreError, and a resumed run repairs the store."""
    generator = random.Random(seed)
    folder = tmp_path / "terms"
    shutil.copytree(stored, folder)
    whole, expected = content(folder), tp.load_terms(stored)
    for _ in range(generator.randint(1, 3)):
        corrupt(generator.choice(sorted(folder.iterdir())), generator)
    try:
        same(tp.load_terms(folder, check="all"), expected)
    except tp.StoreError:
        pass
    else:  # the damage was harmless
        assert tp.check_terms(folder)[1] == []
    try:
        extract(folder)
    except tp.StoreError as error:
        assert "no shard names" in str(error)  # noqa: PT017
    else:
        assert content(folder) == whole


def test_swapped_shards(tmp_path: Path) -> None:
    """Undamaged shards in the wrong places are errors."""
    extract(tmp_path / "terms")
    one, other = (tmp_path / "terms" / f"shard-0000{i}.safetensors" for i in (1, 2))
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    with pytest.raises(tp.StoreError, match="shard-00001"):
        tp.load_terms(tmp_path / "terms", check="all")
    with pytest.raises(tp.StoreError, match="shard-00001"):
        _ = tp.load_terms(tmp_path / "terms").plus
