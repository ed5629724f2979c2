"""``tropica check`` names damaged and missing files."""

import pytest

from tests.cli.folder import run, saved, succeed

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize("decomposition", ["calibrated", "minimal"])
def test_a_sound_folder(decomposition):
    succeed("extract", "small.pt2", "--data", "few.npz", "-o", "terms", "--decomposition", decomposition)
    result = succeed("check", "terms", "--json", "c.json")
    assert ("of pairs of data points only" in result.stdout) == (decomposition == "minimal")
    numbers = saved("c.json")
    assert (numbers["command"], numbers["state"], numbers["faults"]) == ("check", "complete", [])
    certificate = numbers["certificate"]
    assert (certificate["pairwise"], certificate["holds"]) == (decomposition == "minimal", True)
    assert numbers["extraction"]["method"] == decomposition


def test_a_damaged_shard(folder):
    succeed("extract", "small.pt2", "--data", "few.npz", "-o", "terms")
    (shard,) = (folder / "terms").glob("shard-*")
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    result = run("check", "terms", "--json", "c.json")
    assert result.exit_code == 1
    assert shard.name in result.stdout
    assert result.stderr == "error: terms: damaged or missing files: 1; repeat the extraction to write them again\n"
    assert len(saved("c.json")["faults"]) == 1
