"""Loading any file gives a network or one clear error, and runs no code of the file."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import random
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

import tropica as tp
from tests.network.archives import BATCH, MODEL, WEIGHTS, places, rewrite, rewrite_json, save
from tests.network_families import mlp


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = nn.Sequential(nn.Linear(3, 4), nn.LeakyReLU(0.1), nn.Unflatten(1, (1, 4)), nn.MaxPool1d(2), nn.Flatten())
    return save(model.eval(), torch.zeros(2, 3), tmp_path_factory.mktemp("archive") / "model.pt2")


class Bomb:
    """Unpickling it makes a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_nothing_is_unpickled(archive: Path, tmp_path: Path) -> None:
    """A pickle in the place of every entry that torch.export.load would unpickle, and of the weights."""
    sign = tmp_path / "unpickled"
    payload = pickle.dumps(Bomb(sign))
    pickle.loads(payload)
    assert sign.exists(), "the payload works"
    sign.rmdir()
    torch.save(Bomb(sign), tmp_path / "bomb.pt")
    for bomb in (payload, (tmp_path / "bomb.pt").read_bytes()):
        assert tp.load_network(rewrite(archive, {"sample_inputs/model.pt": lambda old, bomb=bomb: bomb})).num_outputs == 2
        changed = rewrite(archive, {"weights/weight_0": lambda old, bomb=bomb: bomb})
        with contextlib.suppress(tp.TropicaError):  # bytes like any others, finite numbers or not
            tp.load_network(changed)
        marked = rewrite_json(changed, WEIGHTS, lambda tree: tree["config"]["0.weight"].update(use_pickle=True))
        with pytest.raises(tp.DataError, match=r"0\.weight is stored as a pickled object, and nothing is ever unpickled"):
            tp.load_network(marked)
    for name, words in (("model.pt2", r"not a torch\.export archive"), ("state.pt", "read by unpickling, which can run code")):
        (tmp_path / name).write_bytes(payload)
        with pytest.raises(tp.DataError, match=words):
            tp.load_network(tmp_path / name)
    with pytest.raises(tp.DataError, match="holds 0 models"):
        tp.load_network((tmp_path / "bomb.pt").rename(tmp_path / "bomb.pt2"))
    assert not sign.exists()


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "_operator.attrgetter",
        "torch.ops.aten.from_file.default",
        "torch.ops.aten.relu.__class__",
        "torch.ops.aten.relu.__reduce__",
        "torch.ops.aten.relu.out",
        "torch.ops.aten.relu",
        "torch.ops.aten.__init__.default",
        "torch.ops.aten.relu.default.__call__",
        "torch.ops.inductor.relu.default",
        "torch.ops.aten.set_.source_Tensor",
    ],
)
def test_only_known_ops_run(archive: Path, target: str) -> None:
    def change(tree: Any) -> None:
        tree["graph_module"]["graph"]["nodes"][1]["target"] = target

    with pytest.raises(tp.UnsupportedOperation) as caught:
        tp.load_network(rewrite_json(archive, MODEL, change))
    assert caught.value.op in target


FOREIGN: dict[str, tuple[Any, str]] = {
    "text": (lambda path: path.write_text("hello"), r"not a torch\.export archive"),
    "empty": (lambda path: path.write_bytes(b""), r"not a torch\.export archive"),
    "folder": (lambda path: path.mkdir(), "a folder"),
    "missing": (lambda path: None, "no such file"),
    "other zip": (lambda path: zipfile.ZipFile(path, "w").close(), "holds 0 models in the archive format of torch 2.8"),
    "weights alone": (lambda path: torch.save(mlp(2, 3).state_dict(), path), "holds 0 models"),
    "TorchScript": (lambda path: torch.jit.save(torch.jit.script(nn.Linear(2, 3)), path), "holds 0 models"),
}


@pytest.mark.parametrize(("make", "why"), FOREIGN.values(), ids=list(FOREIGN))
def test_foreign_files(make: Any, why: str, tmp_path: Path) -> None:
    make(tmp_path / "file.pt2")
    with pytest.raises(tp.DataError, match=rf"file\.pt2: .*{why}"):
        tp.load_network(tmp_path / "file.pt2")


class Two(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, torch.relu(x)


class Flag(nn.Module):
    def forward(self, x: Tensor, flag: bool) -> Tensor:
        return torch.relu(x) if flag else x


def exported(model: nn.Module, *args: Any, shapes: Any = BATCH) -> Any:
    return lambda path: torch.export.save(torch.export.export(model.eval(), args, dynamic_shapes=shapes), path)


UNFIT: dict[str, tuple[Any, str]] = {
    "fixed batch": (exported(mlp(3, 2), torch.zeros(4, 3), shapes=None), "for 4 points at a time; .*dynamic_shapes="),
    "other free sizes": (
        exported(nn.ReLU(), torch.zeros(2, 3), shapes=({0: Dim.DYNAMIC, 1: Dim.DYNAMIC},)),
        "free sizes other than the batch",
    ),
    "two outputs": (exported(Two(), torch.zeros(2, 3)), "returns 2 outputs"),
    "two inputs": (exported(nn.Bilinear(2, 2, 2), *torch.zeros(2, 2, 2), shapes=({0: Dim.AUTO},) * 2), "takes 2 inputs"),
    "a setting": (exported(Flag(), torch.zeros(2, 3), True, shapes=({0: Dim.DYNAMIC}, None)), "neither data nor a tensor"),
    "half": (exported(nn.ReLU(), torch.zeros(2, 3, dtype=torch.float16)), "takes torch.float16; float32 or float64"),
}


@pytest.mark.parametrize(("make", "why"), UNFIT.values(), ids=list(UNFIT))
def test_unfit_models(make: Any, why: str, tmp_path: Path) -> None:
    make(tmp_path / "file.pt2")
    with pytest.raises(tp.DataError, match=rf"file\.pt2: .*{why}"):
        tp.load_network(tmp_path / "file.pt2")


def set_weight(**meta: Any) -> Any:
    return lambda tree: tree["config"]["0.weight"]["tensor_meta"].update(meta)


WEIGHT_DAMAGE = {
    "too large": (set_weight(sizes=[{"as_int": 5}, {"as_int": 3}]), "needs 15 numbers, and 12 are stored"),
    "huge": (
        set_weight(sizes=[{"as_int": 2**20}, {"as_int": 2**20}], strides=[{"as_int": 0}] * 2),
        "entries, and 12 are stored",
    ),
    "negative": (set_weight(storage_offset={"as_int": -1}), "negative"),
    "dtype": (set_weight(dtype=10), "dtype number 10"),
    "shape": (
        set_weight(sizes=[{"as_int": 3}, {"as_int": 4}], strides=[{"as_int": 4}, {"as_int": 1}]),
        "damaged: the model itself fails",
    ),
    "missing": (lambda tree: tree["config"].pop("0.weight"), "damaged"),
    "not a file": (lambda tree: tree["config"]["0.weight"].update(path_name="../../secret"), "damaged"),
}


@pytest.mark.parametrize(("change", "why"), WEIGHT_DAMAGE.values(), ids=list(WEIGHT_DAMAGE))
def test_damaged_weights(archive: Path, change: Any, why: str) -> None:
    with pytest.raises(tp.TropicaError, match=why):
        tp.load_network(rewrite_json(archive, WEIGHTS, change))


def test_versions_and_compression(archive: Path) -> None:
    with pytest.raises(tp.DataError, match="version 9 of the archive format; version 8 can be read"):
        tp.load_network(rewrite_json(archive, MODEL, lambda tree: tree["schema_version"].update(major=9)))
    with pytest.raises(tp.DataError, match=r"is compressed, which torch\.export\.save does not do"):
        tp.load_network(rewrite(archive, {}, compress=True))
    with pytest.raises(tp.DataError, match="damaged"):
        tp.load_network(rewrite(archive, {WEIGHTS: lambda old: None}))


def test_cut_short_and_flipped(archive: Path, tmp_path: Path) -> None:
    """A file cut anywhere, and one with a few bytes changed: a network, or an error of tropica's."""
    content, path = archive.read_bytes(), tmp_path / "file.pt2"
    chance = random.Random(0)
    for length in range(0, len(content), len(content) // 40):
        path.write_bytes(content[:length])
        with pytest.raises(tp.DataError):
            tp.load_network(path)
    errors: list[str] = []
    for _ in range(60):
        changed = bytearray(content)
        for at in chance.sample(range(len(content)), 3):
            changed[at] = chance.randrange(256)
        path.write_bytes(changed)
        try:
            tp.load_network(path)
        except tp.TropicaError as error:
            errors.append(str(error))
    assert len(errors) > 20
    assert all(error.startswith(str(path)) for error in errors)


def readable_places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of an archived graph that is read."""
    module = tree["graph_module"]
    return [(c, key) for c, key in places([module["graph"]["nodes"], module["signature"]]) if key not in ("metadata", "name")]


def test_any_json(archive: Path) -> None:
    """Any value of the archived graph replaced by any other: a network, or an error of tropica's."""
    with zipfile.ZipFile(archive) as file:
        tree = json.loads(file.read(next(name for name in file.namelist() if name.endswith(MODEL))))
    count, chance = len(readable_places(tree)), random.Random(0)
    values: list[Any] = [None, -1, 2**70, 0.5, "x", "", [], {}, {"as_int": 3}, {"as_name": "y"}, {"as_tensor": {"name": "y"}}]
    errors: list[str] = []
    for at in chance.sample(range(count), 70):

        def change(tree: Any, at: int = at) -> None:
            container, key = readable_places(tree)[at]
            container[key] = chance.choice(values)

        try:
            tp.load_network(rewrite_json(archive, MODEL, change))
        except tp.TropicaError as error:
            errors.append(str(error))
    assert len(errors) > 30
    assert all(len(error.splitlines()[0]) < 1000 for error in errors)


class Widely(nn.Module):
    """Uses layers, constants, indices and sorts."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.out = nn.Conv1d(1, 2, 2, padding=1), nn.BatchNorm1d(2), nn.Linear(12, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.norm(self.conv(x.unsqueeze(1)))).flatten(1).sort(1)[0]
        h = torch.cat([h[:, [0, 3]], h[:, 4:], h.clamp(-1, 1)[:, 1:3] * torch.tensor([0.5, -2.0])], 1)
        return self.out(h.view(x.shape[0], -1))


ODD = [None, -1, 0, 1, 2**31, 2**70, 0.5, float("nan"), True, "x", "", "Infinity", "torch.ops.aten.relu.default", [], {}]
ODD += [{"as_int": 3}, {"as_int": 2**40}, {"as_int": -1}, {"as_name": "y"}, {"as_tensor": {"name": "y"}}, {"as_float": 1e400}]


def mutant(path: Path, content: bytes, chance: random.Random) -> Path:
    """A copy of an archive with changed bytes, cut short, or with changed values in its JSON."""
    out = path.with_name("mutant.pt2")
    kind = chance.choice(["bytes", "cut", "graph", "graph", "graph", "weights"])
    if kind in ("bytes", "cut"):
        changed = bytearray(content)
        for at in chance.sample(range(len(content)), chance.choice([1, 3, 20])):
            changed[at] = chance.randrange(256)
        out.write_bytes(changed if kind == "bytes" else content[: chance.randrange(len(content))])
        return out

    def change(tree: Any) -> None:
        for _ in range(chance.choice([1, 1, 2])):
            container, key = chance.choice(readable_places(tree) if kind == "graph" else places(tree))
            if isinstance(container, dict) and chance.random() < 0.1:
                del container[key]
            else:
                container[key] = chance.choice(ODD)

    return rewrite_json(path, MODEL if kind == "graph" else WEIGHTS, change)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_mutants(seed: int, tmp_path: Path) -> None:
    """100 mutated files (2,000 for all seeds): a network or an error of tropica's, each within a minute, in little memory."""
    path = save(Widely().eval(), torch.randn(3, 5), tmp_path / "model.pt2")
    content, chance, loaded = path.read_bytes(), random.Random(seed), 0
    for _ in range(100):
        file, start = mutant(path, content, chance), time.monotonic()
        with contextlib.suppress(tp.TropicaError):
            loaded += isinstance(tp.load_network(file), tp.PiecewiseLinearNetwork)
        assert time.monotonic() - start < 60
    assert 0 < loaded < 80
