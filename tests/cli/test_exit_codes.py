"""Unusable command lines, failures and interruptions: one line on standard error, and an exit code."""

from pathlib import Path

import pytest

import tropica as tp
from tests.cli.folder import assert_matches, refuse, run, succeed
from tropica.cli.exit_codes import code_and_message

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("trace",), "Missing argument"),
        (("trace", "small.pt2"), "Missing option.*--data"),
        (("trase",), "No such command 'trase'"),
        (("decompose", "small.pt2", "--data", "few.npz", "--method", "best"), "'best'"),
        (("decompose", "small.pt2", "--data", "few.npz", "--limit", "0"), "--limit"),
        (("decompose", "small.pt2", "--data", "few.npz", "--limits", "3"), "No such option"),
        (("decompose", "small.pt2", "--data", "few.npz", "--memory", "much"), "a size is a number .*'much'"),
        (("extract", "small.pt2", "--data", "few.npz", "-o", "t", "--dtype", "float16"), "'float16'"),
        (("extract", "small.pt2", "--data", "few.npz", "-o", "t", "--check", "some"), "'some'"),
        (("trace", "small.pt2", "--data", "few.npz", "--threads", "0"), "--threads"),
        (("trace", "small.pt2", "--data", "few.npz", "--json", "none/x.json"), "there is no folder none"),
        (("extract", "small.pt2", "--data", "few.npz", "-o", "notes.txt"), "notes.txt: a file; a folder is needed"),
        (("extract", "small.pt2", "--data", "few.npz", "-o", "full"), "full: not empty, and not a store of terms"),
        (("extract", "small.pt2", "--data", "few.npz", "-o", "t", "--at", "layer9"), "is called 'layer9'"),
        (("demo", "--out", "notes.txt"), "notes.txt: a file; a folder is needed"),
    ],
)
def test_refused_before_any_work(folder, args, message):
    (folder / "notes.txt").write_text("mine")
    (folder / "full").mkdir()
    (folder / "full" / "thesis.tex").write_text("mine")
    assert_matches(message, refuse(*args))
    assert not (folder / "t").exists()
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_folder_with_other_terms():
    succeed("extract", "small.pt2", "--data", "few.npz", "-o", "store", "--limit", "20")
    assert_matches("holds terms of another extraction", refuse("extract", "small.pt2", "--data", "few.npz", "-o", "store"))


def test_a_failing_certificate(monkeypatch):
    def fail(*_, **__):
        raise tp.CertificateError("the terms' certificate fails: a cotangent is negative; extract with dtype=torch.float64")

    monkeypatch.setattr(tp, "extract", fail)
    line = refuse("extract", "small.pt2", "--data", "few.npz", "-o", "uncertain", code=1)
    assert_matches("certificate fails: .*extract with --dtype float64", line)


def test_an_unexpected_exception(monkeypatch):
    def fault(*_, **__):
        raise KeyError("weight\nand more")

    monkeypatch.setattr(tp, "decompose", fault)
    args = ("decompose", "small.pt2", "--data", "few.npz")
    assert_matches("unexpected KeyError: .*TROPICA_DEBUG=1 shows where", refuse(*args, code=1))
    monkeypatch.setenv("TROPICA_DEBUG", "1")
    assert isinstance(run(*args).exception, KeyError)


def test_ctrl_c(monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(tp, "decompose", stop)
    result = run("decompose", "small.pt2", "--data", "few.npz", "--json", "never.json")
    assert (result.exit_code, result.stderr) == (130, "stopped: no file was written\n")
    assert not Path("never.json").exists()


def test_exceptions_as_messages():
    assert code_and_message(MemoryError()) == (1, "there is not enough memory; --limit N takes fewer points")
    assert code_and_message(RuntimeError("DefaultCPUAllocator: not enough memory: you tried"))[0] == 1
    assert code_and_message(tp.UnsupportedOperation(op="f", reason="no", accepted="only g")) == (
        2,
        "tropica cannot use the operation 'f': no; accepted: only g",
    )
    assert code_and_message(tp.TraceMismatch("worst 3\n  at 4")) == (1, "worst 3; at 4")
    with pytest.raises(FileNotFoundError) as missing:
        Path("nothing").read_bytes()
    assert code_and_message(missing.value) == (2, "nothing: No such file or directory")
