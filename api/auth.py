"""Who may call: holders of a bearer token; without tokens, only this machine."""

import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from api.errors import Problem

FORWARDED = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-real-ip",
)
_SEND = "Send 'Authorization: Bearer TOKEN' with one of the tokens in STSG_API_TOKENS."
_SET = "Call 127.0.0.1 directly, or set STSG_API_TOKENS and send 'Authorization: Bearer TOKEN' with one of them."
_bearer = HTTPBearer(auto_error=False, description="One of the tokens in STSG_API_TOKENS.")


class OpenToTheWorldError(ValueError):
    """The service would listen beyond this machine without asking for a token."""


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_binding(host: str, tokens: Sequence[SecretStr]) -> None:
    """Refuse an address beyond loopback when there is no token.

    Raises:
        OpenToTheWorldError: with what to do.
    """
    if not tokens and not is_loopback(host):
        raise OpenToTheWorldError(
            f"The API would be open to everyone on {host}. Set STSG_API_TOKENS to a JSON list of tokens, "
            "or STSG_API_HOST to 127.0.0.1."
        )


class Gate:
    """Checks a request's token, by digest and in constant time; without tokens, that it comes from this machine.

    `origins` are those of web pages, beside the API's own, that may call it.
    """

    def __init__(self, tokens: Sequence[SecretStr], origins: Sequence[str] = ()) -> None:
        self._digests = [hashlib.sha256(token.get_secret_value().encode()).digest() for token in tokens]
        self._origins = [origin.rstrip("/") for origin in origins]

    def check(self, request: Request, token: str | None) -> None:
        if self._digests:
            digest = hashlib.sha256((token or "").encode()).digest()
            matches = [hmac.compare_digest(digest, known) for known in self._digests]
            if not any(matches):
                raise _unauthorized("The bearer token is missing or wrong.", _SEND)
        elif any(name in request.headers for name in FORWARDED):
            raise _unauthorized(
                "The request came through a proxy, and without tokens the API answers this machine only.", _SET
            )
        elif not _is_local(request):
            raise _unauthorized("Without tokens the API answers this machine only.", _SET)
        elif not self._may_call(request):
            remedy = "Name the page's origin in STSG_API_ORIGINS, or set STSG_API_TOKENS and send one of them."
            raise _unauthorized("A web page of another origin may not call the API without a token.", remedy)

    def _may_call(self, request: Request) -> bool:
        """Whether no page of another origin sends the request; any other port of this machine is another origin."""
        origin = request.headers.get("origin")
        return origin is None or origin in (f"{request.url.scheme}://{request.url.netloc}", *self._origins)


def _is_local(request: Request) -> bool:
    """Listening on loopback, called from it, and by a loopback name."""
    listening = request.scope.get("server") or ("", None)
    caller = request.client.host if request.client else ""
    return all(is_loopback(host) for host in (str(listening[0]), caller, request.url.hostname or ""))


def _unauthorized(detail: str, remedy: str) -> Problem:
    return Problem(401, "unauthorized", detail, remedy, headers={"WWW-Authenticate": "Bearer"})


def require_token(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """A route's dependency: the caller may use the API."""
    gate: Gate = request.app.state.gate
    gate.check(request, credentials.credentials if credentials else None)
