"""Unusable models, weights and data: one line, an exit code, no traceback, and nothing is unpickled."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.cli.folder import assert_matches, refuse, succeed

pytestmark = pytest.mark.usefixtures("folder")


class Payload:
    """An object that creates a file when unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


@pytest.fixture
def mark(folder):
    """Files that run code when they are unpickled, under names that commands read; the code creates the file ``mark``."""
    mark = folder / "mark"
    raw = pickle.dumps(Payload(mark))
    for name in ("evil.safetensors", "evil.pt2", "evil.npz", "evil.pt", "evil.pkl"):
        (folder / name).write_bytes(raw)
    torch.save({"weight": Payload(mark)}, folder / "zipped.pt2")
    torch.save({"weight": Payload(mark)}, folder / "zipped.safetensors")
    torch.save({"weight": Payload(mark)}, folder / "zipped.pt")
    objects = np.empty(2, object)
    objects[:] = [Payload(mark), Payload(mark)]
    np.savez(folder / "objects.npz", x_train=objects, y_train=np.array([0, 1]))
    return mark


def test_nothing_is_unpickled(mark):
    for name, message in (
        ("evil.pt2", r"evil.pt2: .*not a torch.export archive"),
        ("zipped.pt2", r"zipped.pt2: "),
        ("evil.pt", "are read by unpickling, .* safetensors"),
    ):
        assert_matches(message, refuse("trace", name, "--data", "few.npz"))
    for name, message in (
        ("evil.safetensors", "evil.safetensors: not a safetensors file"),
        ("zipped.safetensors", "zipped.safetensors: not a safetensors file"),
        ("evil.pt", "nothing of it is run"),
        ("zipped.pt", "nothing of it is run"),
        ("evil.pkl", "are read by unpickling"),
        ("evil.pt2", "not a safetensors file"),
        ("zipped.pt2", "not a safetensors file"),
    ):
        assert_matches(message, refuse("trace", "nets:small", "--weights", name, "--data", "few.npz"))
    for name in ("evil.npz", "objects.npz"):
        refuse("trace", "small.pt2", "--data", name)
    assert not mark.exists()
    pickle.loads(Path("evil.pt").read_bytes()).close()
    assert mark.exists(), "the test shows nothing unless unpickling the file creates the mark"


def test_a_model_is_named_by_its_file():
    """The file counts, not another module of its name, and it imports what lies beside it or in the current folder."""
    Path("elsewhere").mkdir()
    Path("mine_too.py").write_text("")
    Path("elsewhere/beside_mine.py").write_text(Path("nets.py").read_text())
    Path("here_as_well.py").write_text("")
    Path("elsewhere/mine_too.py").write_text("import beside_mine, here_as_well\ndef make(): return beside_mine.small()\n")
    by_file, by_module = (succeed("trace", spec, "--data", "few.npz") for spec in ("elsewhere/mine_too.py:make", "nets:small"))
    assert by_file.stdout.count("\n") == by_module.stdout.count("\n") > 2
    assert_matches(
        "'elsewhere/mine_too.py' has no 'other'", refuse("trace", "elsewhere/mine_too.py:other", "--data", "few.npz")
    )
    assert_matches("nowhere.py: no such file", refuse("trace", "nowhere.py:make", "--data", "few.npz"))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("there/is/no.pth", "are read by unpickling"),
        ("model.BIN", "are read by unpickling"),
        ("missing.pt2", "missing.pt2: no such file"),
        ("small.safetensors", "weights only: name the model"),
        (
            "resnet18",
            "'resnet18' is not a model: give a folder of tropica train, a file model.pt2, .onnx or .nnet, ",
        ),
        ("no_such_module:net", "there is no module 'no_such_module'"),
        ("nets.inner:net", "there is no module 'nets.inner'"),
        ("nets:missing", "module 'nets' has no 'missing'"),
        ("nets:number", "is a int; a torch.nn.Module"),
        ("nets:text", "returned a str; a torch.nn.Module is needed"),
        ("nets:broken", r"failed: KeyError: 'no such layer' \(.*nets.py:\d+\)"),
        ("nets:leaves", "failed: SystemExit"),
        ("nets_needs:net", "needs 'a_package_that_is_not_there', which is not installed"),
        ("nets_wrong:net", "cannot be imported: SyntaxError"),
        ("nets:nan", "NaN or infinite"),
        ("nets:Smooth", r"cannot use the operation 'aten.gelu.default' in module 'act' \(.*: "),
        ("tropica:fcn4", "not trained: give its weights"),
    ],
)
def test_models(model, message):
    Path("nets_needs.py").write_text("import a_package_that_is_not_there\n")
    Path("nets_wrong.py").write_text("def f(:\n")
    assert_matches(message, refuse("trace", model, "--data", "few.npz"))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("nets:small", "--arg", "width"), "--arg takes KEY=VALUE, found 'width'"),
        (("nets:small", "--arg", "depth=3"), r"failed: TypeError: .*'depth'"),
        (("nets:ready", "--arg", "width=3"), "is a module already"),
        (("small.pt2", "--weights", "small.safetensors"), "has its own weights"),
        (("tropica:unknown", "--weights", "small.safetensors"), "no model 'unknown'; there are fcn2"),
        (("tropica:fcn4", "--weights", "small.safetensors", "--arg", "depth=3"), "'depth'"),
    ],
)
def test_arguments(args, message):
    assert_matches(message, refuse("trace", *args, "--data", "few.npz"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"1.bias": None}, "missing: 1.bias$"),
        ({"1.scale": torch.ones(2)}, "unexpected: 1.scale$"),
        ({"1.bias": torch.ones(3)}, r"of another shape: 1.bias is \(3,\) in the file and \(16,\) in the model$"),
        ({f"extra{i}": torch.ones(1) for i in range(9)}, "and 5 more$"),
        ({"1.bias": torch.full((16,), torch.inf)}, "1.bias has 16 values that are NaN or infinite"),
    ],
)
def test_weights_that_do_not_fit(changes, message):
    weights = {**safetensors.torch.load_file("small.safetensors"), **changes}
    safetensors.torch.save_file({key: value for key, value in weights.items() if value is not None}, "bad.safetensors")
    assert_matches(message, refuse("trace", "nets:small", "--weights", "bad.safetensors", "--data", "few.npz"))


@pytest.mark.parametrize(
    ("weights", "message"), [("missing.safetensors", "no such file"), ("full", "a folder; a safetensors file is needed")]
)
def test_files_that_are_not_weights(weights, message):
    Path("full").mkdir()
    assert_matches(message, refuse("trace", "nets:small", "--weights", weights, "--data", "few.npz"))


def test_weights_of_another_built_in_network():
    line = refuse("trace", "tropica:fcn-small", "--weights", "small.safetensors", "--data", "few.npz")
    assert line.endswith("tropica:fcn-small was built for points of shape (1, 8, 8), as in few")


@pytest.fixture
def data():
    """Archives and folders that do not hold data for the network of small.pt2."""
    shape = np.zeros((3, 1, 8, 8), np.float32)
    for name, x, y in (
        ("nan", np.where(np.arange(64).reshape(1, 1, 8, 8) == 9, np.nan, shape), [0, 1, 2]),
        ("flat", shape.reshape(3, 64), [0, 1, 2]),
        ("big", np.zeros((3, 1, 9, 9), np.float32), [0, 1, 2]),
        ("negative", shape, [0, -1, 2]),
        ("counts", shape, [0, 1]),
        ("half", shape, [0.5, 1.0, 2.0]),
    ):
        np.savez(f"{name}.npz", x_train=x, y_train=np.array(y), x_test=x, y_test=np.array(y))
    np.savez("single.npz", x=shape, y=np.array([0, 1, 2]))
    Path("notes.txt").write_text("mine")
    Path("full").mkdir()
    Path("full/thesis.tex").write_text("mine")


@pytest.mark.parametrize(
    ("spec", "message"),
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
        ("single.npz --subset test", "without a test split .* load it with --subset train"),
        ("half.npz", "labels must be whole numbers"),
    ],
)
def test_data(data, spec, message):
    assert_matches(message, refuse("decompose", "small.pt2", "--data", *spec.split()))


def test_data_that_the_model_of_a_factory_cannot_take(data):
    line = refuse("decompose", "nets:small", "--data", "big.npz")
    assert_matches(r"big has points of shape \(1, 9, 9\), the model takes 64 numbers \(its layer '1'\); it raised", line)
