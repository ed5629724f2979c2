"""``tropica extract`` writes the terms of ``tp.extract``, and resumes."""

from functools import partial
from pathlib import Path

import pytest
import torch

import tropica as tp
from tests.cli.folder import SMALL, assert_matches, refuse, run, saved, small_network, succeed
from tropica.data.passes import ShardSizes

pytestmark = pytest.mark.usefixtures("folder")


def test_terms_are_those_of_the_library():
    result = succeed("extract", *SMALL, "--data", "few.npz", "-o", "terms", "--json", "numbers.json")
    assert "holds" in result.stdout
    numbers, stored = saved("numbers.json"), tp.load_terms("terms")
    terms = tp.extract(small_network(), tp.load_data("few.npz"))
    torch.testing.assert_close(stored.local.weight, terms.local.weight)
    assert numbers["points"] == len(stored) == 60
    assert numbers["labels"] == terms.labels.bincount(minlength=10).tolist()
    assert (numbers["decomposition"], numbers["certificate"]["holds"]) == ("calibrated", True)


def test_the_minimal_decomposition():
    options = ("--data", "few.npz", "--decomposition", "minimal", "--json", "numbers.json")
    result = succeed("extract", *SMALL, *options, "-o", "terms")
    assert "of pairs of data points only" in result.stdout
    assert saved("numbers.json")["decomposition"] == "minimal"
    succeed("evaluate", "terms", "--data", "few.npz", "--subset", "train", "--model", *SMALL, "--json", "numbers.json")
    assert saved("numbers.json")["network_extracted"] == 1


@pytest.mark.parametrize("check", ["none", "full"])
def test_checks(check):
    result = succeed("extract", "small.pt2", "--data", "few.npz", "-o", "terms", "--check", check, "--json", "numbers.json")
    certificate = saved("numbers.json")["certificate"]
    if check == "none":
        assert certificate is None
        assert "not checked" in result.stdout
    else:
        assert (certificate["points"], certificate["terms"], certificate["complete"]) == (60, 60, True)


def test_terms_of_an_inner_layer():
    succeed("extract", *SMALL, "--data", "few.npz", "-o", "inner", "--at", "1", "--json", "numbers.json")
    assert saved("numbers.json")["input_shape"] == [16]
    succeed("evaluate", "inner", "--data", "few.npz", "--subset", "train", "--model", *SMALL, "--json", "numbers.json")
    numbers = saved("numbers.json")
    assert (numbers["network_extracted"], numbers["same_network"]) == (1.0, True)
    assert_matches("inner layer '1': give the network as --model", refuse("evaluate", "inner", "--data", "few.npz"))


def test_an_interrupted_extraction_resumes(monkeypatch):
    extract = partial(tp.extract, batch_size=16, shard_sizes=ShardSizes(points=1))

    def stop(done, total, message):
        if message == "extracting" and done >= 32:
            raise KeyboardInterrupt

    monkeypatch.setattr(tp, "extract", lambda *args, **options: extract(*args, **(options | {"progress": stop})))
    result = run("extract", "small.pt2", "--data", "few.npz", "-o", "half")
    assert result.exit_code == 130
    assert_matches(r"^stopped: \d\d of 60 points are in half; the same command resumes there\n$", result.stderr)
    assert run("evaluate", "half", "--data", "few.npz").exit_code == 2
    monkeypatch.setattr(tp, "extract", extract)
    shards = {path: path.stat().st_mtime_ns for path in Path("half").glob("shard-*")}
    succeed("extract", "small.pt2", "--data", "few.npz", "-o", "half")
    assert shards
    assert all(path.stat().st_mtime_ns == time for path, time in shards.items())
    succeed("extract", "small.pt2", "--data", "few.npz", "-o", "whole")
    half, whole = tp.load_terms("half"), tp.load_terms("whole")
    assert torch.equal(half.local.weight, whole.local.weight)
    assert torch.equal(half.minus.bias, whole.minus.bias)
