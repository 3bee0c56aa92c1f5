"""What nothing that is written may hold: secrets, and where files lie on this machine.

Settings keep secrets from being shown; this is a second net, for texts that others make: replies of servers, errors of
libraries. It knows the secrets of this process by their values, and others by their forms.
"""

import logging
import os
import re
from collections.abc import Iterator, MutableMapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import structlog

_VARIABLES = re.compile(r"(^|_)(TOKENS?|PASSWORD|KEY|SECRET|CREDENTIALS)$")
_SHORTEST = 6  # characters of a value that is taken for a secret wherever it stands
_FORMS = (
    (re.compile(r"(?<=://)[^/\s@'\"]*@"), "***@"),  # who one is, in an address
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), r"\1 ***"),
    (re.compile(r"\b(?:sk|pk|hf|ghp|glpat|xox[abp])[-_][A-Za-z0-9_-]{8,}"), "***"),
    (
        re.compile(r"(?i)(\b(?:api[_-]?key|password|passwd|secret|token)\b[\"']?\s*[=:]\s*[\"']?)[^\s\"',&}]{6,}"),
        r"\1***",
    ),
)
_PATH = re.compile(r"(?:file://|(?<![\w/.<>{}\-]))/(?!v1/|neo4j/|v1\b)(?:[^/\s'\"<>:,;()|]+/)+([^/\s'\"<>:,;()|]*)")


def redact(text: str) -> str:
    """A text without the secrets and the folders that it holds.

    Example: `No space left: '/srv/data/files/a.mp4'` -> `No space left: 'a.mp4'`.
    """
    for secret in _secrets():
        text = text.replace(secret, "***")
    for form, instead in _FORMS:
        text = form.sub(instead, text)
    return _PATH.sub(r"\1", text)


def redact_all(value: Any) -> Any:
    """A value of JSON, each text in it redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: redact_all(item) for key, item in value.items()}
    return [redact_all(item) for item in value] if isinstance(value, list | tuple) else value


@cache
def _secrets() -> tuple[str, ...]:
    """The secrets of this process, the longest first, so that none is left in part."""
    from workers.settings import settings

    own = settings()
    values = {own.neo4j_password.get_secret_value(), *(token.get_secret_value() for token in own.api_tokens)}
    values |= set(_passwords(own.redis_url.get_secret_value(), own.neo4j_uri, own.storage, *own.models.values()))
    values |= {value for name, value in os.environ.items() if _VARIABLES.search(name)}
    return tuple(sorted((v for v in values if len(v) >= _SHORTEST), key=len, reverse=True))


def _passwords(*addresses: str) -> Iterator[str]:
    for address in addresses:
        if "@" in address:
            yield urlsplit(f"//{address.partition('://')[2]}").password or ""


class _Redacting(logging.Formatter):
    """What another formatter makes of a record, redacted."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self.inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return redact(self.inner.format(record))


def guard_logs() -> None:
    """Have every handler of this process write redacted texts, and no traceback show what variables hold."""
    if not logging.getLogger().handlers:
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    named = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    for handler in {handler for logger in (logging.getLogger(), *named) for handler in logger.handlers}:
        if not isinstance(handler.formatter, _Redacting):
            handler.setFormatter(_Redacting(handler.formatter or logging.Formatter()))
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            _redact_event,
            structlog.dev.ConsoleRenderer(colors=False),
        ]
    )


def _redact_event(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: value if isinstance(value, int | float | None) else redact(str(value)) for key, value in event.items()}
