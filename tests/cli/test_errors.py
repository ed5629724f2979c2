"""Whatever is wrong with a command, a model or data: one clear line, an exit code, no traceback, and nothing is unpickled."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import tropica as tp
from tests.cli.case import bad_files, done, make_folder, refused, run
from tropica.cli.failures import explained
from tropica.terms.certificate import Certificate

MODULE = "cli_nets_for_errors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli_errors")
    make_folder(path, MODULE)
    bad_files(path, path / "mark")
    shape = np.zeros((3, 1, 8, 8), np.float32)
    for name, x, y in (
        ("nan", np.where(np.arange(64).reshape(1, 1, 8, 8) == 9, np.nan, shape), [0, 1, 2]),
        ("flat", shape.reshape(3, 64), [0, 1, 2]),
        ("big", np.zeros((3, 1, 9, 9), np.float32), [0, 1, 2]),
        ("label", shape, [0, 12, 2]),
        ("negative", shape, [0, -1, 2]),
        ("counts", shape, [0, 1]),
        ("half", shape, [0.5, 1.0, 2.0]),
    ):
        np.savez(path / f"{name}.npz", x_train=x, y_train=np.array(y), x_test=x, y_test=np.array(y))
    np.savez(path / "single.npz", x=shape, y=np.array([0, 1, 2]))
    (path / "notes.txt").write_text("mine")
    (path / "full").mkdir()
    (path / "full" / "thesis.tex").write_text("mine")
    (path / f"{MODULE}_needs.py").write_text("import a_package_that_is_not_there\n")
    (path / f"{MODULE}_wrong.py").write_text("def f(:\n")
    yield path
    sys.modules.pop(MODULE, None)


@pytest.fixture(autouse=True)
def _here(folder, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delenv("TROPICA_DEBUG", raising=False)
    monkeypatch.delenv("TROPICA_DATA", raising=False)
    monkeypatch.chdir(folder)


# ── models ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("evil.pt", "are read by unpickling, .* safetensors"),
        ("there/is/no.pth", "are read by unpickling"),
        ("model.BIN", "are read by unpickling"),
        ("evil.pt2", r"evil.pt2: .*not a torch.export archive"),
        ("zipped.pt2", r"zipped.pt2: "),
        ("missing.pt2", "missing.pt2: no such file"),
        ("small.safetensors", "weights only: name the model"),
        ("resnet18", "'resnet18' is not a model: give a file model.pt2, package.module:factory"),
        ("no_such_module:net", "there is no module 'no_such_module'"),
        (f"{MODULE}.inner:net", rf"there is no module '{MODULE}.inner'"),
        (f"{MODULE}:missing", f"module '{MODULE}' has no 'missing'"),
        (f"{MODULE}:number", "is a int; a torch.nn.Module"),
        (f"{MODULE}:text", "gave a str; a torch.nn.Module is needed"),
        (f"{MODULE}:broken", rf"failed: KeyError: 'no such layer' \(.*{MODULE}.py:\d+\)"),
        (f"{MODULE}:leaves", "failed: SystemExit"),
        (f"{MODULE}_needs:net", "needs 'a_package_that_is_not_there', which is not installed"),
        (f"{MODULE}_wrong:net", "cannot be imported: SyntaxError"),
        (f"{MODULE}:nan", "NaN or infinite"),
        (f"{MODULE}:Smooth", r"cannot use the operation 'aten.gelu.default' in module 'act' \(.*: "),
        ("tropica:fcn4", "not trained: give its weights"),
    ],
)
def test_models_that_will_not_do(model, says):
    assert_says(says, refused("trace", model, "--data", "few.npz"))


def assert_says(pattern: str, line: str) -> None:
    assert re.search(pattern, line), line


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((f"{MODULE}:small", "--arg", "width"), "--arg takes KEY=VALUE, found 'width'"),
        ((f"{MODULE}:small", "--arg", "depth=3"), r"failed: TypeError: .*'depth'"),
        ((f"{MODULE}:ready", "--arg", "width=3"), "is a module already"),
        (("small.pt2", "--weights", "small.safetensors"), "has its own weights"),
        (("tropica:unknown", "--weights", "small.safetensors"), "no model 'unknown'; there are fcn2"),
        (("tropica:fcn4", "--weights", "small.safetensors", "--arg", "depth=3"), "'depth'"),
    ],
)
def test_arguments_that_will_not_do(args, says):
    assert_says(says, refused("trace", *args, "--data", "few.npz"))


# ── weights ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def save(name: str, **changes: torch.Tensor | None) -> str:
    weights = {**safetensors.torch.load_file("small.safetensors"), **changes}
    safetensors.torch.save_file({key: value for key, value in weights.items() if value is not None}, name)
    return name


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"1.bias": None}, "missing: 1.bias$"),
        ({"1.scale": torch.ones(2)}, "unexpected: 1.scale$"),
        ({"1.bias": torch.ones(3)}, r"of another shape: 1.bias is \(3,\) in the file and \(16,\) in the model$"),
        ({f"extra{i}": torch.ones(1) for i in range(9)}, "and 5 more$"),
        ({"1.bias": torch.full((16,), torch.inf)}, "1.bias has 16 values that are NaN or infinite"),
    ],
)
def test_weights_that_do_not_fit(changes, says):
    assert_says(says, refused("trace", f"{MODULE}:small", "--weights", save("bad.safetensors", **changes), "--data", "few.npz"))


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ("evil.safetensors", "evil.safetensors: not a safetensors file"),
        ("zipped.safetensors", "zipped.safetensors: not a safetensors file"),
        ("evil.pt", "are read by unpickling"),
        ("missing.safetensors", "no such file"),
        ("full", "a folder; a safetensors file is needed"),
    ],
)
def test_files_that_are_not_weights(weights, says):
    assert_says(says, refused("trace", f"{MODULE}:small", "--weights", weights, "--data", "few.npz"))


def test_weights_of_another_built_in_name_what_it_was_built_for():
    line = refused("trace", "tropica:fcn-small", "--weights", "small.safetensors", "--data", "few.npz")
    assert line.endswith("tropica:fcn-small was built for points of shape (1, 8, 8), as in few")


def test_nothing_was_unpickled(folder):
    """After every bad file was named as model, as weights and as data: none of them ran."""
    for name in ("evil.pt2", "zipped.pt2", "evil.pt"):
        refused("trace", name, "--data", "few.npz")
    for name in ("evil.safetensors", "zipped.safetensors", "evil.pt", "evil.pt2", "zipped.pt2"):
        refused("trace", f"{MODULE}:small", "--weights", name, "--data", "few.npz")
    for name in ("evil.npz", "objects.npz"):
        refused("trace", "small.pt2", "--data", name)
    assert not (folder / "mark").exists()


def test_the_bad_files_are_bad(folder):
    """Else the test above would show nothing."""
    import pickle

    pickle.loads((folder / "evil.pt").read_bytes()).close()
    assert (folder / "mark").exists()
    (folder / "mark").unlink()


# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("nowhere.npz", "no data at nowhere.npz"),
        ("digitz", "no data at digitz .*data may be digits, mnist1d"),
        ("notes.txt", "this kind of file is not known"),
        ("full", "an image folder must have one subfolder for each class"),
        ("nan.npz", r"all values must be finite; point 0 has nan at \(0, 1, 1\)"),
        ("flat.npz", r"takes points of shape \(1, 8, 8\), flat has points of \(64,\)"),
        ("big.npz", r"takes points of shape \(1, 8, 8\), big has points of \(1, 9, 9\)"),
        ("negative.npz", "labels must be 0 or more; found -1 at point 1"),
        ("counts.npz", "3 points, but 2 labels"),
        ("single.npz --split test", "without a test split .* load it with --split train"),
        ("half.npz", "labels must be whole numbers"),
    ],
)
def test_data_that_will_not_do(data, says):
    assert_says(says, refused("decompose", "small.pt2", "--data", *data.split()))


def test_data_that_a_factory_s_model_cannot_take():
    line = refused("decompose", f"{MODULE}:small", "--data", "big.npz")
    assert_says(r"big has points of shape \(1, 9, 9\), the model takes 64 numbers \(its layer '1'\); it raised", line)


def test_labels_that_the_network_cannot_give():
    line = refused("evaluate", "small.pt2", "--streaming", "--train", "few.npz", "--data", "label.npz")
    assert_says("labels must lie in 0 … 9, as the network has 10; point 1 has label 12", line)


# ── commands and their options ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("trace",), "Missing argument"),
        (("trace", "small.pt2"), "Missing option.*--data"),
        (("trase",), "No such command 'trase'"),
        (("decompose", "small.pt2", "--data", "few.npz", "--method", "best"), "'best'"),
        (("decompose", "small.pt2", "--data", "few.npz", "--limit", "0"), "--limit"),
        (("decompose", "small.pt2", "--data", "few.npz", "--limits", "3"), "No such option"),
        (("extract", "small.pt2", "--data", "few.npz", "-o", "t", "--dtype", "float16"), "'float16'"),
        (("--threads", "0", "trace", "small.pt2", "--data", "few.npz"), "--threads"),
        (("trace", "small.pt2", "--data", "few.npz", "--json", "none/x.json"), "there is no folder none"),
        (("evaluate", "full", "--data", "few.npz", "--csv", "full"), "a folder; a file is needed"),
        (("extract", "small.pt2", "--data", "few.npz", "-o", "notes.txt"), "notes.txt: a file; a folder is needed"),
        (("extract", "small.pt2", "--data", "few.npz", "-o", "full"), "full: not empty, and not a store of terms"),
        (
            ("extract", "small.pt2", "--data", "few.npz", "-o", "t", "--at", "layer9"),
            "nothing in the network is called 'layer9'",
        ),
        (("demo", "--out", "notes.txt"), "notes.txt: a file; a folder is needed"),
        (("evaluate", "full", "--data", "few.npz"), "full: not a store of terms"),
        (("evaluate", "none", "--data", "few.npz"), "none: not a store of terms"),
        (("evaluate", "small.pt2", "--data", "few.npz"), "a model goes with --streaming, or after --model"),
        (("evaluate", "full", "--data", "few.npz", "--train", "few.npz"), "--train goes with --streaming"),
        (("evaluate", "full", "--data", "few.npz", "--method", "paper"), "--method goes with --streaming"),
        (("evaluate", "full", "--data", "few.npz", "--weights", "small.safetensors"), "go with --model"),
        (("evaluate", "small.pt2", "--streaming", "--model", "small.pt2", "--data", "few.npz"), "leave out --model"),
    ],
)
def test_commands_that_will_not_do(args, says, folder):
    assert_says(says, refused(*args))
    assert not (folder / "t").exists()
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_store_that_does_not_belong(folder):
    done("extract", "small.pt2", "--data", "few.npz", "-o", "store", "--limit", "20")
    assert_says("holds terms of another extraction", refused("extract", "small.pt2", "--data", "few.npz", "-o", "store"))
    np.savez("wide.npz", x_test=np.zeros((3, 9), np.float32))
    assert_says(r"take points of shape \(1, 8, 8\), wide has", refused("evaluate", "store", "--data", "wide.npz"))
    (shard,) = (folder / "store").glob("shard-*")
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    assert_says("damaged", refused("evaluate", "store", "--data", "few.npz"))


def test_terms_of_an_inner_layer_need_the_network():
    done("extract", "small.pt2", "--data", "few.npz", "-o", "inner", "--at", "1", "--limit", "20")
    assert_says("inner layer '1': give the network as --model", refused("evaluate", "inner", "--data", "few.npz"))


# ── exit code 1 ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_certificate_that_fails(monkeypatch):
    failed = Certificate(-0.5, 3.0, 1e-3, 0.9, 0, 60, 60, True, "float32")
    monkeypatch.setattr(sys.modules["tropica.decomposition.extract"], "check_terms", lambda *_: failed)
    line = refused("extract", "small.pt2", "--data", "few.npz", "-o", "uncertain", code=1)
    assert_says("certificate fails: .*extract with --dtype float64", line)


def test_a_fault_of_tropica_s_own(monkeypatch):
    def fault(*_, **__):
        raise KeyError("weight\nand more")

    monkeypatch.setattr("tropica.cli.decompose.make_decomposition", fault)
    args = ("decompose", "small.pt2", "--data", "few.npz")
    assert_says("unexpected KeyError: .*TROPICA_DEBUG=1 shows where", refused(*args, code=1))
    monkeypatch.setenv("TROPICA_DEBUG", "1")
    assert isinstance(run(*args).exception, KeyError)


def test_memory_and_other_errors_are_explained():
    assert explained(MemoryError()) == (1, "there is not enough memory; --limit N takes fewer points")
    assert explained(RuntimeError("DefaultCPUAllocator: not enough memory: you tried"))[0] == 1
    assert explained(tp.UnsupportedOperation(op="f", reason="no", accepted="only g")) == (
        2,
        "tropica cannot use the operation 'f': no; accepted: only g",
    )
    assert explained(tp.TraceMismatch("worst 3\n  at 4")) == (1, "worst 3; at 4")
    with pytest.raises(FileNotFoundError) as missing:
        Path("nothing").read_bytes()
    assert explained(missing.value) == (2, "nothing: No such file or directory")
