"""``tropica evaluate`` writes the labels and active terms of the library, and refuses options that would be ignored."""

import csv
from pathlib import Path

import numpy as np
import pytest

import tropica as tp
from tests.cli.folder import assert_matches, refuse, run, saved, small_network, succeed

pytestmark = pytest.mark.usefixtures("folder")


def extract(out: str, *options: object) -> None:
    succeed("extract", "small.pt2", "--data", "few.npz", "-o", out, *options)


def test_numbers_and_labels_are_those_of_the_library():
    extract("terms")
    succeed("evaluate", "terms", "--data", "few.npz", "--model", "small.pt2", "--json", "e.json", "--csv", "e.csv")
    numbers, test = saved("e.json"), tp.load_data("few.npz", split="test")
    net, f = small_network(), tp.ExtractedFunction(tp.load_terms("terms"))
    expected = tp.agreement(net, f, test)
    assert {key: numbers[key] for key in expected.shares} == expected.shares
    assert numbers["counts"] == expected.counts
    assert (numbers["terms"], numbers["same_network"]) == (60, True)
    assert numbers["active_terms"] == len(f.active_term(test).unique())
    with open("e.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert test.labels is not None
    columns = {
        "point": list(range(30)),
        "label": f.predict(test).tolist(),
        "active_term": f.active_term(test).tolist(),
        "network": net.predict(test.inputs).tolist(),
        "true": test.labels.tolist(),
    }
    assert {name: [int(row[name]) for row in rows] for name in rows[0]} == columns


def test_the_search_is_named():
    extract("terms")
    for search, why in (("exact", "only"), ("full", "as asked")):
        result = succeed("evaluate", "terms", "--data", "few.npz", "--search", search, "--json", "e.json")
        assert "full product" in result.stdout
        assert saved("e.json")["search"] == "full"
        assert why in saved("e.json")["search_why"]


def test_without_a_model_the_known_labels_are_compared():
    extract("terms", "--check", "none")
    result = succeed("evaluate", "terms", "--data", "few.npz", "--json", "e.json", "--csv", "e.csv", "--limit", "5")
    numbers = saved("e.json")
    assert numbers["network_extracted"] is numbers["network_true"] is numbers["counts"]["network_true"] is None
    assert 0 <= numbers["extracted_true"] <= 1
    assert "no --model" in result.stdout
    assert "network N" not in result.stdout
    assert Path("e.csv").read_text().splitlines()[1].split(",")[3] == ""


def test_another_network_is_noted():
    extract("terms", "--check", "none", "--limit", "20")
    result = succeed("evaluate", "terms", "--data", "few.npz", "--model", "nets:small", "--json", "e.json")
    assert saved("e.json")["same_network"] is False
    assert "another network" in result.stdout


def test_streaming_gives_the_same_answers():
    extract("terms", "--decomposition", "paper")
    succeed("evaluate", "terms", "--data", "few.npz", "--csv", "stored.csv", "--model", "small.pt2")
    streamed = ("--streaming", "--data", "few.npz", "--decomposition", "paper", "--csv", "streamed.csv")
    succeed("evaluate", "small.pt2", *streamed)
    assert Path("stored.csv").read_text() == Path("streamed.csv").read_text()


def test_rounded_terms_with_and_without_their_data():
    coarse = ("extract", "small.pt2", "--data", "few.npz", "-o", "terms", "--stored-dtype", "bfloat16")
    assert run(*coarse).exit_code == 1  # too few digits of f(x)
    assert run(*coarse, "--on-failure", "warn").exit_code == 0
    result = succeed("evaluate", "terms", "--data", "few.npz", "--subset", "train", "--json", "e.json")
    assert "coarser dtype" in result.stdout
    assert 0 <= saved("e.json")["certain"] <= 60
    model = ("--model", "small.pt2", "--train", "few.npz")
    succeed("evaluate", "terms", "--data", "few.npz", "--subset", "train", *model, "--json", "e.json")
    assert (saved("e.json")["certain"], saved("e.json")["network_extracted"]) == (None, 1.0)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("full", "--data", "few.npz"), "full: not a store of terms"),
        (("none", "--data", "few.npz"), "none: not a store of terms"),
        (("full", "--data", "few.npz", "--csv", "full"), "a folder; a file is needed"),
        (("small.pt2", "--data", "few.npz"), "a model goes with --streaming, or after --model"),
        (("full", "--data", "few.npz", "--train", "few.npz"), "--train goes with --streaming"),
        (("full", "--data", "few.npz", "--decomposition", "paper"), "--decomposition goes with --streaming"),
        (("full", "--data", "few.npz", "--weights", "small.safetensors"), "go with --model"),
        (("small.pt2", "--streaming", "--model", "small.pt2", "--data", "few.npz"), "leave out --model"),
    ],
)
def test_refusals(args, message):
    Path("full").mkdir()
    Path("full/thesis.tex").write_text("mine")
    assert_matches(message, refuse("evaluate", *args))


def test_labels_that_the_network_cannot_give():
    x = np.zeros((3, 1, 8, 8), np.float32)
    np.savez("label.npz", x_test=x, y_test=np.array([0, 12, 2]))
    line = refuse("evaluate", "small.pt2", "--streaming", "--train", "few.npz", "--data", "label.npz")
    assert_matches("labels must lie in 0 … 9, as the network has 10; point 1 has label 12", line)


def test_points_of_another_shape_and_damaged_terms(folder):
    extract("terms", "--limit", "20")
    np.savez("wide.npz", x_test=np.zeros((3, 9), np.float32))
    assert_matches(r"take points of shape \(1, 8, 8\), wide has", refuse("evaluate", "terms", "--data", "wide.npz"))
    (shard,) = (folder / "terms").glob("shard-*")
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    assert_matches("damaged", refuse("evaluate", "terms", "--data", "few.npz"))


def test_a_regression_is_evaluated_by_its_errors():
    extract("terms", "--task", "regression", "--limit", "40")
    net, test = small_network(), tp.load_data("few.npz", split="test")
    np.save("true.npy", net(test.inputs).numpy() + 1)
    given = ("--model", "small.pt2", "--targets", "true.npy", "--json", "e.json", "--csv", "e.csv")
    result = succeed("evaluate", "terms", "--data", "few.npz", *given)
    assert "network N against true" in result.stdout
    f, numbers = tp.ExtractedFunction(tp.load_terms("terms")), saved("e.json")
    assert f.task == "regression"
    assert numbers["network_true"]["mean_absolute"] == pytest.approx([1.0] * 10)
    assert numbers["network_extracted"]["largest"] == pytest.approx((f(test) - net(test.inputs)).abs().amax(0).tolist())
    with open("e.csv", newline="") as file:
        row = next(csv.DictReader(file))
    assert float(row["extracted_3"]) == pytest.approx(float(f(test.inputs[:1])[0, 3]))
    assert "--targets" in refuse("evaluate", "terms", "--data", "few.npz", "--targets", "few.npz")
