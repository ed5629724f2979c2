"""Who may ask: requests to this very address, from this very page, with the token of the command line."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""Headers of every answer: nothing of another origin is loaded, and no other page shows, reads or keeps this one."""
WITHOUT_TOKEN = (
    "This address needs the token that `tropica app` printed in the terminal: http://127.0.0.1:PORT/?token=…\n"
    "Copy the whole address from there."
)
WITH_BODY = ("content-length", "transfer-encoding")


class Guard:
    """Answers only requests that a local notebook server would answer.

    The page itself needs ``?token=``, its requests for data the header ``Authorization: Bearer``, which no other site can send.
    Scripts and style sheets are those of the package, and need no token. Host must be this server (against DNS rebinding), and
    Origin, where there is one, too.
    """

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app, self._token = app, token
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no websockets
            await send({"type": "websocket.close", "code": 1008})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        refused = self._refusal(scope, Headers(scope=scope))
        await (refused or self._app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to a request that is refused; None for one that is not."""
        if headers.get("host") not in self._hosts or len(headers.getlist("host")) != 1:
            return PlainTextResponse("this server answers at 127.0.0.1 only", 421)
        origin = headers.get("origin")
        if origin is not None and origin.removeprefix("http://") not in self._hosts:
            return PlainTextResponse("requests of other sites are refused", 403)
        if any(headers.get(name, "0") != "0" for name in WITH_BODY):
            return PlainTextResponse("requests have no body here", 413)
        path = scope["path"]
        if path.startswith("/static/"):
            return None
        if path == "/":
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            return None if self._is_token(given) else PlainTextResponse(WITHOUT_TOKEN, 403)
        given = headers.get("authorization", "").removeprefix("Bearer ")
        return None if self._is_token(given) else JSONResponse({"error": "the token is missing or wrong"}, 403)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())
