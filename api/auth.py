"""Who may call: holders of a bearer token; without tokens, only this machine."""

import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.errors import Problem

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


def check_binding(host: str, tokens: Sequence[str]) -> None:
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
    """Checks a request's token, by digest and in constant time."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._digests = [hashlib.sha256(token.encode()).digest() for token in tokens]

    def check(self, request: Request, token: str | None) -> None:
        if self._digests:
            digest = hashlib.sha256((token or "").encode()).digest()
            matches = [hmac.compare_digest(digest, known) for known in self._digests]
            if not any(matches):
                raise _unauthorized("The bearer token is missing or wrong.")
        elif not _is_local(request):
            raise _unauthorized("Without tokens the API answers this machine only.")


def _is_local(request: Request) -> bool:
    """Listening on loopback, called by a loopback name, and not by a web page of another site."""
    listening = request.scope.get("server") or ("", None)
    origin = request.headers.get("origin")
    hosts = [str(listening[0]), request.url.hostname or ""] + ([urlsplit(origin).hostname or ""] if origin else [])
    return all(is_loopback(host) for host in hosts)


def _unauthorized(detail: str) -> Problem:
    remedy = "Send 'Authorization: Bearer TOKEN' with one of the tokens in STSG_API_TOKENS."
    return Problem(401, "unauthorized", detail, remedy, headers={"WWW-Authenticate": "Bearer"})


def require_token(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """A route's dependency: the caller may use the API."""
    gate: Gate = request.app.state.gate
    gate.check(request, credentials.credentials if credentials else None)
