"""Headers that every reply has, as OWASP's REST Security Cheat Sheet lists them for an API."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_PAGES = ("/docs", "/redoc")  # whose scripts come from a CDN, and begin in the page
_PAGES_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data: https://fastapi.tiangolo.com https://cdn.redoc.ly; "
    "script-src 'unsafe-inline' https://cdn.jsdelivr.net; style-src 'unsafe-inline' https://cdn.jsdelivr.net "
    "https://fonts.googleapis.com; font-src https://fonts.gstatic.com; worker-src blob:; frame-ancestors 'none'"
)


class SafeHeaders:
    """Adds what a reply does not say itself; one with an ETag may be kept, and is asked for again before each use."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                more = {"Cache-Control": "private, no-cache"} if "etag" in headers else {}
                if scope["path"].startswith(_PAGES):
                    more["Content-Security-Policy"] = _PAGES_POLICY
                for name, value in (SAFE | more).items():
                    headers.setdefault(name, value)
            await send(message)

        return await self.app(scope, receive, safe)
