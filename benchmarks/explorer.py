"""The explorer: seconds to the first view, milliseconds of clicks, switches and zooms, memory of the server.

Each case is the command in a process of its own, asked over HTTP as the page asks. ``python -m benchmarks.explorer [case …]``;
with TROPICA_DATA also MNIST with 60,000 terms (the store is made beside it first, in TROPICA_STORE or a temporary folder).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import torch

import tropica as tp
from tropica.studies.networks import build

REPEATS = 5


class Server:
    """A running explorer."""

    def __init__(self, process: subprocess.Popen[str], address: str, start: float) -> None:
        self.process, self.start = process, start
        self.base, self.token = address.split("/?token=")

    def ask(self, question: str) -> tuple[float, bytes]:
        """Seconds and answer, once the server has what it needs."""
        while True:
            begin = time.perf_counter()
            request = urllib.request.Request(f"{self.base}/api/{question}", headers={"Authorization": f"Bearer {self.token}"})
            with urllib.request.urlopen(request) as answer:
                body = answer.read()
                if answer.status == 200:
                    return time.perf_counter() - begin, body
            time.sleep(0.05)

    def first_line(self, question: str) -> tuple[float, float, str]:
        """Seconds to the first part and to the last one of what comes in parts, and which cells the last level has."""
        begin = time.perf_counter()
        request = urllib.request.Request(f"{self.base}/api/{question}", headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request) as answer:
            line = answer.readline()
            first = time.perf_counter() - begin
            for following in answer:
                line = following
        end = json.loads(line)
        cells = f"{'all' if end['complete'] else 'the first'} {end['cells']:,} cells in view"
        return first, time.perf_counter() - begin, cells

    def until(self, ready: str) -> float:
        """Seconds from the command until the network is loaded ("inputs"), or all background work is done ("all")."""
        while True:
            found = json.loads(self.ask("status")[1])
            if found["loading"]["state"] == "failed":
                raise SystemExit(found["loading"]["error"])
            if found["inputs"] if ready == "inputs" else found["loading"]["state"] == "done":
                return time.perf_counter() - self.start
            time.sleep(0.05)

    @property
    def memory(self) -> str:
        """Resident memory now, and its peak."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))}
        return f"{found['VmRSS']:,.0f} MB now, {found['VmHWM']:,.0f} MB at most"


@contextmanager
def running(*arguments: str) -> Iterator[Server]:
    """The command, until its address is printed and to the end of the block."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "tropica", "app", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        print(f"  address printed after {time.perf_counter() - start:.2f} s")
        yield Server(process, line.removeprefix("open ").strip(), start)
        process.terminate()


def export(model: torch.nn.Module, shape: tuple[int, ...], path: Path) -> str:
    """A network as a .pt2 file."""
    batch = ({0: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(model.eval(), (torch.zeros(2, *shape),), dynamic_shapes=batch), path)
    return str(path)


def clicks(server: Server) -> None:
    """Print what a click takes: values, images and coefficients first; the shared activations follow by themselves."""
    found = {name: [server.ask(f"{name}?point={i}")[0] for i in range(1, 1 + REPEATS)] for name in ("explain", "shared")}
    first, shared = (1e3 * median(seconds) for seconds in found.values())
    print(f"  a click on a test point: {first:.0f} ms; the shared activations {shared:.0f} ms later")


def measure(name: str, server: Server, plane: str, low: float, high: float) -> None:
    """Print the numbers of a case."""
    print(f"{name}: network and data after {server.until('inputs'):.2f} s")
    server.ask("points")
    print(f"  first view (points, with pictures) after {time.perf_counter() - server.start:.2f} s")
    server.ask("explain?point=0")
    print(
        f"  first decision explained after {time.perf_counter() - server.start:.2f} s; all work done after ", end="", flush=True
    )
    print(f"{server.until('all'):.2f} s")
    clicks(server)
    server.ask("explain?point=1&method=paper")
    while not json.loads(server.ask("status")[1])["methods"]["paper"]["ready"]:
        time.sleep(0.1)
    switches = [server.ask(f"explain?point=1&method={m}")[0] for m in ("calibrated", "paper") * 3]
    print(f"  a switch of the decomposition: {1e3 * median(switches):.0f} ms")
    for zoom in (1.0, 0.5, 0.25):
        middle, half = (low + high) / 2, zoom * (high - low) / 2
        edges = f"low={middle - half},{middle - half}&high={middle + half},{middle + half}"
        first, last, cells = server.first_line(f"cells?{plane}&{edges}")
        print(f"  a plane at zoom {1 / zoom:.0f}: first cells {1e3 * first:.0f} ms, {cells} {1e3 * last:.0f} ms")
    print(f"  memory: {server.memory}")


def digits(folder: Path) -> None:
    """A small CNN on the digits."""
    model = export(build("conv-small", (1, 8, 8), seed=0), (1, 8, 8), folder / "digits.pt2")
    with running(model, "--data", "digits") as server:
        measure("digits, CNN", server, "points=test:0,test:1,training:2", -0.25, 1.25)


def cnn(folder: Path) -> None:
    """A CNN of 24,480 units, with random images."""
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(1, 32, 2), torch.nn.ReLU(), torch.nn.MaxPool2d(4), torch.nn.Flatten()]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(1152, 10))
    path = export(model, (1, 28, 28), folder / "cnn.pt2")
    np.save(folder / "images.npy", np.random.default_rng(0).uniform(0, 1, (300, 1, 28, 28)).astype(np.float32))
    units = sum(node.units for node in tp.load_network(path).nonlinearities)
    with running(path, "--data", str(folder / "images.npy")) as server:
        measure(f"CNN of {units:,} units", server, "points=test:0,test:1,training:2", -0.25, 1.25)


def deep(folder: Path) -> None:
    """2-128×4."""
    torch.manual_seed(0)
    sizes = [2, 128, 128, 128, 128]
    layers = [part for a, b in pairwise(sizes) for part in (torch.nn.Linear(a, b), torch.nn.ReLU())]
    model = export(torch.nn.Sequential(*layers, torch.nn.Linear(128, 3)), (2,), folder / "deep.pt2")
    np.save(folder / "square.npy", np.random.default_rng(0).uniform(-1, 1, (500, 2)).astype(np.float32))
    with running(model, "--data", str(folder / "square.npy")) as server:
        measure("2-128×4", server, "", -1, 1)


def acas(folder: Path) -> None:
    """An ACAS Xu network, with random points of its normalized inputs."""
    model = Path(os.environ["TROPICA_DATA"]) / "acasxu" / "ACASXU_run2a_1_1_batch_2000.onnx"
    shape = tp.load_network(model).input_shape
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (500, *shape)).astype(np.float32)
    np.save(folder / "acas.npy", points)
    with running(str(model), "--data", str(folder / "acas.npy")) as server:
        measure("ACAS Xu 1_1", server, "center=test:0&directions=axis:0,axis:1", -0.5, 0.5)


def mnist(folder: Path) -> None:
    """60,000 terms of a dense network on MNIST, from their store."""
    data = Path(os.environ["TROPICA_DATA"]) / "mnist.npz"
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    store = Path(os.environ.get("TROPICA_STORE", folder / "terms"))
    model = export(net, (1, 28, 28), folder / "mnist.pt2")
    begin = time.perf_counter()
    tp.extract(tp.load_network(model), tp.load_data(data), out=store)
    size = sum(file.stat().st_size for file in store.iterdir())
    print(f"MNIST: the store took {time.perf_counter() - begin:.0f} s; {size / 1e6:,.0f} MB")
    with running(model, "--data", str(data), "--terms", str(store), "--test-limit", "500") as server:
        print(f"MNIST, 60,000 terms: network and data after {server.until('inputs'):.2f} s")
        server.ask("points")
        print(f"  first view after {time.perf_counter() - server.start:.2f} s")
        server.ask("explain?point=0")
        print(
            f"  first decision explained after {time.perf_counter() - server.start:.2f} s; all work done after ",
            end="",
            flush=True,
        )
        print(f"{server.until('all'):.2f} s")
        clicks(server)
        print(f"  memory: {server.memory}")


CASES = {"digits": digits, "cnn": cnn, "deep": deep, "acas": acas, "mnist": mnist}


def main(names: list[str] | None = None) -> None:
    """Run the cases, those that need data only where there is some."""
    page = Path(tp.__file__).parent / "app"
    files = [file for file in page.rglob("*") if file.suffix in (".py", ".js", ".css", ".html", ".json", ".svg")]
    sizes = [
        sum(size)
        for size in zip(*((len(data), len(zlib.compress(data, 6))) for data in map(Path.read_bytes, files)), strict=True)
    ]
    print(f"the explorer adds {sizes[1] / 1e3:.0f} kB to the wheel ({sizes[0] / 1e3:.0f} kB before compression)")
    for name, case in CASES.items():
        if (names and name not in names) or (name in ("acas", "mnist") and "TROPICA_DATA" not in os.environ):
            continue
        with tempfile.TemporaryDirectory() as folder:
            case(Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
