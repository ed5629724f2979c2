"""Terms on disk: the same bits again, resumed after an interruption, and every kind of damage or mistake named."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

import tropica as tp
from tests.extracted import case_of, network, points, split_of
from tropica.data.passes import ShardSizes
from tropica.decomposition import extract_to_store, prepare
from tropica.decomposition import extraction as extraction_module
from tropica.runtime.safetensors_files import checksum_of
from tropica.terms.store import writer

SMALL = ShardSizes(points=8)
NAME = "mnist_conv"


def extract(out: Path | None, **changes) -> tp.LinearTerms:
    """The terms of the case: 32 points in shards of 8, batches of 4."""
    settings = {"decomposition": split_of(NAME, "calibrated"), "batch_size": 4, "shard_sizes": SMALL, **changes}
    net, x = settings.pop("net", network(NAME)), settings.pop("data", points(NAME))
    return tp.extract(net, x, out=out, **settings)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def same(one: tp.LinearTerms, other: tp.LinearTerms) -> None:
    for part in ("local", "minus", "plus"):
        assert torch.equal(getattr(one, part).weight, getattr(other, part).weight)
        assert torch.equal(getattr(one, part).bias, getattr(other, part).bias)
    assert torch.equal(one.labels, other.labels)
    assert torch.equal(one.center, other.center)
    assert (one.input_shape, one.num_classes, one.method) == (other.input_shape, other.num_classes, other.method)
    certificates = ({**asdict(terms.certificate), "tolerance": None} for terms in (one, other))
    assert next(certificates) == next(certificates)
    # The tolerance is made of norms, whose last bit depends on how many terms are taken at once.
    assert one.certificate.tolerance == pytest.approx(other.certificate.tolerance, rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip(tmp_path: Path, dtype: torch.dtype) -> None:
    """What extract returns, what load_terms returns, and what is extracted in memory: the same bits, certificate included."""
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


def test_manifest_is_json_for_everyone(tmp_path: Path) -> None:
    """No NaN or Infinity, which other readers refuse: not even of a network without nonlinearities."""
    tp.extract(network("linear_only"), points("linear_only"), out=tmp_path / "terms")
    text = (tmp_path / "terms" / "manifest.json").read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in the manifest"))


class Stop(Exception):
    pass


def interrupt(folder: Path, after: int, **changes) -> None:
    """Extract until some shards are done."""

    def stop(done: int, total: int, message: str) -> None:
        if message == "extracting" and done >= 8 * after:
            raise Stop

    with pytest.raises(Stop):
        extract(folder, progress=stop, **changes)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_resume(tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes as without the interruption, and no finished shard is made again."""
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
    extract(tmp_path / "resumed")  # all there
    assert batches == 0
    assert content(tmp_path / "resumed") == content(tmp_path / "whole")


@pytest.mark.parametrize("method", ["calibrated", "paper"])
def test_resume_with_the_split_that_is_there(tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """decomposition="calibrated": nothing is calibrated a second time, and the certificate is that of the first one."""
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


def test_resume_without_the_split_that_was_given(tmp_path: Path) -> None:
    """The store has it: it need not be given again."""
    interrupt(tmp_path / "terms", 2)
    same(extract(tmp_path / "terms", decomposition="calibrated"), extract(None))


@pytest.mark.parametrize("nth", [1, 4, *(pytest.param(nth, marks=pytest.mark.slow) for nth in (2, 3, 5, 6, 7, 8, 9, 11))])
def test_killed_while_writing(tmp_path: Path, nth: int) -> None:
    """A process that dies as it flushes its n-th file (or folder) leaves what the next one can use."""
    code = (
        "import os, sys, torch\n"
        "from tests.terms.test_store import extract\n"
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


@pytest.mark.parametrize("size", [1, 3, 20])
def test_shards_hold_as_many_points_whatever_the_batches(tmp_path: Path, size: int) -> None:
    """A loader keeps its own batches; ``batch_size`` says nothing of them."""
    batches = list(points(NAME).split(size))
    terms = extract(tmp_path / "terms", data=batches, batch_size=1)
    assert [len(block) for block in terms.blocks][:-1] == {1: [8, 8, 8], 3: [9, 9, 9], 20: [20]}[size]
    same(terms, extract(None, data=batches))


def test_shards_of_large_points_are_smaller(tmp_path: Path) -> None:
    terms = extract(tmp_path / "terms", batch_size=2, shard_sizes=ShardSizes(8, 5 * 64))
    assert [len(block) for block in terms.blocks] == [6, 6, 6, 6, 6, 2]


# ── another extraction in the same folder ─────────────────────────────────────────────────────────────────────────────


def test_other_extractions_are_refused(tmp_path: Path) -> None:
    """Named: what differs. The folder stays as it is."""
    extract(tmp_path / "terms")
    before = content(tmp_path / "terms")
    other = tp.trace(case_of(NAME).make(1).double(), points(NAME))
    changes = [
        (
            r"network is \w{8}… there, \w{8}… here; decomposition is",
            {"net": other, "decomposition": tp.decompose(other, points(NAME))},
        ),
        (r"method is calibrated there, paper here; decomposition is", {"decomposition": split_of(NAME, "paper")}),
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
    """As many points of another set, with the same decomposition: said, with the points, and nothing is changed."""
    interrupt(tmp_path / "terms", after, check="none")
    before = content(tmp_path / "terms")
    x = points(NAME).clone()
    x[9] += 0.5
    with pytest.raises(tp.StoreError, match=r"the data differs: points 8 … 15 are not those"):
        extract(tmp_path / "terms", data=x, check="none")
    assert content(tmp_path / "terms") == before
    same(extract(tmp_path / "terms", check="none"), extract(None, check="none"))


def test_other_points_are_refused_where_they_were_calibrated(tmp_path: Path) -> None:
    """Points whose terms are still to come, but which the calibration has seen."""
    interrupt(tmp_path / "terms", 1, decomposition="calibrated")
    x = points(NAME).clone()
    x[30] += 0.5
    with pytest.raises(tp.StoreError, match=r"the data differs: points 24 … 31 are not those"):
        extract(tmp_path / "terms", data=x, decomposition="calibrated")


def test_a_given_split_is_looked_at_after_a_resume_without_it(tmp_path: Path) -> None:
    """One that was calibrated on other points may fail on these: a resume without it must not take it for one of these."""
    other = tp.decompose(network(NAME), 0.05 * points(NAME)[:2])
    interrupt(tmp_path / "terms", 1, decomposition=other, on_failure="warn")
    with pytest.raises(tp.CertificateError, match="a cotangent is negative"):
        extract(tmp_path / "terms", decomposition="calibrated")
    (tmp_path / "terms" / "decomposition.safetensors").unlink()
    with pytest.raises(tp.StoreError, match="give it again"):
        extract(tmp_path / "terms", decomposition="calibrated")


def test_what_was_not_looked_at_is_made_again(tmp_path: Path) -> None:
    """Without a check first, then with one: the certificate is that of all points."""
    extract(tmp_path / "terms", check="none")
    same(extract(tmp_path / "terms"), extract(None))


def test_the_split_that_was_made_here_may_be_given(tmp_path: Path) -> None:
    """The bytes are those of a run that made it all through."""
    whole = extract(tmp_path / "whole", decomposition="calibrated")
    interrupt(tmp_path / "terms", 2, decomposition="calibrated")
    extract(tmp_path / "terms", decomposition=tp.decompose(network(NAME), points(NAME), batch_size=4))
    assert content(tmp_path / "terms") == content(tmp_path / "whole")
    assert whole.certificate.holds


def test_other_threads_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(tmp_path / "terms", 1)
    monkeypatch.setattr(writer, "versions", lambda: {"torch": "0.1", "threads": "64"})
    with pytest.warns(UserWarning, match="threads 1 before, 64 now: what is computed now may differ in the last bit"):
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


# ── damage ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-100] ^= 4
    path.write_bytes(raw)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, flip, empty, Path.unlink])
@pytest.mark.parametrize(
    "file", ["shard-00000.safetensors", "shard-00002.safetensors", "center.safetensors", "decomposition.safetensors"]
)
def test_damage_is_named_and_made_good(tmp_path: Path, damage, file: str) -> None:
    """load_terms and check_terms name the file; extracting again makes it anew, to the same bytes, and no other."""
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
    """Named; put together again from what the shards say by the next extraction, or refused where that is another one."""
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
        extract(folder, decomposition=split_of(NAME, "paper"))
    extract(folder)
    assert content(folder) == whole


@pytest.mark.parametrize("number", [1, 2])
def test_older_formats_are_refused(tmp_path: Path, number: int) -> None:
    """The error says what to do, and the folder stays as it is."""
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


def test_a_manifest_and_shards_that_tell_nothing(tmp_path: Path) -> None:
    extract(tmp_path / "terms")
    for path in (tmp_path / "terms").iterdir():
        path.write_bytes(b"{}")
    before = content(tmp_path / "terms")
    with pytest.raises(tp.StoreError, match=r"manifest.json: damaged.*no shard names its extraction"):
        extract(tmp_path / "terms")
    assert content(tmp_path / "terms") == before


def resealed(folder: Path, change) -> None:
    """A manifest that was changed by someone who knows how it is checksummed."""
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
    resealed(tmp_path / "terms", lambda manifest: manifest.pop(key))
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
    """Whatever stands in it: a clean error, and nothing outside the folder is touched."""
    shutil.copytree(stored, tmp_path / "terms")
    resealed(tmp_path / "terms", lambda manifest: manifest.update({key: value}))
    with pytest.raises(tp.StoreError):
        tp.ExtractedFunction(tp.load_terms(tmp_path / "terms", check="all")).predict(points(NAME))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 4 shards."""
    folder = tmp_path_factory.mktemp("store") / "terms"
    extract(folder)
    return folder


@pytest.mark.parametrize("seed", range(25))
def test_any_corruption(tmp_path: Path, stored: Path, seed: int) -> None:
    """Random damage to random files: what is loaded is what was there, or a clean error; a resumed run makes it good."""
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
    else:  # it must have been harmless
        assert tp.check_terms(folder)[1] == []
    try:
        extract(folder)
    except tp.StoreError as error:
        assert "no shard names" in str(error)  # noqa: PT017
    else:
        assert content(folder) == whole


def corrupt(path: Path, generator: random.Random) -> None:
    """Flip bits, cut, grow, overwrite a part, or swap with another file."""
    raw = bytearray(path.read_bytes())
    at = generator.randrange(len(raw)) if raw else 0
    kind = generator.choice(["flip", "cut", "grow", "overwrite", "swap", "header"])
    if kind == "flip" and raw:
        raw[at] ^= 1 << generator.randrange(8)
    elif kind == "cut":
        del raw[at:]
    elif kind == "grow":
        raw += generator.randbytes(generator.randint(1, 50))
    elif kind == "overwrite":
        raw[at : at + 40] = generator.randbytes(40)
    elif kind == "swap":
        raw = bytearray(generator.choice(sorted(path.parent.iterdir())).read_bytes())
    elif raw:
        raw[generator.randrange(min(400, len(raw)))] = generator.randrange(256)
    path.write_bytes(raw)


def test_swapped_shards(tmp_path: Path) -> None:
    """Whole files in the wrong places are noticed too."""
    extract(tmp_path / "terms")
    one, other = (tmp_path / "terms" / f"shard-0000{i}.safetensors" for i in (1, 2))
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    with pytest.raises(tp.StoreError, match="shard-00001"):
        tp.load_terms(tmp_path / "terms", check="all")
    with pytest.raises(tp.StoreError, match="shard-00001"):
        _ = tp.load_terms(tmp_path / "terms").plus


# ── folders ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither calibration nor extraction may begin."""

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
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # the superuser may write anywhere
    with pytest.raises(tp.StoreError, match="cannot be written to"):
        extract(tmp_path / "terms", decomposition="calibrated")


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what is kept; nothing temporary is left; with room again, the call goes on."""
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
    """With on_failure="raise" nothing calls it complete; with "warn" it is, and keeps its certificate."""
    decomposition = split_of(NAME, "calibrated")
    half = replace(decomposition, multipliers={name: k / 2 for name, k in decomposition.multipliers.items()})
    with pytest.raises(tp.CertificateError):
        extract(tmp_path / "terms", decomposition=half)
    with pytest.raises(tp.StoreError, match="not finished"):
        tp.load_terms(tmp_path / "terms")
    with pytest.warns(UserWarning, match="certificate fails"):
        extract(tmp_path / "terms", decomposition=half, on_failure="warn")
    assert not tp.load_terms(tmp_path / "terms").certificate.holds


def test_coefficients_are_mapped_not_read(tmp_path: Path) -> None:
    """Opening without checksums touches no more than the headers: a store larger than memory can be opened."""
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


# ── terms in memory, saved ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stored", [None, torch.bfloat16], ids=str)
@pytest.mark.parametrize("selected", [False, True])
def test_saved_terms(tmp_path: Path, stored: torch.dtype | None, selected: bool) -> None:
    """What ``save`` writes is what ``load_terms`` reads, and the files are whole."""
    terms = extract(None, stored_dtype=stored)
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
    """Terms that no extraction made: nothing is known of a network, and the margins are not known."""
    terms = extract(None)
    block = replace(terms.blocks[0], margin=None, smallest_cotangent=None)
    replace(terms, blocks=[block], about={}).save(tmp_path / "terms")
    loaded = tp.load_terms(tmp_path / "terms", check="all")
    same(loaded, terms)
    assert loaded.blocks[0].tensors["margin"].isnan().all()


def test_saved_terms_are_extracted_again(tmp_path: Path) -> None:
    """An extraction into a folder of saved terms trusts none of them, as their points are not known."""
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
