"""Mutated ONNX files: every one is read or refused with an error of tropica, in bounded time."""

from __future__ import annotations

import random
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError

import tropica as tp
from tests.network.readers.test_onnx_ops import READ, parse

FILES = 2_000
MOST_SECONDS = 20.0
"""Processor time for one file."""
NUMBERS = (-(2**63), -(2**31), -7, -1, 0, 1, 2, 3, 5, 17, 1000, 2**20, 2**31 - 1, 2**40, 2**63 - 1)
FLOATS = (0.0, -1.0, 1e-30, 1e30, float("nan"), float("inf"), -float("inf"))


def corpus() -> list[bytes]:
    """Small models of every op."""
    return [parse(*READ[name]).SerializeToString() for name in READ]


def change_node(model: onnx.ModelProto, rng: random.Random) -> None:
    """Another op, other inputs, or another value of an attribute."""
    node = rng.choice(model.graph.node)
    names = [i.name for i in model.graph.input] + [t.name for t in model.graph.initializer]
    names += [o for n in model.graph.node for o in n.output]
    kind = rng.choice([0, 1, 1, 2, 3, 4, 4, 4, 4])
    if kind == 0:
        node.op_type = rng.choice(OPS)
    elif kind == 1 and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice([*names, "", "nothing"])
    elif kind == 2 and node.input:
        node.input.pop()
    elif kind == 3:
        node.input.append(rng.choice(names))
    elif node.attribute:
        attribute = rng.choice(node.attribute)
        if attribute.ints:
            attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(NUMBERS)
        elif attribute.type == onnx.AttributeProto.FLOAT:
            attribute.f = rng.choice(FLOATS)
        elif attribute.type == onnx.AttributeProto.STRING:
            attribute.s = rng.choice([b"", b"SAME_UPPER", b"linear", b"\xff\xfe", b"wrap"])
        else:
            attribute.i = rng.choice(NUMBERS)


OPS = sorted({schema.name for schema in onnx.defs.get_all_schemas()})


def change_numbers(model: onnx.ModelProto, rng: random.Random) -> None:
    """Another constant, shape of a constant, size of the input, or opset."""
    kind = rng.choice([0, 0, 0, 0, 1, 2, 3])
    if kind == 0 and model.graph.initializer:
        tensor = rng.choice(model.graph.initializer)
        array = np.array(onnx.numpy_helper.to_array(tensor))
        if array.size:
            number = rng.choice(NUMBERS if array.dtype.kind == "i" else FLOATS)
            array.reshape(-1)[rng.randrange(array.size)] = number
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    elif kind == 1 and model.graph.initializer:
        tensor = rng.choice(model.graph.initializer)
        if tensor.dims:
            tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(NUMBERS)
    elif kind == 2:
        dims = model.graph.input[0].type.tensor_type.shape.dim
        dims[rng.randrange(len(dims))].dim_value = rng.choice(NUMBERS)
    else:
        model.opset_import[0].version = rng.randrange(1, 30)


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A file with a few changes of its bytes, or of its meaning."""
    if rng.random() < 0.25:
        raw = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(raw))
            raw[at] = rng.randrange(256) if rng.random() < 0.7 else raw[at] ^ (1 << rng.randrange(8))
        return bytes(raw[: rng.randrange(len(raw))] if rng.random() < 0.1 else raw)
    model = onnx.ModelProto.FromString(content)
    for _ in range(rng.randint(1, 2)):
        try:
            rng.choice([change_node, change_numbers, change_numbers])(model, rng)
        except (ValueError, TypeError, OverflowError, DecodeError):
            continue  # the change itself does not fit
    return model.SerializeToString()


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_mutated_files(part: int, tmp_path: Path) -> None:
    """No exception of another kind, no hang. A file that is read agrees with onnx.reference, or it would be refused."""
    models, rng, outcomes = corpus(), random.Random(part), Counter()
    file, longest = tmp_path / "net.onnx", 0.0
    for i in range(FILES // 4):
        content = mutated(rng.choice(models), rng)
        file.write_bytes(content)
        start = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                tp.load_network(file, flatten_output=True)
            outcomes["read"] += 1
        except tp.TropicaError as error:
            outcomes[type(error).__name__] += 1
        except Exception as error:
            raise AssertionError(f"file {i} of part {part}: {type(error).__name__}: {error}") from error
        seconds = time.process_time() - start
        longest = max(longest, seconds)
        assert seconds < MOST_SECONDS, f"file {i} of part {part} took {seconds:.0f} s"
    print(f"part {part}: {dict(outcomes)}, longest {longest:.1f} s")
    assert outcomes["read"] > 50
