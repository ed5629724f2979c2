"""The commands: what they print and write is what the library gives."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

import tropica as tp
from tests.cli.case import done, enter, own_module, run
from tropica.data import passes as walk
from tropica.studies.networks import build
from tropica.terms.store import store


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder and the name of its module."""
    folder = tmp_path_factory.mktemp("cli")
    with own_module(folder) as module:
        yield folder, module


@pytest.fixture
def nets(made, monkeypatch):
    folder, module = made
    enter(folder, monkeypatch)
    return module


def small(nets: str) -> tuple[str, ...]:
    return f"{nets}:small", "--weights", "small.safetensors"


def model(folder: Path) -> tp.PiecewiseLinearNetwork:
    return tp.load_network(folder / "small.pt2")


# ── trace ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_trace_shows_the_nonlinearities(nets):
    result = done("trace", *small(nets), "--data", "few.npz", "--json", "trace.json")
    saved = json.loads(Path("trace.json").read_text())
    assert saved["command"] == "trace"
    assert saved["nonlinearities"] == [{"name": "relu", "path": "2", "kind": "relu", "shape": [16], "units": 16}]
    assert (saved["input_shape"], saved["outputs"], saved["dropped"]) == ([1, 8, 8], 10, None)
    assert saved["affine_ops"]["linear"] == 2
    for wanted in ("relu", "1 × 8 × 8, float32", "10 logits", "2 linear", "1 with 16 units"):
        assert wanted in result.stdout


def test_all_ways_to_name_a_model_give_the_same_network(nets):
    ways = [small(nets), ("small.pt2",), (f"{nets}:ready", "--weights", "small.safetensors")]
    seen = set()
    for way in ways:
        done("trace", *way, "--data", "few.npz", "--json", "one.json")
        saved = json.loads(Path("one.json").read_text())
        seen.add((tuple(saved["input_shape"]), saved["outputs"], saved["units"]))
    assert len(seen) == 1


def test_a_factory_takes_arguments_and_gives_the_same_weights_each_time(nets):
    prints = []
    for _ in range(2):
        done("trace", f"{nets}:small", "--arg", "width=24", "--arg", "bias=False", "--data", "few.npz", "--json", "a.json")
        saved = json.loads(Path("a.json").read_text())
        prints.append(saved["fingerprint"])
    assert saved["units"] == 24
    assert prints[0] == prints[1]


def test_tied_weights_and_a_final_softmax(nets):
    result = done("trace", f"{nets}:Tied", "--weights", "tied.safetensors", "--data", "few.npz")
    assert "a final softmax" in result.stdout


def test_built_in_networks(nets):
    net = build("fcn-small", (1, 8, 8), 10, seed=4)
    safetensors.torch.save_model(net, "built.safetensors")
    done("trace", "tropica:fcn-small", "--weights", "built.safetensors", "--data", "few.npz", "--json", "b.json")
    assert json.loads(Path("b.json").read_text())["units"] == 96


def test_float64_weights_stay_so(nets):
    weights = {name: t.double() for name, t in safetensors.torch.load_file("small.safetensors").items()}
    safetensors.torch.save_file(weights, "double.safetensors")
    result = done("trace", f"{nets}:small", "--weights", "double.safetensors", "--data", "few.npz")
    assert "float64" in result.stdout


# ── split ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["calibrated", "paper"])
def test_split_shows_its_growth(nets, method):
    result = done("decompose", *small(nets), "--data", "few.npz", "--method", method, "--dtype", "float64", "--json", "s.json")
    saved = json.loads(Path("s.json").read_text())
    data = tp.load_data("few.npz")
    made = tp.decompose(model(Path()), data, method=method, dtype=torch.float64)
    (nonlinearity,) = saved["nonlinearities"]
    assert nonlinearity["largest"] == pytest.approx(made.summary().rows[0].largest)
    assert saved["potential"]["largest"] == pytest.approx(float(made.f_minus(data.inputs.double()).max()))
    assert (saved["points"], saved["dtype"]) == (60, "float64")
    assert f"{nonlinearity['largest']:.3g}" in result.stdout


@pytest.mark.parametrize("per", ["network", "nonlinearity"])
def test_the_minimal_decomposition(nets, per):
    """λ and the pairwise certificate are shown and written; terms of it are extracted and verified."""
    options = ("--data", "few.npz", "--method", "minimal")
    result = done("decompose", *small(nets), *options, "--per", per, "--dtype", "float64", "--json", "s.json")
    saved = json.loads(Path("s.json").read_text())
    made = tp.decompose(model(Path()), tp.load_data("few.npz"), method="minimal", per=per, dtype=torch.float64)
    assert saved["factors"] == pytest.approx(dict(made.factors))
    assert saved["pairs"]["holds"] is True
    assert "between all 60 × 60 pairs" in result.stdout
    assert "smallest cotangent" not in result.stdout
    result = done("extract", *small(nets), *options, "-o", "minimal-terms")
    assert "of pairs of data points only" in result.stdout
    result = done("check", "minimal-terms", "--json", "v.json")
    assert "of pairs of data points only" in result.stdout
    saved = json.loads(Path("v.json").read_text())
    assert (saved["certificate"]["pairwise"], saved["certificate"]["holds"], saved["run"]["method"]) == (True, True, "minimal")
    result = done(
        "evaluate", "minimal-terms", "--data", "few.npz", "--split", "train", "--model", *small(nets), "--json", "e.json"
    )
    assert json.loads(Path("e.json").read_text())["network_extracted"] == 1


def test_options_of_the_minimal_decomposition(nets):
    result = run("decompose", *small(nets), "--data", "few.npz", "--per", "nonlinearity")
    assert result.exit_code == 2
    assert "options of the minimal decomposition; the calibrated decomposition has none" in result.stderr


# ── extract and evaluate ────────────────────────────────────────────────────────────────────────────────────────────


def test_extract_then_evaluate(nets):
    result = done("extract", *small(nets), "--data", "few.npz", "-o", "terms", "--json", "x.json")
    assert "holds" in result.stdout
    terms = tp.load_terms("terms")
    saved = json.loads(Path("x.json").read_text())
    assert saved["points"] == len(terms) == 60
    assert saved["labels"] == terms.labels.bincount(minlength=10).tolist()
    assert saved["certificate"]["holds"] is True

    done("evaluate", "terms", "--data", "few.npz", "--model", "small.pt2", "--json", "e.json", "--csv", "e.csv")
    saved = json.loads(Path("e.json").read_text())
    test = tp.load_data("few.npz", split="test")
    f = tp.ExtractedFunction(terms)
    shares = tp.agreement(model(Path()), f, test)
    assert [saved[key] for key in ("network_extracted", "network_true", "extracted_true")] == [
        shares.network_extracted,
        shares.network_true,
        shares.extracted_true,
    ]
    assert saved["counts"] == shares.counts
    with open("e.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert test.labels is not None
    assert [int(row["point"]) for row in rows] == list(range(30))
    assert [int(row["label"]) for row in rows] == f.predict(test).tolist()
    assert [int(row["winner"]) for row in rows] == f.active_term(test).tolist()
    assert [int(row["true"]) for row in rows] == test.labels.tolist()
    assert [int(row["network"]) for row in rows] == model(Path()).predict(test.inputs).tolist()


def test_evaluate_says_how_labels_were_found(nets):
    done("extract", "small.pt2", "--data", "few.npz", "-o", "searched")
    for kind, why in (("exact", "only"), ("full", "as asked")):
        result = done("evaluate", "searched", "--data", "few.npz", "--search", kind, "--json", f"{kind}.json")
        assert "full product" in result.stdout
        numbers = json.loads(Path(f"{kind}.json").read_text())
        assert numbers["search"] == "full"
        assert why in numbers["search_why"]


def test_evaluate_without_a_model_reports_what_is_known(nets):
    done("extract", "small.pt2", "--data", "few.npz", "-o", "alone", "--no-check")
    result = done("evaluate", "alone", "--data", "few.npz", "--json", "e.json", "--csv", "e.csv", "--limit", "5")
    saved = json.loads(Path("e.json").read_text())
    assert saved["network_extracted"] is saved["network_true"] is saved["counts"]["network_true"] is None
    assert 0 <= saved["extracted_true"] <= 1
    assert "no --model" in result.stdout
    assert "network N" not in result.stdout
    assert Path("e.csv").read_text().splitlines()[1].split(",")[3] == ""


def test_evaluate_says_when_the_network_is_another_one(nets):
    done("extract", "small.pt2", "--data", "few.npz", "-o", "another", "--no-check", "--limit", "20")
    result = done("evaluate", "another", "--data", "few.npz", "--model", f"{nets}:small", "--json", "e.json")
    assert json.loads(Path("e.json").read_text())["same_network"] is False
    assert "another network" in result.stdout


def test_streaming_gives_the_same_answers(nets):
    done("extract", "small.pt2", "--data", "few.npz", "-o", "kept", "--method", "paper")
    done("evaluate", "kept", "--data", "few.npz", "--csv", "kept.csv", "--model", "small.pt2")
    done("evaluate", "small.pt2", "--streaming", "--data", "few.npz", "--method", "paper", "--csv", "streamed.csv")
    assert Path("kept.csv").read_text() == Path("streamed.csv").read_text()


def test_terms_of_an_inner_layer(nets):
    done("extract", *small(nets), "--data", "few.npz", "-o", "inner", "--at", "1", "--json", "x.json")
    assert json.loads(Path("x.json").read_text())["shape"] == [16]
    done("evaluate", "inner", "--data", "few.npz", "--split", "train", "--model", *small(nets), "--json", "e.json")
    saved = json.loads(Path("e.json").read_text())
    assert (saved["network_extracted"], saved["same_network"]) == (1.0, True)


def test_an_interrupted_extraction_goes_on(nets, monkeypatch):
    monkeypatch.setattr(walk, "SHARD_POINTS", 1)
    monkeypatch.setattr(sys.modules["tropica.decomposition.extraction"], "batch_size_for", lambda net, wanted, memory=None: 16)
    write, written = store.write_shard, []

    def interrupted(folder, shard, *args):
        if shard.number == 2:
            raise KeyboardInterrupt
        written.append(shard.number)
        return write(folder, shard, *args)

    monkeypatch.setattr(store, "write_shard", interrupted)
    result = run("extract", "small.pt2", "--data", "few.npz", "-o", "half")
    assert result.exit_code == 130
    assert result.stderr == "stopped: 32 of 60 points are in half; the same command goes on from there\n"
    assert run("evaluate", "half", "--data", "few.npz").exit_code == 2
    monkeypatch.setattr(store, "write_shard", lambda at, shard, *args: written.append(shard.number) or write(at, shard, *args))
    done("extract", "small.pt2", "--data", "few.npz", "-o", "half")
    assert written == [0, 1, 2, 3]
    done("extract", "small.pt2", "--data", "few.npz", "-o", "whole")
    half, whole = tp.load_terms("half"), tp.load_terms("whole")
    assert torch.equal(half.local.weight, whole.local.weight)
    assert torch.equal(half.minus.bias, whole.minus.bias)


def test_ctrl_c_elsewhere(nets, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tropica.cli.decompose.make_decomposition", stop)
    result = run("decompose", "small.pt2", "--data", "few.npz", "--json", "never.json")
    assert (result.exit_code, result.stderr) == (130, "stopped: no file was written\n")
    assert not Path("never.json").exists()


# ── demo, help, options before all commands ─────────────────────────────────────────────────────────────────────────


def test_demo(tmp_path):
    result = done("demo", "--out", tmp_path / "demo", "--epochs", "1")
    assert (tmp_path / "demo" / "report.html").stat().st_size > 50_000
    assert "report: open this" in result.stdout
    assert "calibrated" in result.stdout


@pytest.mark.parametrize("command", ["demo", "trace", "decompose", "extract", "evaluate"])
def test_every_command_has_help_with_an_example(command):
    result = done(command, "--help")
    assert f"Example: tropica {command}" in result.stdout


def test_alone_it_shows_the_commands():
    result = done()
    assert all(command in result.stdout for command in ("demo", "trace", "decompose", "extract", "evaluate"))
    assert done("--version").stdout.startswith("tropica 0.")


def test_threads(nets):
    before = torch.get_num_threads()
    try:
        done("--threads", "2", "trace", "small.pt2", "--data", "few.npz")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# ── the program itself ──────────────────────────────────────────────────────────────────────────────────────────────


def program(*args: str, cwd: Path) -> subprocess.Popen[str]:
    code = "import sys; from tropica.cli import main; sys.argv[0] = 'tropica'; main()"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TROPICA_")}
    return subprocess.Popen(
        [sys.executable, "-c", code, *args],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_program_works_and_fails_in_one_line(made):
    folder, module = made
    good = program("trace", f"{module}:small", "--data", "few.npz", cwd=folder)
    bad = program("trace", f"{module}:Smooth", "--data", "few.npz", cwd=folder)
    out, err = good.communicate(timeout=60)
    assert (good.returncode, err) == (0, "")
    assert "1 × 8 × 8" in out
    out, err = bad.communicate(timeout=60)
    assert (bad.returncode, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("error: tropica cannot use the operation 'aten.gelu")


def test_program_stopped_by_a_signal(made):
    folder, module = made
    (folder / f"{module}_slow.py").write_text("import time\nprint('here', flush=True)\ntime.sleep(60)\n")
    process = program("trace", f"{module}_slow:net", "--data", "few.npz", cwd=folder)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "stopped: no file was written\n")
