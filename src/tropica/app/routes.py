"""The addresses of the server, and what answers each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tropica.app.assets import missing, read_assets
from tropica.app.encoding import Json, Query
from tropica.app.guard import Guard
from tropica.app.inputs import METHODS
from tropica.app.jobs import describe
from tropica.app.session import NotReady, Session

READ = {
    "points": "decisions:points",
    "explain": "decisions:explain",
    "decides": "decisions:decides",
    "images": "decisions:images",
}
"""What is asked for with GET: the module of the view, which loads PyTorch and comes when it is needed, and its function."""


THREADS = 4
"""Requests that are answered at a time."""
Endpoint = Callable[[Request], Awaitable[Response]]


def make_app(session: Session, token: str, port: int) -> ASGIApp:
    """The server of a session."""
    assets, pool = read_assets(), ThreadPoolExecutor(THREADS, thread_name_prefix="request")

    def page(_: Request) -> Response:
        return assets["index.html"]

    def asset(request: Request) -> Response:
        name = request.path_params["name"]
        return assets[name] if name in assets and name != "index.html" else missing(name)

    def status(_: Request) -> Response:
        return Json(session.status())

    routes = [
        Route("/", page, methods=["GET"]),
        Route("/static/{name:path}", asset, methods=["GET"]),
        Route("/api/status", status, methods=["GET"]),
        Route("/api/extract", _command(session, pool, lambda method: session.start(method, again=True)), methods=["POST"]),
        Route("/api/cancel", _command(session, pool, session.cancel), methods=["POST"]),
        *(Route(f"/api/{name}", _reader(session, pool, where), methods=["GET"]) for name, where in READ.items()),
    ]
    return Guard(Starlette(routes=routes), token, port)


def _reader(session: Session, pool: ThreadPoolExecutor, where: str) -> Endpoint:
    """An endpoint that answers with what a function of (session, query) gives."""
    module, name = where.split(":")

    async def answer(request: Request) -> Response:
        def work() -> Any:
            return getattr(import_module(f"tropica.app.{module}"), name)(session, Query(request.query_params))

        return await _answered(session, pool, work)

    return answer


def _command(session: Session, pool: ThreadPoolExecutor, act: Callable[[str], object]) -> Endpoint:
    """An endpoint that does something to a decomposition."""

    async def answer(request: Request) -> Response:
        def work() -> Any:
            act(Query(request.query_params).word("method", METHODS))
            return session.status()

        return await _answered(session, pool, work)

    return answer


async def _answered(session: Session, pool: ThreadPoolExecutor, work: Callable[[], Any]) -> Response:
    """The answer of some work in a thread: 202 while it waits for something, 400 with a text for what cannot be."""

    def answer() -> Response:
        try:
            session.enter_request()
            return Json(work())
        except NotReady as waiting:
            return Json({"waiting": str(waiting)}, 202)
        except Exception as error:  # an error of one request is said in its view
            import tropica as tp

            return Json({"error": describe(error)}, 400 if isinstance(error, tp.TropicaError) else 500)

    return await asyncio.get_running_loop().run_in_executor(pool, answer)
