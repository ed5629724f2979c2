"""``tropica trace`` shows the network that the library traces, for every form of the model argument."""

from pathlib import Path

import pytest
import safetensors.torch

from tests.cli.folder import SMALL, saved, succeed
from tropica.studies.networks import build

pytestmark = pytest.mark.usefixtures("folder")


def test_nonlinearities_are_shown():
    result = succeed("trace", *SMALL, "--data", "few.npz", "--json", "trace.json")
    numbers = saved("trace.json")
    assert numbers["command"] == "trace"
    assert numbers["nonlinearities"] == [{"name": "relu", "path": "2", "op": "relu", "shape": [16], "units": 16}]
    assert [numbers[key] for key in ("input_shape", "num_outputs", "num_classes", "dropped")] == [[1, 8, 8], 10, 10, None]
    assert numbers["affine_ops"]["linear"] == 2
    for wanted in ("relu", "1 × 8 × 8, float32", "10 logits", "2 linear", "1 with 16 units"):
        assert wanted in result.stdout


def test_all_ways_to_name_a_model_give_the_same_network():
    seen = set()
    for model in (SMALL, ("small.pt2",), ("nets:ready", "--weights", "small.safetensors")):
        succeed("trace", *model, "--data", "few.npz", "--json", "trace.json")
        numbers = saved("trace.json")
        seen.add((tuple(numbers["input_shape"]), numbers["num_outputs"], numbers["units"]))
    assert len(seen) == 1


def test_a_factory_takes_arguments_and_gives_the_same_weights_each_time():
    fingerprints = set()
    for _ in range(2):
        succeed("trace", "nets:small", "--arg", "width=24", "--arg", "bias=False", "--data", "few.npz", "--json", "trace.json")
        numbers = saved("trace.json")
        fingerprints.add(numbers["fingerprint"])
        assert numbers["units"] == 24
    assert len(fingerprints) == 1


def test_tied_weights_and_a_final_softmax():
    result = succeed("trace", "nets:Tied", "--weights", "tied.safetensors", "--data", "few.npz")
    assert "a final softmax" in result.stdout


def test_built_in_networks():
    safetensors.torch.save_model(build("fcn-small", (1, 8, 8), 10, seed=4), "built.safetensors")
    succeed("trace", "tropica:fcn-small", "--weights", "built.safetensors", "--data", "few.npz", "--json", "trace.json")
    assert saved("trace.json")["units"] == 96


def test_float64_weights_make_a_float64_network():
    weights = {name: t.double() for name, t in safetensors.torch.load_file("small.safetensors").items()}
    safetensors.torch.save_file(weights, "double.safetensors")
    result = succeed("trace", "nets:small", "--weights", "double.safetensors", "--data", "few.npz")
    assert "float64" in result.stdout
    assert not Path("trace.json").exists()
