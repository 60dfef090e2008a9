"""Who may see a page: whoever has its key, once in the address, from then on in a cookie.

What acts needs more than the cookie, which a browser sends whoever made it ask: a token that only
our own pages know, and an origin that is ours. Programs send the key as a bearer instead.
"""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEY = "key"
TOKEN = "x-evener-token"
KEPT = "no-store"  # what a browser may keep of an answer
_SAFE = ("GET", "HEAD")
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_LOCKED = """<!doctype html><html lang="en"><meta charset="utf-8"><title>evener</title>
<p>This page opens with the key that <code>evener run</code> printed, or with
<code>evener dashboard</code>.</p></html>
"""


def token_of(key: str) -> str:
    """What our pages show when they act. It does not tell the key."""
    return hmac.new(key.encode(), b"evener page acts", "sha256").hexdigest()[:32]


class Guard:
    """Nothing behind this sees a request without the key; not even what exists is told."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        if not key:
            raise ValueError("a page needs a key: nothing is shown to everybody")
        self._app, self._key, self._token = app, key, token_of(key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no lifespan is needed, no websocket is served
        asked = HTTPConnection(scope)
        answer = self._refusal(asked, scope["method"])
        own = scope["path"].startswith("/static/")  # the same for every run; asked for again
        await (answer or self._app)(scope, receive, _hardened(send, "no-cache" if own else KEPT))

    def _refusal(self, asked: HTTPConnection, method: str) -> Response | None:
        """What is answered in place of the application; None lets the request through."""
        if KEY in asked.query_params:
            fits = _same(asked.query_params[KEY], self._key)
            return self._admit(asked) if fits else _locked(asked)
        if _same(_bearer(asked), self._key):
            return None
        if not _same(asked.cookies.get(_cookie(asked), ""), self._key):
            return _locked(asked)
        ours = method in _SAFE or (
            _same(asked.headers.get(TOKEN, ""), self._token) and _own_origin(asked)
        )
        return None if ours else JSONResponse({"error": "not asked by our own page"}, 403)

    def _admit(self, asked: HTTPConnection) -> Response:
        """The key goes into a cookie, and out of the address bar and the history."""
        left = [(k, v) for k, v in parse_qsl(asked.url.query) if k != KEY]
        path = "/" + asked.url.path.lstrip("/")  # //host would lead elsewhere
        answer = RedirectResponse(f"{path}?{urlencode(left)}" if left else path, 303)
        answer.set_cookie(_cookie(asked), self._key, path="/", httponly=True, samesite="lax")
        return answer


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _bearer(asked: HTTPConnection) -> str:
    return asked.headers.get("authorization", "").removeprefix("Bearer ")


def _cookie(asked: HTTPConnection) -> str:
    """Browsers keep cookies by host alone: several runs of one machine differ in their ports."""
    port = asked.headers.get("host", "").rpartition(":")[2]
    return f"evener-{port}" if port.isascii() and port.isdigit() else "evener"


def _own_origin(asked: HTTPConnection) -> bool:
    origin = asked.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == asked.headers.get("host")


def _locked(asked: HTTPConnection) -> Response:
    if "text/html" in asked.headers.get("accept", ""):
        return HTMLResponse(_LOCKED, 401)
    return JSONResponse({"error": "the page's key is missing or wrong"}, 401)


def _hardened(send: Send, kept: str) -> Send:
    """Every answer says what a browser may do with it: nothing but show it here."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            named = {name for name, _ in message["headers"]}
            extra = [(k.lower().encode(), v.encode()) for k, v in _HEADERS.items()]
            if b"cache-control" not in named:
                extra.append((b"cache-control", kept.encode()))
            message["headers"] = [*message["headers"], *extra]
        await send(message)

    return sent
