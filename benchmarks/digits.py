"""Digits of f(x): what N^(X) keeps on deep networks, as certified and as measured, for every decomposition and precision.

    python -m benchmarks.digits chains
    python -m benchmarks.digits mlps --depths 10 20 30 50 --terms 1000        (needs TROPICA_DATA for MNIST; else digits)
    python -m benchmarks.digits ten --terms 1000                              (needs TROPICA_DATA)
    python -m benchmarks.digits architectures --networks ResNet-18 --terms 16 --pixels 64 --methods calibrated minimal paper
        --limit 300

Measured digits are −log₁₀ of the largest |f − f_exact| / max(|f_exact|, spread of N) over test points, at the label that wins.
f_exact is N^(X) of the same K from terms in double-double (in float64 for the architectures, whose terms are measured in
float32). Rows "plain" show the terms in the model's own dtype, as they were before they could rise in precision.
"""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from rich.table import Table
from torch import Tensor, nn

import tropica as tp
from benchmarks.architectures import DEEP, basic, conv_bn, prepared
from benchmarks.networks import images, mnist_or_digits
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.studies.training.loop import train

HEADINGS = (
    "network",
    "decomposition",
    "terms",
    "precision",
    "certified",
    "measured",
    "agreement",
    "seconds",
    "holds",
)


def chain(depth: int, extra: bool) -> tuple[nn.Sequential, Tensor]:
    """N(x) = (x, 2x − 3) behind ``depth`` layers that double F⁻ (with ``extra``: and a bend at 4.5), and its six points."""

    def linear(weight: list[list[float]], bias: list[float] | None = None) -> nn.Linear:
        layer = nn.Linear(len(weight[0]), len(weight))
        layer.weight.data = torch.tensor(weight)
        layer.bias.data = torch.tensor(bias or [0.0] * len(weight))
        return layer

    layers: list[nn.Module] = [linear([[1.0], [-1.0]])]
    for _ in range(depth):
        layers += [nn.ReLU(), linear([[1.0, -1.0], [-1.0, 1.0]])]
    if extra:
        layers += [nn.ReLU(), linear([[1.0, -1.0], [-1.0, 1.0], [1.0, -1.0]], [0.0, 0.0, -4.5])]
    last = [[1.0, -1.0, -0.25], [2.0, -2.0, -0.5]] if extra else [[1.0, -1.0], [2.0, -2.0]]
    model = nn.Sequential(*layers, nn.ReLU(), linear(last, [0.0, -3.0])).eval().requires_grad_(False)
    return model, torch.tensor([[-2.0], [-1.0], [1.0], [2.0], [4.0], [5.0]])


def mlp(depth: int, inputs: int, width: int) -> nn.Sequential:
    """An MLP of ``depth`` linear layers with batch norm."""
    layers: list[nn.Module] = []
    for _ in range(depth - 1):
        layers += [nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, 10))


def resnet20() -> nn.Module:
    """ResNet-20 for 32 pixels: 16, 32 and 64 channels, batch norm."""
    layers: list[nn.Module] = [*conv_bn(3, 16, 3), nn.ReLU()]
    inputs = 16
    for stage, width in enumerate((16, 32, 64)):
        for i in range(3):
            layers.append(basic(inputs, width, 2 if stage and not i else 1))
            inputs = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def convolutional(channels: int, pixels: int) -> nn.Sequential:
    """Two convolutions, each with a max-pool, and a linear layer."""
    layers = [nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(32 * (pixels // 4) ** 2, 10))


TEN: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "digits MLP 2": ("digits", lambda: nn.Sequential(nn.Flatten(), *mlp(2, 64, 64))),
    "digits MLP 4": ("digits", lambda: nn.Sequential(nn.Flatten(), *mlp(4, 64, 64))),
    "digits Conv": ("digits", lambda: convolutional(1, 8)),
    "MNIST MLP 2": ("mnist", lambda: nn.Sequential(nn.Flatten(), *mlp(2, 784, 64))),
    "MNIST MLP 4": ("mnist", lambda: nn.Sequential(nn.Flatten(), *mlp(4, 784, 64))),
    "MNIST MLP 8": ("mnist", lambda: nn.Sequential(nn.Flatten(), *mlp(8, 784, 64))),
    "MNIST Conv": ("mnist", lambda: convolutional(1, 28)),
    "CIFAR MLP 4": ("cifar10", lambda: nn.Sequential(nn.Flatten(), *mlp(4, 3072, 64))),
    "CIFAR Conv": ("cifar10", lambda: convolutional(3, 32)),
    "CIFAR ResNet-20": ("cifar10", resnet20),
}
"""The networks whose figures decide the default decomposition, each with its data."""


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """TimeoutError after so many seconds; 0 for no limit."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def failed(name: str, method: str, terms: int, start: float, error: Exception) -> list[str]:
    """The row of a call that raised an error."""
    return [name, method, str(terms), *"––––", f"{time.perf_counter() - start:.1f}", f"error: {str(error)[:300]}"]


def defaults(name: str, terms: int, points: int, limit: int) -> Iterator[list[str]]:
    """Agreement, digits and seconds of the three decompositions of one of the ten networks."""
    source, build = TEN[name]
    data, held = tp.load_data(source, split="train", limit=points), tp.load_data(source, split="test", limit=500)
    torch.manual_seed(0)
    model = build()
    assert data.labels is not None
    train(model, data.inputs, data.labels, epochs=3, seed=0)
    model.eval().requires_grad_(False)
    x, test = data.inputs[:terms], held.inputs
    net = tp.trace(model, x[:2])
    labels = net.predict(test)
    for method in ("calibrated", "minimal", "paper"):
        start = time.perf_counter()
        try:
            with limited(limit):
                found = tp.extract(net, x, method)
                seconds = time.perf_counter() - start
                agreement = float((tp.ExtractedFunction(found).predict(test) == labels).double().mean())
        except (tp.CertificateError, TimeoutError) as error:
            yield failed(name, method, len(x), start, error)
            continue
        digits = f"{found.certificate.digits:.1f}"
        yield [name, method, str(len(x)), found.precision, digits, "–", f"{agreement:.1%}", f"{seconds:.1f}", "yes"]


def measured(f: Tensor, exact: Tensor, spread: float) -> float:
    """The digits of f at the label that wins in ``exact``."""
    best, label = exact.max(1)
    error = (f.gather(1, label[:, None])[:, 0] - best).abs() / best.abs().clamp(min=spread)
    worst = float(error.max())
    return 16.0 if worst == 0 else max(0.0, -torch.tensor(worst, dtype=torch.float64).log10().item())


def rows(
    name: str,
    net: tp.PiecewiseLinearNetwork,
    x: Tensor,
    test: Tensor,
    methods: tuple[str, ...],
    reference: str,
    limit: int,
) -> Iterator[list[str]]:
    """A row for every decomposition and way: as before, and by the default call."""
    labels, spread = net.predict(test), float(net(x).double().std(0).max())
    for method in methods:
        made = None
        for way in ("plain", "default"):
            title, start = f"{method}, {way}", time.perf_counter()
            try:
                with limited(limit):
                    if way == "plain":
                        made = tp.decompose(net, x, method=method)
                        found = tp.extract(net, x, made, dtype=net.dtype, on_failure="warn")
                    else:
                        found = tp.extract(net, x, method)
                        title = f"{method} → {found.method}"
                    seconds = time.perf_counter() - start
                    f = tp.ExtractedFunction(found)
                    values, same = f(test), f.predict(test).to(labels) == labels
            except (tp.CertificateError, ValueError, TimeoutError) as error:
                yield failed(name, title, len(x), start, error)
                continue
            exact = _exact(found, made, net, x, test, reference, limit)
            yield [
                name,
                title,
                str(len(x)),
                found.precision,
                f"{found.certificate.digits:.1f}",
                "–" if exact is None else f"{measured(values, exact, spread):.1f}",
                f"{float(same.double().mean()):.1%}",
                f"{seconds:.1f}",
                "yes" if found.certificate.holds else "no",
            ]


def _exact(
    terms: tp.LinearTerms,
    made: DCDecomposition | None,
    net: tp.PiecewiseLinearNetwork,
    x: Tensor,
    test: Tensor,
    precision: str,
    limit: int,
) -> Tensor | None:
    """f of the same K in a finer precision; None where it is theirs, K is another, or it has no digits or time."""
    if terms.precision == precision or made is None or made.method != terms.method:
        return None
    if terms.precision == "float64" and precision == "float64":
        return None
    try:
        with limited(limit):
            finer = replace(made, certificate=None).in_precision(precision)
            return tp.ExtractedFunction(tp.extract(finer.net, x, finer, check="none"))(test)
    except (tp.CertificateError, TimeoutError):
        return None


def main() -> None:
    """Print the table."""
    from benchmarks.report import show

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("chains", "mlps", "architectures", "ten"), default="chains")
    parser.add_argument("--depths", nargs="*", type=int)
    parser.add_argument("--networks", nargs="*", choices=[*DEEP, *TEN], help="of architectures or ten; all by default")
    parser.add_argument("--pixels", type=int, default=64)
    parser.add_argument("--terms", type=int, default=300)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--train", type=int, default=6000)
    parser.add_argument("--methods", nargs="*", default=["calibrated", "minimal"])
    parser.add_argument("--limit", type=int, default=0, help="seconds for each row; 0 (default) for no limit")
    arguments = parser.parse_args()
    methods, limit = tuple(arguments.methods), arguments.limit
    table = Table(title=f"Digits of f(x): {arguments.what}")
    for heading in HEADINGS:
        table.add_column(heading)

    def add(found: Iterator[list[str]]) -> None:
        for row in found:
            print(" | ".join(row), flush=True)
            table.add_row(*row)

    if arguments.what == "chains":
        for depth in arguments.depths or (20, 50, 100):
            for extra in (False, True):
                for dtype in (torch.float32, torch.float64):
                    model, x = chain(depth, extra)
                    net = tp.trace(model.to(dtype), x.to(dtype))
                    name = f"chain {depth}{' with a bend' if extra else ''}, {str(dtype)[6:]}"
                    add(
                        rows(
                            name,
                            net,
                            x.to(dtype),
                            torch.linspace(-3, 7, 41, dtype=dtype)[:, None],
                            methods,
                            "double-double",
                            limit,
                        )
                    )
    elif arguments.what == "mlps":
        source = mnist_or_digits()
        points, held = tp.load_data(source, split="train", limit=arguments.train), tp.load_data(source, split="test", limit=200)
        for depth in arguments.depths or (10, 20, 30, 50):
            torch.manual_seed(0)
            inputs = points.inputs.flatten(1)
            model = mlp(depth, inputs.shape[1], arguments.width)
            assert points.labels is not None
            train(model, inputs, points.labels, epochs=3, seed=0)
            model.eval().requires_grad_(False)
            x, test = inputs[: arguments.terms], held.inputs.flatten(1)
            net = tp.trace(model, x)
            right = float((net.predict(test) == held.labels).double().mean())
            add(rows(f"MLP {depth}, {source}, accuracy {right:.0%}", net, x, test, methods, "double-double", limit))
    elif arguments.what == "ten":
        for name in arguments.networks or TEN:
            add(defaults(name, arguments.terms, arguments.train, limit))
    else:
        pictures, what = images(max(256, arguments.terms + 64), arguments.pixels)
        for name in arguments.networks or DEEP:
            net = tp.trace(prepared(name, pictures), pictures[:2])
            x, test = pictures[: arguments.terms], pictures[-32:]
            add(rows(f"{name}, {what}, {arguments.pixels} px", net, x, test, methods, "float64", limit))
    show(table, f"digits-{arguments.what}")


if __name__ == "__main__":
    main()
