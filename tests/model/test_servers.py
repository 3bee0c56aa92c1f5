"""Models behind servers: one that speaks the protocol in every way that is known of, and transformers' own."""

import base64
import io
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from transformers.cli.serve import Serve

from model import prompts
from model.backends import open_video_llm
from model.backends.openai_server import OpenAIVideoLLM
from model.replies import read_predicate_object
from model.video_llm import ClosedError, VideoLLMError
from tests.model.test_backends import REQUESTS, A, B
from trainer.conformance.checkpoints import FAMILIES
from trainer.conformance.family import build

Answer = tuple[int, dict[str, str], bytes]


class Server:
    """A chat-completions server on this machine; `react` sees each request's number and body, `told` is what GET gives."""

    def __init__(
        self, react: Callable[[int, dict[str, Any]], Answer], told: dict[str, Any] | None = None, root: str = "/v1"
    ) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        lock, server = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with lock:
                    server.bodies.append(body)
                    server.keys.append(self.headers["authorization"])
                    number = len(server.bodies)
                status, headers, content = react(number, body)
                self.send_response(status if self.path == f"{root}/chat/completions" else 404)
                for name, value in {**headers, "content-length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                known = (told or {}).get(self.path)
                content = json.dumps(known).encode()
                self.send_response(known if isinstance(known, int) else 404 if known is None else 200)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}{root}"
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()


def said(text: str, **more: Any) -> Answer:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", **more}
    body = {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}
    return 200, {"content-type": "application/json"}, json.dumps(body).encode()


def served_by(owner: str, **versions: str) -> dict[str, Any]:
    """What GET gives of a server that says who serves, and its version at some paths."""
    return {"/v1/models": {"data": [{"owned_by": owner}]}} | {f"/{k}": {"version": v} for k, v in versions.items()}


VLLM = served_by("vllm", version="0.32.0+cpu")


def test_a_server_is_asked_frames_first_and_its_scores_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-local")
    tops = [{"token": " No", "logprob": -0.2}, {"token": "Yes", "logprob": -1.7}, {"token": "no", "logprob": -4.0}]

    def react(_: int, body: dict[str, Any]) -> Answer:
        if "structured_outputs" in body:
            return said("No", logprobs={"content": [{"token": "No", "logprob": -0.2, "top_logprobs": tops}]})
        return said("about " + body["messages"][0]["content"][-1]["text"])

    with Server(react, VLLM) as server:
        llm = open_video_llm(f"openai:{server.url}#some/model")
        replies = llm.answer(REQUESTS)
    assert [r.text for r in replies] == ["No" if r.choices else f"about {r.text}".strip() for r in REQUESTS]
    assert replies[2].scores == (-1.7, -0.2) and replies[0].scores == () and replies[0].tokens_in == 7
    body = next(b for b in server.bodies if "structured_outputs" in b)
    assert body["structured_outputs"] == {"choice": ["Yes", "No"]} and body["logprobs"]
    assert body["temperature"] == 0 and body["model"] == "some/model"
    picture, question = body["messages"][0]["content"]
    png = base64.b64decode(picture["image_url"]["url"].removeprefix("data:image/png;base64,"))
    assert np.array_equal(np.asarray(Pillow.open(io.BytesIO(png))), A.image)
    assert question == {"type": "text", "text": "Is there a red circle?"}
    assert set(server.keys) == {"Bearer sk-local"} and os.environ["OPENAI_API_KEY"] not in llm.name


@pytest.mark.parametrize(
    ("told", "field", "value", "reply"),
    [
        (VLLM, "structured_outputs", {"choice": ["a (b)", "a"]}, "a"),
        (served_by("sglang", get_server_info="0.5.10"), "regex", r"(a \(b\)|a)", "a"),
        ({}, "response_format", {"type": "string", "enum": ["a (b)", "a"]}, '"a"'),
    ],
    ids=["vLLM", "SGLang", "others"],
)
def test_each_server_is_told_to_choose_in_its_own_words(told: Any, field: str, value: Any, reply: str) -> None:
    quote = {"token": '"', "top_logprobs": [{"token": '"', "logprob": 0.0}]}
    tops = [{"token": "a", "logprob": -0.1}, {"token": " b", "logprob": -2.0}, {"token": "c", "logprob": None}]
    places = [*([quote] if reply[0] == '"' else []), {"token": "a", "top_logprobs": tops}]
    asked = replace(REQUESTS[2], choices=("a (b)", "a"))
    with Server(lambda *_: said(reply, logprobs={"content": places}), told) as server:
        llm = OpenAIVideoLLM(server.url, "m")
        [guided] = llm.answer([asked])
        [apart] = llm.answer([replace(asked, choices=("a (b)", "b"))])
        [unsaid] = llm.answer([replace(asked, choices=("a", "b", "c"))])
    sent = server.bodies[0][field]
    assert (sent["json_schema"]["schema"] if field == "response_format" else sent) == value
    assert guided.text == "a" and apart.scores == (-0.1, -2.0)
    assert guided.scores == () == unsaid.scores, "a token that begins two choices tells nothing"


@pytest.mark.parametrize("told", [VLLM, served_by("sglang"), {}], ids=["vLLM", "SGLang", "others"])
def test_a_reply_that_is_to_be_json_is_held_to_its_form(told: dict[str, Any]) -> None:
    asked = prompts.ask("standard", "merging_2_3_predicate", action="leaning on the fence")
    with Server(lambda *_: said('{"predicate": "leaning on", "object": "fence"}'), told) as server:
        [reply] = OpenAIVideoLLM(server.url, "m").answer([asked])
    form = server.bodies[0]["response_format"]
    assert form["type"] == "json_schema" and form["json_schema"]["schema"]["required"] == ["predicate", "object"]
    assert read_predicate_object(reply.text) == ("leaning on", "fence") and reply.scores == ()


@pytest.mark.parametrize(
    ("owner", "versions", "missing"),
    [
        ("vllm", {"version": "0.14.0"}, "vLLM 0.14.0, .*CVE-2026-22778, CVE-2026-24779, CVE-2026-34755.* vLLM 0.19.0"),
        ("sglang", {"server_info": "0.5.9.post1"}, "SGLang 0.5.9.post1, .*CVE-2026-3059.* SGLang 0.5.10 "),
        ("vllm", {"version": "0.19.0"}, None),
        ("vllm", {"version": "0.1.dev9+g1234"}, None),
        ("vllm", {}, None),
        ("someone", {"version": "0.1.0"}, None),
    ],
)
def test_a_server_without_the_fixes_of_its_media_gets_no_frame(
    owner: str, versions: dict[str, str], missing: str | None
) -> None:
    with Server(lambda *_: said("fine"), served_by(owner, **versions)) as server:
        llm = OpenAIVideoLLM(server.url, "m")
        if missing is None:
            assert llm.answer(REQUESTS[:1])[0].text == "fine"
        else:
            with pytest.raises(VideoLLMError, match=missing):
                llm.answer(REQUESTS[:1])
            assert not server.bodies


def test_vilas_own_server_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands at the root, replies in parts without usage, ignores what it does not know, and fails with 500 in words."""
    monkeypatch.setattr("model.backends.chat_completions.time.sleep", lambda _: None)

    def react(_: int, body: dict[str, Any]) -> Answer:
        if body["model"] != "VILA1.5-3B":
            return 500, {}, b'{"error": "The endpoint is configured to use the model VILA1.5-3B"}'
        parts = body["messages"][0]["content"]
        assert all(re.match("^data:image/(png|jpe?g);base64,", p["image_url"]["url"]) for p in parts[:-1])
        message = {"role": "assistant", "content": [{"type": "text", "text": f"{len(parts) - 1} frames"}]}
        return 200, {}, json.dumps({"choices": [{"message": message}]}).encode()

    with Server(react, root="") as server:
        replies = open_video_llm(f"openai:{server.url}#VILA1.5-3B").answer(REQUESTS)
        assert [r.text for r in replies] == [f"{len(r.frames)} frames" for r in REQUESTS]
        with pytest.raises(VideoLLMError, match="configured to use the model"):
            open_video_llm(f"openai:{server.url}#vila").answer(REQUESTS[:1])


def test_a_server_that_cannot_tell_yet_is_asked_again_what_it_is() -> None:
    told: dict[str, Any] = {"/v1/models": 503}
    with Server(lambda *_: said("fine"), told) as server:
        llm = OpenAIVideoLLM(server.url, "m")
        assert llm.answer(REQUESTS[:1])[0].text == "fine"
        told |= served_by("vllm", version="0.14.0")
        with pytest.raises(VideoLLMError, match="CVE-2026-22778"):
            llm.answer(REQUESTS[:1])


def test_a_busy_server_is_asked_again_when_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("model.backends.chat_completions.time.sleep", waits.append)
    date = formatdate(time.time() + 20, usegmt=True)
    first = [(429, {"retry-after": "-1"}, b""), (503, {}, b""), (429, {"retry-after": date}, b"slow down")]
    with Server(lambda n, _: first[n - 1] if n <= len(first) else said("at last")) as server:
        assert OpenAIVideoLLM(server.url, "m").answer(REQUESTS[:1])[0].text == "at last"
    assert 11.5 < sum(waits) < 21.5, "half a second, a second, and until the date"
    far = (429, {"retry-after": "3600"}, b"")
    with Server(lambda *_: far) as server:
        llm = OpenAIVideoLLM(server.url, "m")
        for _ in range(2):
            with pytest.raises(ClosedError, match="no request for 3600 s") as told:
                llm.answer(REQUESTS[:1])
            assert 3590 < told.value.seconds <= 3600
    assert len(server.bodies) == 1, "nor is it asked meanwhile"


def test_a_limit_told_to_one_request_holds_for_all() -> None:
    at: list[float] = []

    def react(number: int, _: dict[str, Any]) -> Answer:
        at.append(time.monotonic())
        if number == 1:
            return 429, {"retry-after": "0.5"}, b""
        deadline = time.monotonic() + 30
        while not llm._chat._closed_until and time.monotonic() < deadline:
            time.sleep(0.01)  # until the first reply is read
        return said("fine")

    with Server(react) as server:
        llm = OpenAIVideoLLM(server.url, "m", concurrency=2)
        assert [r.text for r in llm.answer(REQUESTS[:1] * 6)] == ["fine"] * 6
    between = [now - at[0] for now in sorted(at)[2:]]  # the second may have been on its way
    assert len(at) == 7 and min(between) > 0.45


def test_what_a_server_does_not_take_is_left_out_and_nothing_else() -> None:
    def react(_: int, body: dict[str, Any]) -> Answer:
        if len(body["messages"][0]["content"]) == 3:
            return 400, {}, b"This model's maximum context length is 4 tokens."
        refused = [field for field in ("structured_outputs", "top_logprobs") if field in body]
        return (422, {}, f"Unexpected fields: {refused[:1]}".encode()) if refused else said("Yes.")

    with Server(react, VLLM) as server:
        llm = OpenAIVideoLLM(server.url, "m")
        with pytest.raises(VideoLLMError, match="maximum context length"):
            llm.answer([replace(REQUESTS[2], frames=(A, B))])
        assert "structured_outputs" in server.bodies[0]
        assert llm.answer(REQUESTS[2:3])[0].text == "Yes." and llm.answer(REQUESTS[2:3])[0].scores == ()
    asked = [[f for f in ("structured_outputs", "logprobs", "top_logprobs") if f in b] for b in server.bodies[1:]]
    assert asked == [["structured_outputs", "logprobs", "top_logprobs"], ["logprobs", "top_logprobs"], [], []]


def test_transformers_own_server_says_what_the_same_checkpoint_says_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    build(next(family for family in FAMILIES if family.name == "Qwen3-VL"), tmp_path)
    (tmp_path / "stsg.json").write_text('{"frames": "images"}')
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve = Serve(str(tmp_path), device="cpu", host="127.0.0.1", port=port, non_blocking=True)
    try:
        deadline = time.monotonic() + 60
        while not serve.server.started:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        served = open_video_llm(f"openai:http://127.0.0.1:{port}/v1#{tmp_path}").answer(REQUESTS[:7])
    finally:
        serve.kill_server()
    here = open_video_llm(f"hf:{tmp_path}").answer([replace(r, choices=()) for r in REQUESTS[:7]])
    assert [r.text for r in served] == [r.text for r in here] and len({r.text for r in here}) > 5
    assert [r.tokens_in for r in served] == [r.tokens_in for r in here]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((401, {}, b"wrong key"), "401 wrong key"),
        ((500, {}, b""), "status 500"),
        ((200, {}, b"<html>"), "no JSON"),
        ((200, {}, b"[1]"), "no JSON"),
        ((200, {}, b'{"choices": []}'), "another form"),
    ],
)
def test_what_a_server_gets_wrong_is_told(answer: Answer, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.backends.chat_completions.time.sleep", lambda _: None)
    with Server(lambda *_: answer) as server, pytest.raises(VideoLLMError, match=told):
        OpenAIVideoLLM(server.url, "m").answer(REQUESTS[:1])


def test_a_server_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.backends.chat_completions.time.sleep", lambda _: None)
    with Server(lambda *_: said("")) as server:
        url = server.url
    with pytest.raises(VideoLLMError, match="can't be reached"):
        OpenAIVideoLLM(url, "m").answer(REQUESTS[:1])
