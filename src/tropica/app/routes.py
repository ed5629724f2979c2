"""The addresses of the server, and what answers each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from tropica.app.assets import missing, read_assets
from tropica.app.encoding import AddressQuery, Json
from tropica.app.guard import Guard
from tropica.app.inputs import METHODS
from tropica.app.jobs import describe
from tropica.app.session import NotReady, Session

READ = {
    "points": "decisions:points",
    "explain": "decisions:explain",
    "shared": "decisions:shared",
    "decides": "decisions:decides",
    "images": "decisions:images",
    "plane": "planes:plane",
    "sample": "planes:sample",
    "counts": "planes:counts",
    "at": "planes:at",
    "terms": "plane_terms:terms",
    "agreement": "comparison:agreement",
    "scatter": "comparison:scatter",
    "layers": "comparison:layers",
    "models": "comparison:models",
    "segment": "segments:segment",
    "at_segment": "segments:at_segment",
}
"""What is asked for with GET: the module of the view, which loads PyTorch and comes when it is needed, and its function."""


STREAMED = {"cells": "planes:cells"}
"""What comes in parts, a line of JSON each; it ends when nobody listens any more."""
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
        *(Route(f"/api/{name}", _streamer(session, pool, where), methods=["GET"]) for name, where in STREAMED.items()),
    ]
    return Guard(Starlette(routes=routes), token, port)


def _reader(session: Session, pool: ThreadPoolExecutor, where: str) -> Endpoint:
    """An endpoint that answers with what a function of (session, query) gives."""
    module, name = where.split(":")

    async def answer(request: Request) -> Response:
        def work() -> Any:
            return getattr(import_module(f"tropica.app.{module}"), name)(session, AddressQuery(request.query_params))

        return await _answered(session, pool, work)

    return answer


def _streamer(session: Session, pool: ThreadPoolExecutor, where: str) -> Endpoint:
    """An endpoint that answers with the parts that a function yields."""
    module, name = where.split(":")

    async def answer(request: Request) -> Response:
        parts: Iterator[Any] = iter(())

        def first() -> Any:
            nonlocal parts
            parts = iter(getattr(import_module(f"tropica.app.{module}"), name)(session, AddressQuery(request.query_params)))
            return next(parts, {})

        beginning = await _answered(session, pool, first)
        if beginning.status_code != 200:
            return beginning

        def following() -> bytes:
            try:
                part = next(parts, None)
            except Exception as error:  # the answer has begun: the error is its last line
                part = {"error": describe(error)}
            return b"" if part is None else bytes(Json(part).body)

        async def lines() -> AsyncIterator[bytes]:
            line = bytes(beginning.body)
            while line:
                yield line + b"\n"
                line = await asyncio.get_running_loop().run_in_executor(pool, following)

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    return answer


def _command(session: Session, pool: ThreadPoolExecutor, act: Callable[[str], object]) -> Endpoint:
    """An endpoint that does something to a decomposition."""

    async def answer(request: Request) -> Response:
        def work() -> Any:
            act(AddressQuery(request.query_params).word("method", METHODS))
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
