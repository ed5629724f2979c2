"""One process of a distributed run, for test_processes.py: ``python -m tests.terms.worker TASK FOLDER``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

import tropica as tp
from tropica.data import passes as walk
from tropica.decomposition.calibrated import calibrated_decomposition
from tropica.evaluation.search import search
from tropica.network.trace import as_network
from tropica.runtime.processes import Processes

POINTS, FRESH = 200, 60


def settings() -> None:
    """As all processes of the tests have them: many small shards, one thread."""
    torch.set_num_threads(1)
    walk.SHARD_POINTS = 16


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 24), nn.ReLU(), nn.Linear(24, 5)
    ).eval()


def points(n: int = POINTS, seed: int = 0) -> Tensor:
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


@contextlib.contextmanager
def searching() -> Iterator[None]:
    """The exact search, however small the task."""
    wanted = {"LEAST_TERMS": 1, "LEAST_POINTS": 1, "LEAST_WORK": 1, "ENOUGH": 1, "MOST_LEFT": 1.0}
    before = {name: getattr(search, name) for name in wanted}
    vars(search).update(wanted)
    try:
        yield
    finally:
        vars(search).update(before)


def work(folder: Path, distributed: bool) -> dict[str, Tensor]:
    """All that several processes can do together, as tensors."""
    net, x, fresh = network(), points(), points(FRESH, 1)
    shared = {"distributed": distributed, "batch_size": 8}
    terms = tp.extract(net, x, out=folder / "terms", **shared)
    coarse = tp.extract(net, x, out=folder / "coarse", store_dtype=torch.bfloat16, **shared)
    inner = tp.extract(net, list(x.split(7)), out=folder / "inner", at="3", distributed=distributed)
    few = calibrated_decomposition(as_network(net, x), x, batch_size=4, memory=1, processes=Processes.join(distributed))
    least = tp.extract(net, x, out=folder / "least", method="minimal", **shared)
    factors = tp.decompose(net, x, method="minimal", per="nonlinearity", batch_size=8, memory=1, distributed=distributed)
    functions = {
        "kept": tp.ExtractedFunction(tp.load_terms(folder / "terms"), distributed=distributed),
        "coarse": tp.ExtractedFunction(coarse, distributed=distributed),
        "rescued": tp.ExtractedFunction(coarse, net=net, data=x, distributed=distributed),
        "streamed": tp.ExtractedFunction.streaming(net, x, **shared),
    }
    found = {"labels": terms.labels, "local": terms.local.weight, "inner": inner.minus.weight}
    found |= {f"few {name}": k for name, k in few.multipliers.items()}
    found |= {f"by nonlinearity {name}": k for name, k in factors.multipliers.items()}
    assert least.certificate.complete
    for name, f in functions.items():
        found[f"{name} values"] = f(fresh)
        found[f"{name} labels"], found[f"{name} winners"] = f.decide(fresh)
        found[f"{name} certain"] = f.certain(fresh).long()
    with searching():
        for name, more in {"searched": {}, "searched and rescued": {"net": net, "data": x}}.items():
            stored = tp.load_terms(folder / ("coarse" if more else "terms"))
            f = tp.ExtractedFunction(stored, distributed=distributed, **more)
            found[f"{name} labels"], found[f"{name} winners"] = f.decide(fresh)
            assert f.searched.used == "exact", f.searched.why
    return found


def refused(folder: Path) -> None:
    """Both processes must come to an end, with the same error, when one finds that the folder will not do."""
    try:
        tp.extract(network(), points(seed=2), out=folder / "terms", distributed=True, batch_size=8)
    except tp.StoreError as error:
        (folder / f"refused {torch.distributed.get_rank()}").write_text(str(error))


def main(task: str, folder: Path) -> None:
    settings()
    if task == "refused":
        refused(folder)
        return
    found = work(folder, True)
    safetensors.torch.save_file({k: v.contiguous() for k, v in found.items()}, folder / f"{torch.distributed.get_rank()}.found")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
