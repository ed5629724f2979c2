"""Nothing is ever unpickled or executed: no such call in the sources, and malicious files under every name that is read."""

from __future__ import annotations

import ast
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import tropica as tp
from tests.cached import network, points
from tests.cli.test_models import Payload
from tropica.decomposition.load import load_decomposition

SOURCES = sorted(Path(tp.__file__).parent.rglob("*.py"))
FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "dist.all_gather_object",
    "dist.broadcast_object_list",
    "dist.gather_object",
    "dist.scatter_object_list",
    "yaml.load",
    "os.system",
    "pd.read_pickle",
}


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(SOURCES[0].parent)))
def test_no_source_can_unpickle(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & FORBIDDEN_MODULES
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in FORBIDDEN_MODULES
        if isinstance(node, ast.Call):
            assert name_of(node.func) not in FORBIDDEN_CALLS
            if name_of(node.func) == "torch.load":  # tensors and plain containers alone
                assert any(k.arg == "weights_only" and getattr(k.value, "value", False) is True for k in node.keywords)
            if name_of(node.func).endswith("np.load") or name_of(node.func) == "numpy.load":
                assert any(k.arg == "allow_pickle" and getattr(k.value, "value", True) is False for k in node.keywords)


def malicious(mark: Path) -> list[bytes]:
    """A pickle, a torch archive of one, and arrays of objects, each of which creates a file when unpickled."""
    payload = Payload(mark)
    zipped, objects, archive = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save({"weight": payload}, zipped)
    array = np.empty(2, object)
    array[:] = [payload, payload]
    np.save(objects, array)
    np.savez(archive, x_train=array, y_train=np.array([0, 1]))
    return [pickle.dumps(payload), zipped.getvalue(), objects.getvalue(), archive.getvalue()]


def test_the_payload_works(tmp_path: Path) -> None:
    """The payload runs when it is unpickled, so that the tests below can fail."""
    pickle.loads(malicious(tmp_path / "mark")[0])
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("suffix", ["npz", "npy", "parquet", "pt2", "onnx", "nnet", "safetensors", "png"])
@pytest.mark.parametrize("kind", range(4))
def test_renamed_pickles(tmp_path: Path, suffix: str, kind: int) -> None:
    """Every suffix that something reads, for data, models, weights and decompositions."""
    mark = tmp_path / "mark"
    folder = tmp_path / "images" / "class"
    folder.mkdir(parents=True)
    file = (folder if suffix == "png" else tmp_path) / f"evil.{suffix}"
    file.write_bytes(malicious(mark)[kind])
    tries = {
        **dict.fromkeys(("pt2", "onnx", "nnet"), lambda: tp.load_network(file)),
        "safetensors": lambda: load_decomposition(file, network("mlp")),
        "png": lambda: tp.load_data(folder.parent),
    }
    calls = [tries[suffix]] if suffix in tries else [lambda lazy=lazy: tp.load_data(file, lazy=lazy) for lazy in (False, True)]
    if suffix == "safetensors":
        calls.append(lambda: tp.load_regions(file))
    for call in calls:
        with pytest.raises(tp.TropicaError) as found:
            call()
        assert "allow_pickle" not in str(found.value)  # NumPy's advice to allow pickles
    assert not mark.exists()


@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize(
    "name",
    ["manifest.json", "decomposition.safetensors", "center.safetensors", "shard-00000.safetensors", "calibration.safetensors"],
)
def test_pickles_in_a_store(tmp_path: Path, name: str, kind: int) -> None:
    """A pickle in place of any file of a store raises an error or is replaced, and never runs."""
    mark, folder, x = tmp_path / "mark", tmp_path / "terms", points("mlp")
    tp.extract(network("mlp"), x, out=folder)
    (folder / name).write_bytes(malicious(mark)[kind])
    if name != "calibration.safetensors":
        with pytest.raises(tp.StoreError, match=name):
            tp.load_terms(folder, check="all")
        if name == "manifest.json":
            with pytest.raises(tp.StoreError, match=name):
                tp.check_terms(folder)
        else:
            assert any(name in fault for fault in tp.check_terms(folder)[1])
    tp.extract(network("mlp"), x, out=folder)
    assert tp.check_terms(folder)[1] == []
    assert not mark.exists()


def test_links_out_of_the_folder_are_not_written_through(tmp_path: Path) -> None:
    """A file of the store that is a link is replaced, not followed."""
    outside = tmp_path / "outside"
    outside.write_text("mine")
    folder = tmp_path / "terms"
    folder.mkdir()
    (folder / "shard-00000.safetensors").symlink_to(outside)
    with pytest.raises(tp.StoreError, match="no shard names"):
        tp.extract(network("mlp"), points("mlp"), out=folder)
    (folder / "shard-00000.safetensors").unlink()
    (folder / "decomposition.safetensors").symlink_to(outside)
    tp.extract(network("mlp"), points("mlp"), out=folder)
    assert outside.read_text() == "mine"
    assert not (folder / "decomposition.safetensors").is_symlink()
