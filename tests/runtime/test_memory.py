"""Memory budgets, batches that exceed the memory, and deferred signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest
import torch
from torch import Tensor

import tropica as tp
from tests.cached import network, points
from tropica.decomposition import extraction as job_module
from tropica.network.batch_size import default_batch_size
from tropica.runtime import memory
from tropica.runtime.interrupts import DelayedInterrupts
from tropica.runtime.memory import BatchHalving, budget, free_memory, in_bytes, is_out_of_memory, peak_memory


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No search for garbage in the large heap of a test process: it costs seconds each time."""
    monkeypatch.setattr(memory.gc, "collect", lambda: 0)


FULL = RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory")


def test_a_quarter_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device="cpu": 8_000)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert budget(None) == 2_000
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert budget(None) == 500
    assert budget(77) == 77
    for wrong in (0, -1, 1.5, True, "2GB"):
        with pytest.raises(tp.InputError, match="whole number of bytes"):
            budget(wrong)  # type: ignore[arg-type]


def test_what_is_free_is_less_than_there_is() -> None:
    assert 0 < free_memory() < 2**50
    before = peak_memory()
    assert 2**24 < before < 2**50
    held = torch.ones(2**25)
    assert peak_memory() >= before
    assert len(held)


def test_a_control_group_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_allowed", lambda: 1234)
    assert free_memory() == 1234


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("2kb", 2000), ("1.5GB", 1_500_000_000), ("3 GiB", 3 * 10**9), ("4M", 4_000_000)]
)
def test_sizes(text: str, size: int) -> None:
    assert in_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0", "2 parsecs", "1e400", "nan"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(tp.InputError, match="a size is a number"):
        in_bytes(text)


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("room", [1, 3, 5, 16, 40])
def test_a_batch_that_does_not_fit_is_halved(room: int) -> None:
    """Each point is processed once, in order; the batch size that fitted is kept, with one warning per halving."""
    met: list[int] = []
    failed: list[int] = []

    def work(x: Tensor) -> list[float]:
        if len(x) > room:
            failed.append(len(x))
            raise FULL
        met.append(len(x))
        return x[:, 0].tolist()

    fitting, x = BatchHalving(), torch.arange(40.0).unsqueeze(1)
    with pytest.warns(UserWarning, match="does not fit in memory; continuing with") if room < 40 else _quiet():
        done = fitting(work, x)
    assert [value for part in done for value in part] == x[:, 0].tolist()
    assert max(met) <= room
    assert failed == sorted(set(failed), reverse=True)  # no size fails twice
    met.clear()
    fitting(work, x)  # no second try
    assert [n for n in met if n > room] == []


def _quiet():
    from contextlib import nullcontext

    return nullcontext()


@pytest.mark.usefixtures("_quick")
def test_other_errors_are_not_hidden() -> None:
    def wrong(x: Tensor) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        BatchHalving()(wrong, torch.zeros(4, 1))

    def full(x: Tensor) -> None:
        raise MemoryError

    with pytest.warns(UserWarning, match="does not fit"), pytest.raises(MemoryError):
        BatchHalving()(full, torch.zeros(4, 1))
    assert is_out_of_memory(FULL)
    assert not is_out_of_memory(ValueError("not enough memory"))


@pytest.mark.usefixtures("_quick")
def test_extraction_goes_on_with_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Extraction and calibration where more than 3 points do not fit: the same terms up to rounding, with a warning."""
    net, x = network("mnist_conv"), points("mnist_conv")
    expected = tp.extract(net, x, batch_size=16)
    original = job_module.batch_terms

    def small(decomposition, part, check=False):
        if len(part) > 3:
            raise FULL
        return original(decomposition, part, check)

    monkeypatch.setattr(job_module, "batch_terms", small)
    with pytest.warns(UserWarning, match="continuing with 2"):
        found = tp.extract(net, x, batch_size=16)
    assert found.certificate.holds
    torch.testing.assert_close(found.local.weight, expected.local.weight, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.plus.weight, expected.plus.weight, rtol=1e-9, atol=1e-9)


@pytest.mark.usefixtures("_quick")
def test_evaluation_goes_on_with_half(monkeypatch: pytest.MonkeyPatch) -> None:
    from tropica.evaluation import function as extracted

    terms, x = tp.extract(network("mnist_conv"), points("mnist_conv")), points("mnist_conv", 50, 3)
    expected = tp.ExtractedFunction(terms).labels_and_terms(x)
    original = extracted.RunningMaxima.__init__

    def small(self, x, *args):
        if len(x) > 20:
            raise FULL
        original(self, x, *args)

    monkeypatch.setattr(extracted.RunningMaxima, "__init__", small)
    with pytest.warns(UserWarning, match="continuing with"):
        found = tp.ExtractedFunction(terms).labels_and_terms(x)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_little_memory_gives_the_same_answers() -> None:
    """Batches of one point, points in small groups."""
    net, x, fresh = network("mnist_conv"), points("mnist_conv"), points("mnist_conv", 50, 3)
    expected = tp.ExtractedFunction(tp.extract(net, x)).labels_and_terms(fresh)
    assert default_batch_size(net, 1) == 1
    for f in (
        tp.ExtractedFunction(tp.extract(net, x, memory=1), memory=1),
        tp.ExtractedFunction.streaming(net, x, memory=1),
    ):
        found = f.labels_and_terms(fresh)
        assert float((found[0] == expected[0]).double().mean()) == 1.0
    with pytest.raises(tp.InputError, match="memory"):
        tp.extract(net, x, memory=0)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limits")
@pytest.mark.slow
def test_a_real_limit() -> None:
    """A batch that would take more memory than the process may have is halved until it fits."""
    code = (
        "import resource, torch, warnings, tropica as tp\n"
        "torch.set_num_threads(1)\n"
        "model = torch.nn.Sequential(torch.nn.Conv2d(3, 64, 3, padding=1), torch.nn.ReLU(), torch.nn.AvgPool2d(32),\n"
        "                            torch.nn.Flatten(), torch.nn.Linear(64, 4)).eval()\n"
        "net, x = tp.trace(model, torch.randn(2, 3, 32, 32)), torch.randn(600, 3, 32, 32)\n"
        "decomposition = tp.decompose(net, x, method='paper')\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000, used + 300_000_000))\n"
        "with warnings.catch_warnings(record=True) as said:\n"
        "    warnings.simplefilter('always')\n"
        "    terms = tp.extract(net, x, decomposition, batch_size=600)\n"
        "print(len(terms), terms.certificate.holds, [str(w.message) for w in said if 'does not fit' in str(w.message)][:1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("600 True ['a batch of 600 points does not fit in memory; continuing with 300']"), done.stdout


# ── signals ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_piece(number: signal.Signals) -> None:
    """The current piece is finished, then KeyboardInterrupt is raised; afterwards signals have their previous handlers."""
    before, done = signal.getsignal(number), []
    with pytest.raises(KeyboardInterrupt), DelayedInterrupts() as work:  # noqa: PT012
        os.kill(os.getpid(), number)
        done.append(1)
        work.check()
        done.append(2)
    assert done == [1]
    assert signal.getsignal(number) is before


def test_the_second_one_does_not_wait() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), DelayedInterrupts():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        done.append(1)
        os.kill(os.getpid(), signal.SIGINT)
        done.append(2)
    assert done == [1]


def test_none_is_lost() -> None:
    """A signal during the last piece is raised at the end; an error of the work itself takes precedence."""
    with pytest.raises(KeyboardInterrupt), DelayedInterrupts():
        os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(tp.StoreError), DelayedInterrupts():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        raise tp.StoreError("full")


def test_a_handler_of_the_users_own_stays() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        with DelayedInterrupts() as work:
            os.kill(os.getpid(), signal.SIGTERM)
            work.check()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]


def test_outside_the_main_thread() -> None:
    found: list[bool] = []

    def inside() -> None:
        with DelayedInterrupts() as work:
            found.append(work.requested)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == [False]
