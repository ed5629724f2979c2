"""Damaged files are refused in one line: no other exception leaves a reader, and none hangs."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import pytest

from tests.data.readers.pictures import png, rgb
from tropica.data.labelled import LabelledData
from tropica.errors import TropicaError
from tropica.studies.datasets.load import load_data


def originals() -> dict[str, bytes]:
    """Small sound files."""
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    tables = {
        "images": {"image": [{"bytes": png(rgb(9 * i)), "path": "p"} for i in range(4)], "label": ["a", "b", "a", "c"]},
        "table": {"a": [0.5, 1.5, 2.5, 3.5], "b": [1, 2, 3, 4], "label": [0, 1, 0, 1]},
    }
    found: dict[str, bytes] = {}
    for name, columns in tables.items():
        for compression in ("none", "snappy"):
            buffer = io.BytesIO()
            parquet.write_table(pa.table(columns), buffer, row_group_size=2, compression=compression)
            found[f"{name}-{compression}.parquet"] = buffer.getvalue()
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, x=np.arange(24, dtype=np.float32).reshape(4, 6), y=np.array([0, 1, 2, 1]))
        found[f"{save.__name__}.npz"] = buffer.getvalue()
    buffer = io.BytesIO()
    np.save(buffer, np.arange(24, dtype=np.float32).reshape(4, 6))
    found["array.npy"] = buffer.getvalue()
    found["table.csv"] = b"a,b,label\n0.5,1,x\n1.5,2,y\n2.5,3,x\n"
    return found


def mutated(whole: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, taken out, put in, or the end cut off."""
    data = bytearray(whole)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(max(len(data), 1))
        match chance.randrange(5):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                data[at : at + 1] = bytes([data[at] ^ (1 << chance.randrange(8))]) if data else b""
            case 2:
                del data[at : at + chance.choice((1, 4, 64))]
            case 3:
                data[at:at] = bytes(chance.randrange(256) for _ in range(chance.choice((1, 4, 64))))
            case _:
                del data[at:]
    return bytes(data)


def check_mutations(folder: Path, count: int, seed: int) -> int:
    """Load mutated files; the number of those refused. Sound results have finite points."""
    chance, refused = random.Random(seed), 0
    sound = originals()
    for i in range(count):
        name = chance.choice(sorted(sound))
        path = folder / f"{i}{Path(name).suffix}"
        path.write_bytes(mutated(sound[name], chance))
        try:
            found = load_data(str(path), lazy=bool(i % 2))
            whole = found if isinstance(found, LabelledData) else found.in_memory()
            assert len(whole) > 0
        except TropicaError:
            refused += 1
        path.unlink()
    return refused


def test_some_mutated_files(tmp_path: Path) -> None:
    assert 10 < check_mutations(tmp_path, 60, seed=0) <= 60


@pytest.mark.slow
def test_many_mutated_files(tmp_path: Path) -> None:
    """500 mutations, in a process whose end is waited for: no traceback, no hang."""
    assert check_mutations(tmp_path, 500, seed=1) > 100
