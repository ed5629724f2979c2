"""The server on this machine alone: it chooses a port, prints its address, and runs until Ctrl-C."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from tropica.app.inputs import Loader
from tropica.app.routes import make_app
from tropica.app.session import Session

HOST = "127.0.0.1"


class PortBusy(Exception):
    """Something else listens at the port."""


def bind(port: int | None) -> socket.socket:
    """A socket at a port of this machine; None for any that is free.

    Raises:
        PortBusy: the port is taken, or not allowed.

    >>> with bind(None) as found:
    ...     found.getsockname()[0]
    '127.0.0.1'
    """
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port or 0))
    except OSError as error:
        found.close()
        raise PortBusy(f"port {port} cannot be used: {error.strerror}; take another --port, or leave it out") from None
    return found


def make_server(app: ASGIApp) -> uvicorn.Server:
    """A server that says nothing, and ends open answers a second after it was stopped."""
    settings = {"log_level": "error", "access_log": False, "server_header": False, "ws": "none", "lifespan": "off"}
    return uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=1, **settings))  # type: ignore[arg-type]


def serve(loader: Loader, version: str, *, port: int | None = None, announce: Callable[[str], object] = print) -> None:
    """Serve an explorer until Ctrl-C; ``announce`` is called with its address as soon as it answers.

    Raises:
        PortBusy: the port is taken.
    """
    with bind(port) as listening:
        listening.listen(64)
        number, token = listening.getsockname()[1], secrets.token_urlsafe(24)
        announce(f"http://{HOST}:{number}/?token={token}")
        make_server(make_app(Session(loader, version), token, number)).run(sockets=[listening])
