"""One process of a distributed run, for test_store_processes.py: ``python -m tests.terms.worker TASK FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

import tropica as tp
from tropica.data.passes import DataPass, ShardSizes
from tropica.decomposition.calibrated import calibrated_decomposition
from tropica.evaluation.search.settings import SearchSettings
from tropica.evaluation.settings import EvaluationSettings
from tropica.network.trace import as_network
from tropica.runtime.processes import Processes

POINTS, FRESH = 200, 60
SMALL = ShardSizes(points=16)


def settings() -> None:
    """Use one thread, as in all processes of the tests."""
    torch.set_num_threads(1)


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 24), nn.ReLU(), nn.Linear(24, 5)
    ).eval()


def points(n: int = POINTS, seed: int = 0) -> Tensor:
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


SEARCHING = EvaluationSettings(
    search=SearchSettings(least_terms=1, least_points=1, least_work=1, least_asked=1, most_left=1.0, most_work=float("inf"))
)
"""Settings that use the exact search for problems of any size."""


def work(folder: Path, distributed: bool) -> dict[str, Tensor]:
    """Run all distributed computations, and return their results as tensors."""
    net, x, fresh = network(), points(), points(FRESH, 1)
    shared = {"distributed": distributed, "batch_size": 8, "shard_sizes": SMALL}
    terms = tp.extract(net, x, out=folder / "terms", **shared)
    coarse = tp.extract(net, x, out=folder / "coarse", stored_dtype=torch.bfloat16, on_failure="warn", **shared)
    inner = tp.extract(net, list(x.split(7)), out=folder / "inner", at="3", distributed=distributed, shard_sizes=SMALL)
    traced = as_network(net, x)
    data_pass = DataPass(x, 4, traced.dtype, traced.device, traced.input_shape, SMALL)
    few = calibrated_decomposition(traced, data_pass, memory=1, processes=Processes.join(distributed))
    least = tp.extract(net, x, out=folder / "least", decomposition="minimal", **shared)
    factors = tp.decompose(net, x, method="minimal", per="nonlinearity", memory=1, **shared)
    functions = {
        "kept": tp.ExtractedFunction(tp.load_terms(folder / "terms"), distributed=distributed),
        "coarse": tp.ExtractedFunction(coarse, distributed=distributed),
        "recomputed": tp.ExtractedFunction(coarse, net=net, data=x, distributed=distributed),
        "streamed": tp.ExtractedFunction.streaming(net, x, **shared),
    }
    found = {"labels": terms.labels, "local": terms.local.weight, "inner": inner.minus.weight}
    found |= {f"few {name}": k for name, k in few.multipliers.items()}
    found |= {f"by nonlinearity {name}": k for name, k in factors.multipliers.items()}
    assert least.certificate.complete
    for name, f in functions.items():
        found[f"{name} values"] = f(fresh)
        found[f"{name} labels"], found[f"{name} terms"] = f.labels_and_terms(fresh)
        found[f"{name} certain"] = f.label_is_certified(fresh).long()
    for name, more in {"searched": {}, "searched and recomputed": {"net": net, "data": x}}.items():
        stored = tp.load_terms(folder / ("coarse" if more else "terms"))
        f = tp.ExtractedFunction(stored, distributed=distributed, settings=SEARCHING, **more)
        found[f"{name} labels"], found[f"{name} terms"] = f.labels_and_terms(fresh)
        assert f.search_report.used == "exact", f.search_report.why
    return found


def refused(folder: Path) -> None:
    """Extract other points into an existing store: every process must end with the same error."""
    try:
        tp.extract(network(), points(seed=2), out=folder / "terms", distributed=True, batch_size=8, shard_sizes=SMALL)
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
