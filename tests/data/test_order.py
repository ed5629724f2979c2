"""Data whose order changes between passes: right numbers or a clear error, and no wrong numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import ChainDataset, DataLoader, Dataset, IterableDataset, Sampler, TensorDataset

import tropica as tp
from tropica.data.point_order import PointOrder

X = torch.randn(300, 5, generator=torch.Generator().manual_seed(0))


class Shuffled(IterableDataset[Tensor]):
    """The points in another order in each pass."""

    def __init__(self) -> None:
        self.passes = 0

    def __iter__(self) -> Iterator[Tensor]:
        self.passes += 1
        yield from X[torch.randperm(len(X), generator=torch.Generator().manual_seed(self.passes))]


class Steady(IterableDataset[Tensor]):
    def __iter__(self) -> Iterator[Tensor]:
        yield from X


class Augmented(Dataset[Tensor]):
    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> Tensor:
        return X[index] + 0.1 * torch.randn(5)


class OwnSampler(Sampler[int]):
    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(len(X)).tolist())

    def __len__(self) -> int:
        return len(X)


class Reversed(OwnSampler):
    def __iter__(self) -> Iterator[int]:
        return iter(range(len(X) - 1, -1, -1))


class Batches:
    """An iterable of batches in another order in each pass."""

    def __init__(self) -> None:
        self.passes = 0

    def __iter__(self) -> Iterator[Tensor]:
        self.passes += 1
        yield from X.roll(self.passes, 0).split(64)


CHANGING: dict[str, Callable[[], Any]] = {
    "own sampler": lambda: DataLoader(TensorDataset(X), batch_size=32, sampler=OwnSampler()),
    "own batch sampler": lambda: DataLoader(
        TensorDataset(X), batch_sampler=torch.utils.data.BatchSampler(OwnSampler(), 32, drop_last=False)
    ),
    "shuffling iterable": Shuffled,
    "loader of a shuffling iterable": lambda: DataLoader(Shuffled(), batch_size=32),
    "iterable of batches": Batches,
}


@pytest.fixture(scope="module")
def net() -> tp.PiecewiseLinearNetwork:
    torch.manual_seed(0)
    return tp.trace(nn.Sequential(nn.Linear(5, 12), nn.ReLU(), nn.Linear(12, 3)).eval(), X[:2])


@pytest.fixture(scope="module")
def f(net: tp.PiecewiseLinearNetwork) -> tp.ExtractedFunction:
    return tp.ExtractedFunction(tp.extract(net, X))


@pytest.mark.parametrize("name", CHANGING)
def test_changing_order_is_refused(name: str, net: tp.PiecewiseLinearNetwork, f: tp.ExtractedFunction) -> None:
    calls: list[Callable[[Any], Any]] = [
        lambda data: tp.extract(net, data),
        lambda data: tp.extract(net, data, batch_size=64, check="none"),
        lambda data: tp.decompose(net, data, method="minimal"),
        lambda data: tp.agreement(net, f, data, net.predict(X)),
        lambda data: tp.pattern_agreement(net, data, data),
        lambda data: f.predict(data),
        lambda data: tp.ExtractedFunction.streaming(net, data)(X[:3]),
    ]
    for call in calls:
        with pytest.raises(tp.InputError, match=r"differs from an earlier pass|gives another order each time"):
            call(CHANGING[name]())


def test_random_augmentation_is_refused(net: tp.PiecewiseLinearNetwork, f: tp.ExtractedFunction) -> None:
    with pytest.raises(
        tp.InputError, match=r"point 0 differs from an earlier pass; .* without shuffling and random augmentation"
    ):
        tp.extract(net, Augmented())
    # One pass is enough here: both labels are those of the same points.
    assert (tp.agreement(net, f, Augmented()).network_extracted or 0) > 0.9


def test_steady_order_is_accepted(net: tp.PiecewiseLinearNetwork, f: tp.ExtractedFunction) -> None:
    for data in (Steady(), ChainDataset([Steady()]), DataLoader(Steady(), batch_size=7), DataLoader(X, batch_size=32)):  # type: ignore[arg-type]
        assert tp.agreement(net, f, data, net.predict(X)) == tp.Agreement(1.0, 1.0, 1.0, points=300)
        assert torch.equal(tp.extract(net, data, batch_size=7).labels, net.predict(X))
    backwards = DataLoader(TensorDataset(X), batch_size=32, sampler=Reversed())
    assert torch.equal(f.predict(backwards), net.predict(X).flip(0))


def test_labels(net: tp.PiecewiseLinearNetwork, f: tp.ExtractedFunction) -> None:
    y = net.predict(X)
    for same in (y.to(torch.uint16), y.to(torch.uint8), y.numpy().astype(">i8"), y.numpy().astype(np.uint16)):
        assert tp.agreement(net, f, X, same).network_true == 1.0
    with pytest.raises(tp.InputError, match=r"labels must lie in 0 … 2.*count from 0: pass y − 1"):
        tp.agreement(net, f, X, y + 1)
    with pytest.raises(tp.InputError, match=r"labels must lie in 0 … 2, as the network's do; point 0 has -100"):
        tp.agreement(net, f, X, torch.full((300,), -100))
    with pytest.raises(tp.InputError, match="integers of shape"):
        tp.agreement(net, f, X, y.bfloat16())


def test_labels_from_one_without_the_last_are_pointed_out(net: tp.PiecewiseLinearNetwork, f: tp.ExtractedFunction) -> None:
    """Labels 1 … C − 1 are all labels of the network: accuracy near 0 is not given in silence."""
    y = net.predict(X)
    some, two = y < y.max(), (y == y.min()) | (y == y.max())
    with pytest.warns(UserWarning, match=r"do the labels count from 1\? .* of 0: pass y − 1"):
        assert tp.agreement(net, f, X[some], y[some] + 1).network_true == 0
    with warnings.catch_warnings():  # neither right labels nor a part of the classes is a reason
        warnings.simplefilter("error")
        tp.agreement(net, f, X, y)
        tp.agreement(net, f, X[y > 0], y[y > 0])
        tp.agreement(net, f, X[two][:1], torch.ones(1, dtype=torch.int64))


def test_hashes_see_permutations_and_last_bits() -> None:
    order, x = PointOrder(), torch.randn(40, 3, dtype=torch.float64)
    order.check(10, x[10:20], "data")
    order.check(0, x, "data")
    for change in (x.flip(0), x.flip(1), torch.nextafter(x, x + 1)):
        with pytest.raises(tp.InputError, match="data: point 0 differs"):
            order.check(0, change, "data")
