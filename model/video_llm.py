"""The one thing the method asks of a Video-LLM: replies to prompts about frames."""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from model.stsg import Keyframe

NO_ADVICE: Mapping[str, bool] = MappingProxyType({})


class VideoLLMError(Exception):
    """The backend could not reply now (out of memory, server gone); the same requests may be tried again."""


class LastingError(VideoLLMError):
    """The backend won't reply to these requests however often they are sent; `code` and `remedy` say why and what to do."""

    def __init__(self, detail: str, *, code: str, remedy: str) -> None:
        super().__init__(detail)
        self.code, self.remedy = code, remedy


class StoppedError(Exception):
    """Whoever wanted the replies does not want them any more."""


Stopped = Callable[[], bool]
STOPPED: ContextVar[Stopped] = ContextVar("stopped", default=lambda: False)
"""Whether the replies that are being made are still wanted; backends look at it while they work or wait."""


class ClosedError(VideoLLMError):
    """The backend wants no request for so many `seconds`, as a server with a quota says."""

    def __init__(self, detail: str, seconds: float) -> None:
        super().__init__(detail)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt about some frames.

    `step` is the prompt's name, the key of traces, recordings, test doubles and metrics. `values` are the
    template's variables, so that a scripted model need not parse the text. With `choices` the reply is one of
    them, and the backend scores them by log-probability where it can. With `schema` the reply is JSON of that form (a
    JSON schema), where the backend can see to it.
    """

    step: str
    text: str
    frames: tuple[Keyframe, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    choices: tuple[str, ...] = ()
    max_new_tokens: int = 128
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the raw text, and one log-probability for each of the request's choices (or none)."""

    text: str
    scores: tuple[float, ...] = ()
    exchange: str = ""  # id of the traced exchange, the provenance of what is made from this reply
    tokens_in: int = 0
    tokens_out: int = 0
    milliseconds: float = 0.0
    finish: str = ""  # why the reply ends, in the server's word: stop, length, tool_calls ...
    thoughts: str = ""  # what a server gives apart from the reply as the model's thoughts
    tools: str = ""  # calls of tools that it gives in place of a reply, as JSON


class VideoLLM(Protocol):
    """A Video-LLM behind any backend."""

    name: str  # the spec that opens it again, such as "hf:path"
    prompt_set: str  # the folder of model/prompts it wants: "standard" or "compact"
    advice: Mapping[str, bool]  # induction switches that suit it, where a run leaves them open

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply per request, in order; requests over the same frames may share the encoded prefix.

        Raises:
            VideoLLMError: no reply can be had now.
        """
        ...
