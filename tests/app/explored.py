"""A small explorer on real digits, served at a port of its own, and requests to it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

import tropica as tp
from tropica.app.inputs import Inputs, Loader
from tropica.app.routes import make_app
from tropica.app.serve import bind, make_server
from tropica.app.session import Session

TOKEN = "the-token"


def small_inputs() -> Inputs:
    """A network of two layers on the digits, its weights random: it is often wrong, and N^(X) differs from it."""
    torch.manual_seed(0)
    layers = [torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(16, 10)).eval()
    training, test = tp.load_data("digits", limit=120), tp.load_data("digits", split="test", limit=80)
    other = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10)).eval()
    nets = [tp.trace(one, test.inputs[:2]) for one in (model, other)]
    return Inputs("digits-net", nets[0], training, test, others=(("another", nets[1]),))


@contextmanager
def served(loader: Loader) -> Iterator[tuple[Session, int]]:
    """A server in a thread, with its session and its port."""
    with bind(None) as listening:
        listening.listen(16)
        port = listening.getsockname()[1]
        session = Session(loader, "0")
        server = make_server(make_app(session, TOKEN, port))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield session, port
        finally:
            server.should_exit = True
            thread.join(10)


def send(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer to a request; ``Host`` and others as given, names with _ for -."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=400)
    connection.putrequest(method, path, skip_host=True)
    for name, value in {"Host": f"127.0.0.1:{port}", **{key.replace("_", "-"): text for key, text in headers.items()}}.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def ask(port: int, name: str, method: str = "GET") -> tuple[int, Any]:
    """Status and JSON of the answer to a question that has the token."""
    status, _, body = send(port, f"/api/{name}", method, Authorization=f"Bearer {TOKEN}")
    return status, json.loads(body)
