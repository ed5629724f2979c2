"""``tropica region``, ``output-range``, ``verify`` and ``attributions`` print, write and draw the numbers of the library."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import tropica as tp
from tests.cli.folder import NETS, assert_matches, refuse, run, saved, small_network, succeed
from tropica.cli.region import NORMS, described
from tropica.runtime.files import plain as plain_numbers

pytestmark = pytest.mark.usefixtures("folder")
PLAIN = ("nets:plain",)
SMALL = ("small.pt2", "--data", "few.npz")


def plain() -> tp.PiecewiseLinearNetwork:
    scope: dict = {}
    exec(NETS, scope)
    torch.manual_seed(0)
    return tp.trace(scope["plain"]().eval(), torch.zeros(2, 2))


def test_the_region_of_a_point():
    result = succeed("region", *PLAIN, "--x", "0.3,-0.2", "--out", "r")
    numbers, r = saved("r/region.json"), tp.cell(plain(), [0.3, -0.2])
    assert numbers["facets"]["count"] == len(r.facets)
    assert numbers["facets"]["complete"]
    assert numbers["to_facet"]["l2"]["value"] == float(r.distance())
    assert numbers["to_label"] == plain_numbers({norm: described(r.distance(norm=norm, to="label")) for norm in NORMS})
    assert np.allclose(numbers["map"]["weight"], r.map.weight[0])
    assert numbers["faces"]["volume"] == (pytest.approx(r.volume) if np.isfinite(r.volume) else None)
    assert Path("r/region.png").read_bytes().startswith(b"\x89PNG")
    assert str(r.distance().to) in result.stdout


@pytest.mark.slow
def test_the_region_of_a_data_point():
    succeed("region", *SMALL, "--point", 3, "--max-seconds", 0.2, "--json", "r.json", "--figure", "r.png")
    numbers, x = saved("r.json"), tp.load_data("few.npz", split="test").inputs[3]
    assert numbers["x"] == x.double().tolist()
    assert numbers["label"] == int(small_network().predict(x[None])[0])
    assert numbers["point"] == {"kind": "data", "data": "few", "subset": "test", "index": 3}


def test_a_range():
    box = ("--box", "-1,-0.5", "0.5,0.5")
    succeed("output-range", *PLAIN, *box, "--objective", "1,-1,0", "--json", "o.json", "--figure", "o.png")
    numbers = saved("o.json")
    found = tp.output_range(plain(), tp.Box([-1, -0.5], [0.5, 0.5]), [1, -1, 0])
    assert Fraction(numbers["minimum"]["rational"]) == found.minimum.value
    assert Fraction(numbers["maximum"]["rational"]) == found.maximum.value
    assert numbers["exact"]


def test_verdicts_and_their_exit_codes():
    top = float(tp.output_range(plain(), tp.Box(-1, 1, d=2), 0).maximum)
    box = ("--box", "-1", "1", "--json", "v.json")
    succeed("verify", *PLAIN, *box, "--property", f"below:0:{top + 0.01}", "--proof", "proof", "--figure", "v.png")
    assert saved("v.json")["status"] == "holds"
    assert tp.check_verdict(plain(), tp.Box(-1, 1, d=2), tp.Property.below(0, Fraction(str(top + 0.01)), 3), "proof")
    result = run("verify", *PLAIN, *box, "--property", f"below:0:{top - 0.01}", "--figure", "v.png")
    assert (result.exit_code, result.stderr) == (1, "error: the property is violated\n")
    numbers = saved("v.json")
    assert numbers["outputs"][0] >= top - 0.01
    assert plain()(torch.tensor([numbers["counterexample"]]))[0].tolist() == numbers["float32_outputs"]
    result = run("verify", *PLAIN, *box, "--property", f"below:0:{top + 1e-9}", "--max-boxes", 1)
    assert result.exit_code == 3
    assert "undecided" in result.stderr


@pytest.mark.slow
def test_a_label_around_a_point():
    around = (*SMALL, "--point", 0, "--radius", "1e-6", "--clip", "0", "1")
    succeed("verify", *around, "--property", "label", "--json", "v.json")
    numbers = saved("v.json")
    assert (numbers["status"], numbers["domain"]["clip"]) == ("holds", [0, 1])
    label = int(small_network().predict(tp.load_data("few.npz", split="test").inputs[:1])[0])
    assert run("verify", *around, "--property", f"label:{(label + 1) % 10}").exit_code == 1


def test_attributions():
    result = run("attributions", *SMALL, "--point", 2, "--point", 0, "--baseline", "mean", "--json", "-", "--figure", "a.png")
    numbers, data = json.loads(result.stdout), tp.load_data("few.npz", split="test")
    mean = data.inputs.double().mean(0)
    expected = tp.integrated_gradients(small_network(), data.inputs[[2, 0]], mean)
    assert [row["values"] for row in numbers["points"]] == expected.values.tolist()
    assert [row["point"] for row in numbers["points"]] == [2, 0]
    assert Path("a.png").exists()
    assert "largest residual" in result.stderr


def test_numbers_are_written_before_pictures_are_drawn(monkeypatch):
    def fails(*_):
        raise RuntimeError("no ink")

    monkeypatch.setattr("tropica.cli.attributions._figure", fails)
    line = run("attributions", *SMALL, "--point", 0, "--out", "a")
    assert (line.exit_code, [p.name for p in Path("a").iterdir()]) == (1, ["attributions.json"])
    assert "no ink" in line.stderr


def test_a_training_is_a_model():
    """The folder is its last epoch, a file of weights that epoch; a damaged folder is refused."""
    quick = ("--data", "few.npz", "--runs", 1, "--epochs", 2, "--activation", "leaky", "--out", "n")
    succeed("train", "fcn-small", *quick)
    prints = []
    for spec in ("n/fcn-small-leaky/seed-0", *(f"n/fcn-small-leaky/seed-0/epoch-000{k}.safetensors" for k in (2, 1))):
        succeed("trace", spec, "--data", "few.npz", "--json", "t.json")
        prints.append(saved("t.json")["fingerprint"])
    assert prints[0] == prints[1] != prints[2]
    refused = ("trace", "n/fcn-small-leaky/seed-0", "--data", "few.npz")
    assert_matches("has its own weights", refuse(*refused, "--weights", "small.safetensors"))
    Path("n/fcn-small-leaky/seed-0/training.json").write_text("{}")
    assert_matches("training.json: not the description of a training", refuse(*refused))
    assert_matches("n/fcn-small/seed-7: no such file or folder", refuse("trace", "n/fcn-small/seed-7", "--data", "few.npz"))


WRONG = [
    ("region absent.pt2 --x 0,0", "absent.pt2"),
    ("region nets:plain", "a point is needed: --point N of --data, or --x"),
    ("region nets:plain --point 3", "--point N is a point of --data"),
    ("region nets:plain --x 0.1,0.2,0.3", "--x has 3 numbers|takes 2 numbers"),
    ("region nets:plain --x nan,0", "--x: number 0 is nan; all must be finite"),
    ("region nets:plain --x one,two", "numbers separated by commas"),
    ("region nets:plain --x none.npy", "--x none.npy: No such file"),
    ("region nets:plain --x 0.1,0.2 --max-seconds 0", "--max-seconds must be positive"),
    ("region nets:plain --x 0.1,0.2 --out few.npz", "few.npz: a file; a folder is needed"),
    ("region nets:plain --x 0.1,0.2 --json none/x.json", "there is no folder none"),
    ("region nets:plain --x 0.1,0.2 --figure -", "a picture needs a file"),
    ("region small.pt2 --data few.npz --point 30", "--point 30: few has the points 0 … 29"),
    ("region small.pt2 --data absent.npz --point 0", "absent.npz"),
    ("region small.pt2 --data few.npz --point 0 --x 1", "one of them names the point"),
    ("region small.pt2 --x 1,2", "--x has 2 numbers; the model takes 64"),
    ("region nets:plain --x 0.1,0.2 --norm l3", "No such option.*--norm"),
    ("output-range nets:plain", "one domain is needed: --box LO HI"),
    ("output-range nets:plain --box 1 -1", "lo must be at most hi"),
    ("output-range nets:plain --box 1 1", "the box is a point"),
    ("output-range nets:plain --box nan 1", "--box: number 0 is nan"),
    ("output-range nets:plain --box -1,0,0 1", "--box has 3 numbers; the model takes 2"),
    ("output-range nets:plain --box -1 1 --objective 3", "an output 0 … 2"),
    ("output-range nets:plain --box -1 1 --objective 1,2", "must have 3 numbers"),
    ("output-range nets:plain --box -1 1 --objective best", "--objective 'best'"),
    ("output-range nets:plain --box -1 1 --max-seconds 0", "--max-seconds must be a positive number"),
    ("output-range nets:plain --box -1 1 --max-boxes 0", "--max-boxes"),
    ("output-range nets:plain --x 0,0 --radius -1", "--radius must be a positive number"),
    ("output-range nets:plain --x 0,0 --radius 1 --clip 3 4", "leaves no box"),
    ("output-range nets:plain --radius 1", "--radius R is around a point"),
    ("output-range nets:plain --box -1 1 --clip 0 1", "--clip goes with --radius"),
    ("verify nets:plain --box -1 1", "Missing option.*--property"),
    ("verify nets:plain --box -1 1 --property label:3", "label must be one of 2 or more outputs; found 3 of 3"),
    ("verify nets:plain --box -1 1 --property label", "a point is needed"),
    ("verify nets:plain --box -1 1 --property below:7:0", "the outputs are 0 … 2"),
    ("verify nets:plain --box -1 1 --property below:0:high", "label:K, below:K:C"),
    ("verify nets:plain --box -1 1 --property absent.vnnlib", "absent.vnnlib: No such file"),
    ("verify nets:plain --box -1 1 --property above:0:0 --proof none/proof", "there is no folder none"),
    ("verify nets:Smooth --box -1 1 --inputs 64 --property label:0", "aten.gelu"),
    ("attributions small.pt2", "Missing option.*--data"),
    ("attributions small.pt2 --data few.npz --point 99", "--point 99: few has the points 0 … 29"),
    ("attributions small.pt2 --data few.npz --target 10", "--target 10: the outputs are 0 … 9"),
    ("attributions small.pt2 --data few.npz --baseline 1,2", "--baseline has 2 numbers; the model takes 64"),
    ("attributions small.pt2 --data few.npz --subset all", "'all'"),
    ("attributions nets:plain --data few.npz", "the model takes 2 numbers"),
    ("attributions nets:nan --data few.npz", "nan|NaN|finite"),
]
"""Wrong command lines, and what the error says. A third of them runs by default."""


@pytest.mark.parametrize(
    ("line", "message"), [pytest.param(*one, marks=() if i % 3 == 0 else pytest.mark.slow) for i, one in enumerate(WRONG)]
)
def test_a_wrong_command_line_is_refused_with_one_line(line, message):
    assert_matches(message, refuse(*line.split()))
