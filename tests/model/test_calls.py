"""Calls of servers that misbehave: each ends within its limits with a code, and takes no more memory than they say."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from model.backends import SpecError, open_video_llm
from model.backends.chat_completions import RefusedError
from model.backends.openai_server import OpenAIVideoLLM
from model.backends.transport import CallLimits, CallTimeoutError
from model.video_llm import STOPPED, LastingError, StoppedError, VideoLLMError
from tests.model.test_backends import REQUESTS
from tests.model.test_servers import Answer, Server, said

ASKED = REQUESTS[:1]
SMALL = CallLimits(call_seconds=20, reply_bytes=100_000, wait_seconds=2)


@contextmanager
def raw_server(send: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that says by itself what it sends to POST; GET is 404 at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(peer: socket.socket) -> None:
            with peer, suppress(OSError):
                if peer.recv(100_000).startswith(b"GET"):
                    peer.sendall(b"HTTP/1.1 404 No\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
                else:
                    send(peer)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        listener.shutdown(socket.SHUT_RDWR)


OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
ENDED = threading.Event()


def hang(peer: socket.socket) -> None:
    ENDED.wait(60)


def drip(peer: socket.socket) -> None:
    peer.sendall(OK + b"content-length: 10000\r\n\r\n")
    while not ENDED.wait(0.05):
        peer.sendall(b" ")


def drip_headers(peer: socket.socket) -> None:
    peer.sendall(OK + b"x: ")
    while not ENDED.wait(0.05):
        peer.sendall(b"y")


def flood(peer: socket.socket) -> None:
    peer.sendall(OK + b"content-length: 1000000000\r\n\r\n")
    for _ in range(15_000):
        peer.sendall(b" " * 65_536)


@pytest.mark.parametrize("send", [hang, drip, drip_headers])
def test_a_call_ends_in_time_whatever_the_server_does(send: Callable[[socket.socket], None]) -> None:
    with raw_server(send) as url, pytest.raises(CallTimeoutError, match="call_timeout"):
        OpenAIVideoLLM(url, "m", limits=CallLimits(call_seconds=0.5)).answer(ASKED)


@pytest.mark.parametrize("send", [hang, drip, drip_headers])
def test_a_call_ends_when_nobody_wants_it(send: Callable[[socket.socket], None]) -> None:
    """The limits are far above the time that the test may take."""
    until = time.monotonic() + 0.5
    token = STOPPED.set(lambda: time.monotonic() > until)
    try:
        with raw_server(send) as url, pytest.raises(StoppedError):
            OpenAIVideoLLM(url, "m", limits=CallLimits(call_seconds=3600)).answer(ASKED * 3)
    finally:
        STOPPED.reset(token)


BOMB = gzip.compress(b"[" + b" " * 200_000_000, 1)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((200, {}, b'"' + b"x" * 200_000 + b'"'), "reply_too_large"),
        ((200, {"content-encoding": "gzip"}, BOMB), "reply_too_large"),
        ((200, {"content-encoding": "br"}, b"x"), "reply_packed"),
        ((200, {}, b"[" * 40_000 + b"]" * 40_000), "reply_too_deep"),
        ((200, {}, b'{"a":' * 70 + b"1" + b"}" * 70), "reply_too_deep"),
        ((200, {}, b"<html>"), "not_chat_completions"),
        ((200, {}, b'{"choices": [{"message": 7}]}'), "not_chat_completions"),
        ((400, {}, b"At most 1 image(s) may be provided in one prompt."), "model_refused"),
        ((405, {}, b""), "model_refused"),
        ((302, {"location": "http://169.254.169.254/"}, b""), "model_refused"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_taken_is_told_by_its_code(answer: Answer, code: str) -> None:
    with Server(lambda *_: answer) as server, pytest.raises(LastingError) as told:
        OpenAIVideoLLM(server.url, "m", limits=SMALL).answer(ASKED)
    assert told.value.code == code and told.value.remedy and len(server.bodies) == 1


def test_a_reply_without_end_is_left() -> None:
    with raw_server(flood) as url, pytest.raises(LastingError, match="more than 100,000 bytes"):
        OpenAIVideoLLM(url, "m", limits=SMALL).answer(ASKED)


def test_a_packed_reply_within_the_limits_is_read() -> None:
    _, headers, body = said("fine")
    with Server(lambda *_: (200, headers | {"content-encoding": "gzip"}, gzip.compress(body))) as server:
        assert OpenAIVideoLLM(server.url, "m", limits=SMALL).answer(ASKED)[0].text == "fine"


@pytest.mark.parametrize("wait", ["99999999", "inf", "1e400", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_pause_without_reason_is_a_number_that_can_be_capped(wait: str) -> None:
    with Server(lambda *_: (429, {"retry-after": wait}, b"")) as server, pytest.raises(VideoLLMError) as told:
        OpenAIVideoLLM(server.url, "m", limits=SMALL).answer(ASKED)
    assert 0 < getattr(told.value, "seconds", 0) <= 30 * 86_400


@pytest.mark.parametrize(
    ("message", "text", "finish", "thoughts", "tools"),
    [
        ({"content": None, "reasoning_content": "Hm."}, "", "length", "Hm.", ""),
        ({"reasoning": "Hm."}, "", "stop", "Hm.", ""),
        ({"content": None, "tool_calls": [{"id": "a"}]}, "", "tool_calls", "", '[{"id": "a"}]'),
        ({"content": [{"type": "text", "text": "a "}, {"type": "text", "text": "cat"}]}, "a cat", "stop", "", ""),
        ({"content": "a \ud800 cat"}, "a \ufffd cat", "stop", "", ""),
        ({"content": "a \U0001f600 cat"}, "a \U0001f600 cat", "stop", "", ""),
    ],
)
def test_what_stands_beside_a_reply_is_kept(
    message: dict[str, Any], text: str, finish: str, thoughts: str, tools: str
) -> None:
    body = {"choices": [{"message": message, "finish_reason": finish}], "usage": {"prompt_tokens": "many"}}
    with Server(lambda *_: (200, {}, json.dumps(body).encode())) as server:
        [reply] = OpenAIVideoLLM(server.url, "m").answer(ASKED)
    assert (reply.text, reply.finish, reply.thoughts, reply.tools) == (text, finish, thoughts, tools)


NOT_MAX = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
NOT_ZERO = (
    "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported."
)


@pytest.mark.parametrize(
    ("errors", "sent"),
    [
        (
            {
                "max_tokens": {"error": {"message": NOT_MAX, "param": "max_tokens"}},
                "temperature": {"error": {"message": NOT_ZERO, "param": "temperature"}},
            },
            {"max_completion_tokens"},
        ),
        (
            {"max_tokens": {"detail": [{"type": "extra_forbidden", "loc": ["body", "max_tokens"], "input": 9}]}},
            {"max_completion_tokens", "temperature"},
        ),
        (
            {"temperature": {"error": {"message": "Unrecognized request argument supplied: temperature"}}},
            {"max_tokens"},
        ),
        (
            {"temperature": [{"error": {"message": 'Unknown name "temperature": Cannot find field.'}}]},
            {"max_tokens"},
        ),
        ({"temperature": {"error": "Input validation error: `temperature` must be strictly positive"}}, {"max_tokens"}),
    ],
    ids=["OpenAI", "pydantic", "argument", "Google", "TGI"],
)
def test_a_field_that_is_refused_by_name_is_replaced_or_left_out(errors: dict[str, Any], sent: set[str]) -> None:
    def react(_: int, body: dict[str, Any]) -> Answer:
        refused = [field for field in errors if field in body]
        return (400, {}, json.dumps(errors[refused[0]]).encode()) if refused else said("fine")

    with Server(react) as server:
        llm = OpenAIVideoLLM(server.url, "m")
        for _ in range(2):
            assert llm.answer(ASKED)[0].text == "fine"
    assert set(server.bodies[-1]) == {"model", "messages"} | sent
    assert len(server.bodies) == len(errors) + 2, "what a server refused is not sent to it again"


@pytest.mark.parametrize(
    "text",
    [
        "'max_tokens' is too large: 512. This model's maximum context length is 256 tokens.",
        '{"error": {"message": "Unsupported model", "param": "model"}}',
    ],
)
def test_a_refusal_that_leaving_out_cannot_mend_stays_one(text: str) -> None:
    with Server(lambda *_: (400, {}, text.encode())) as server, pytest.raises(RefusedError):
        OpenAIVideoLLM(server.url, "m").answer(ASKED)
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "spec",
    [
        "openai:http://169.254.169.254/latest#m",
        "openai:http://2852039166/v1#m",
        "openai:http://0xa9fea9fe/v1#m",
        "openai:http://[::ffff:169.254.169.254]/v1#m",
        "openai:http://[fd00:ec2::254]/v1#m",
        "openai:http://metadata.google.internal./v1#m",
        "openai:http:///v1#m",
        "openai:http://h:99999/v1#m",
        "hf:/etc",
        "hf:/etc/passwd",
        "recorded:/etc/passwd",
        "recorded:/dev/zero",
    ],
)
def test_names_that_point_at_files_and_metadata_are_no_models(spec: str) -> None:
    with pytest.raises(SpecError):
        open_video_llm(spec)
