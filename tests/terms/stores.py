"""A small store of terms for the tests: extraction, interruption, comparison and damage."""

from __future__ import annotations

import random
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

import tropica as tp
from tests.cached import decomposition_of, network, points
from tropica.data.passes import ShardSizes

SMALL = ShardSizes(points=8)
NAME = "mnist_conv"


def extract(out: Path | None, **changes) -> tp.LinearTerms:
    """The terms of the case: 32 points in shards of 8, batches of 4."""
    settings = {"decomposition": decomposition_of(NAME, "calibrated"), "batch_size": 4, "shard_sizes": SMALL, **changes}
    net, x = settings.pop("net", network(NAME)), settings.pop("data", points(NAME))
    return tp.extract(net, x, out=out, **settings)


def content(folder: Path) -> dict[str, bytes]:
    """The bytes of every file of a folder, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def same(one: tp.LinearTerms, other: tp.LinearTerms) -> None:
    """Assert that two sets of terms and their certificates are equal."""
    for part in ("local", "minus", "plus"):
        assert torch.equal(getattr(one, part).weight, getattr(other, part).weight)
        assert torch.equal(getattr(one, part).bias, getattr(other, part).bias)
    assert torch.equal(one.labels, other.labels)
    assert torch.equal(one.center, other.center)
    assert (one.input_shape, one.num_classes, one.method) == (other.input_shape, other.num_classes, other.method)
    certificates = ({**asdict(terms.certificate), "tolerance": None} for terms in (one, other))
    assert next(certificates) == next(certificates)
    # The tolerance is computed from norms, whose last bit depends on the batch size.
    assert one.certificate.tolerance == pytest.approx(other.certificate.tolerance, rel=1e-6)


class Stop(Exception):
    """Raised to interrupt an extraction."""


def interrupt(folder: Path, after: int, **changes) -> None:
    """Extract until ``after`` shards are written."""

    def stop(done: int, total: int, message: str) -> None:
        if message == "extracting" and done >= 8 * after:
            raise Stop

    with pytest.raises(Stop):
        extract(folder, progress=stop, **changes)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-100] ^= 4
    path.write_bytes(raw)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def corrupt(path: Path, generator: random.Random) -> None:
    """Flip bits, cut, grow, overwrite a part, or swap with another file."""
    raw = bytearray(path.read_bytes())
    at = generator.randrange(len(raw)) if raw else 0
    damage = generator.choice(["flip", "cut", "grow", "overwrite", "swap", "header"])
    if damage == "flip" and raw:
        raw[at] ^= 1 << generator.randrange(8)
    elif damage == "cut":
        del raw[at:]
    elif damage == "grow":
        raw += generator.randbytes(generator.randint(1, 50))
    elif damage == "overwrite":
        raw[at : at + 40] = generator.randbytes(40)
    elif damage == "swap":
        raw = bytearray(generator.choice(sorted(path.parent.iterdir())).read_bytes())
    elif raw:
        raw[generator.randrange(min(400, len(raw)))] = generator.randrange(256)
    path.write_bytes(raw)
