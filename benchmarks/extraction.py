"""Speed of extraction: against plain PyTorch, the layer-by-layer NumPy oracle, and vmap(jacrev).

Floor: one forward and two input-only backward passes, the least that ∇N_i and ∇F⁻ need by differentiation; the first comparison
is with exactly this. All candidates run in one process, in turns.

``python -m benchmarks.extraction default [NAME …]`` (fcn4, conv, resnet18) prints only the ratio of the default call,
tp.extract(model, data), in processor seconds of one thread, which a loaded machine spoils less.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import torch
from rich.table import Table
from torch import Tensor, nn

import tropica as tp
from benchmarks.architectures import prepared
from benchmarks.networks import images, trained
from benchmarks.timing import in_turns, median, ratio
from tests.oracles import algorithm31


def plain(model: nn.Module, x: Tensor, size: int) -> Callable[[], None]:
    """One forward and two backward passes to the input, in plain PyTorch."""

    def run() -> None:
        for batch in x.split(size):
            points = batch.detach().requires_grad_()
            logits = model(points)
            top = logits.argmax(1, keepdim=True)
            torch.autograd.grad(logits.gather(1, top).sum(), points, retain_graph=True)
            torch.autograd.grad(logits[:, 0].sum(), points)

    return run


def jacobians(model: nn.Module, x: Tensor, size: int) -> Callable[[], None]:
    """The full Jacobian of every point by vmap(jacrev)."""
    single = torch.func.vmap(torch.func.jacrev(lambda point: model(point.unsqueeze(0)).squeeze(0)), chunk_size=size)

    def run() -> None:
        for batch in x.split(size):
            single(batch)

    return run


def measure(title: str, model: nn.Module, x: Tensor, size: int, rounds: int, oracle: bool) -> list[str]:
    """One row of the table."""
    net = tp.trace(model, x[:2])
    decomposition = tp.decompose(net, x, batch_size=size)
    work: dict[str, Callable[[], object]] = {
        "tropica": lambda: tp.extract(net, x, decomposition, check="none", batch_size=size),
        "plain": plain(model, x, size),
        "jacrev": jacobians(model, x, size),
    }
    if oracle:
        acts = algorithm31.forward(model, x)  # type: ignore[arg-type]
        work["oracle"] = lambda: algorithm31.merge(model, acts)  # type: ignore[arg-type]
    seconds = in_turns({name: work[name] for name in ("tropica", "plain")}, rounds)
    slow = in_turns({name: run for name, run in work.items() if name != "plain"}, max(3, rounds // 3))
    checked = in_turns({"tropica": work["tropica"], "checked": lambda: tp.extract(net, x, decomposition, batch_size=size)}, 3)
    default = in_turns({"plain": work["plain"], "default": lambda: tp.extract(net, x, batch_size=size)}, max(3, rounds // 3))
    return [
        title,
        f"{len(x)} × {size}",
        f"{median(seconds['plain']):.3f}",
        f"{median(seconds['tropica']):.3f}",
        f"{ratio(seconds, 'tropica', 'plain'):.3f}",
        f"{ratio(slow, 'oracle', 'tropica'):.2f}" if oracle else "–",
        f"{ratio(slow, 'jacrev', 'tropica'):.2f}",
        f"{ratio(checked, 'checked', 'tropica'):.2f}",
        f"{ratio(default, 'default', 'plain'):.2f}",
    ]


def default_call(name: str, rounds: int = 3) -> str:
    """One line: the default call against the floor, in processor seconds."""
    torch.set_num_threads(1)
    if name == "resnet18":
        pictures, what = images(256)
        title, model, x, size = f"{what} ResNet-18", prepared("ResNet-18", pictures), pictures[:64].clone(), 32
    else:
        case = trained(name, {"fcn4": 4, "conv": 1}[name])
        title, model, x = case.title, case.model, case.train.inputs[:4096].clone()
        size = {"fcn4": 1024, "conv": 128}[name]
    net = tp.trace(model, x[:2])
    work = {"plain": plain(model, x, size), "default": lambda: tp.extract(net, x, batch_size=size)}
    seconds = in_turns(work, rounds, clock=time.process_time)
    return (
        f"{title}, {len(x)} × {size}: plain {median(seconds['plain']):.2f} s, default {median(seconds['default']):.2f} s, "
        f"{ratio(seconds, 'default', 'plain'):.2f} ×; load {os.getloadavg()[0]:.0f}"
    )


def main() -> None:
    """Print the table."""
    from benchmarks.report import show

    if sys.argv[1:2] == ["default"]:
        for name in sys.argv[2:] or ("fcn4", "conv", "resnet18"):
            print(default_call(name), flush=True)
        return

    table = Table(
        title="Extraction, decomposition given, float32; floor: plain PyTorch's forward + 2 input-only backward passes"
    )
    for heading in (
        "network",
        "points × batch",
        "plain s",
        "tropica s",
        "tropica/plain (bar 1.15)",
        "oracle/tropica (bars 1.7, 2.5)",
        "jacrev/tropica (bar 2)",
        "with certificate ×",
        "default call/plain (bars 2.6, 4)",
    ):
        table.add_column(heading)
    fcn, conv = trained("fcn4", 4), trained("conv", 2)
    table.add_row(*measure(fcn.title, fcn.model, fcn.train.inputs[:4096].clone(), 1024, 15, oracle=True))
    table.add_row(*measure(conv.title, conv.model, conv.train.inputs[:512].clone(), 128, 15, oracle=True))
    pictures, what = images(256)
    deep = prepared("ResNet-18", pictures)
    table.add_row(*measure(f"{what} ResNet-18", deep, pictures[:64].clone(), 32, 5, oracle=False))
    show(table, "extraction")


if __name__ == "__main__":
    main()
