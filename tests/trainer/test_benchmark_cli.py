"""`stsg benchmark` from files to a table, with a model and a judge behind a real server."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from shutil import rmtree
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli import app
from model.backends.chat_server import ChatServer
from model.video_llm import VideoLLMError
from tests.trainer.benchmark_files import MVBENCH, everything, video, write

Answer = tuple[int, bytes]


def said(text: str) -> Answer:
    return 200, json.dumps({"choices": [{"message": {"content": text}}]}).encode()


@contextmanager
def served(react: Callable[[int, dict[str, Any]], Answer]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A chat server that answers as told; its URL, and what it was sent."""
    bodies: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, body = react(len(bodies), bodies[-1])
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", bodies
    finally:
        server.shutdown()
        server.server_close()


def stsg(*words: object):
    return CliRunner().invoke(app, ["benchmark", *map(str, words)], env={"COLUMNS": "250", "NO_COLOR": "1"})


def test_a_benchmark_is_checked_run_judged_and_shown_again(tmp_path):
    folder = everything(tmp_path)["activitynet-qa"]
    checked = stsg("check", "activitynet-qa", folder)
    assert checked.exit_code == 1 and "2 of 8,000" in checked.stdout and "github.com/MILVLG" in checked.stdout
    record = tmp_path / "r.jsonl"

    def react(_: int, body: dict[str, Any]) -> Answer:
        judging = body["messages"][0]["role"] == "system"
        return said("{'pred': 'yes', 'score': 4}" if judging else "it is red")

    with served(react) as (url, bodies):
        spec = f"openai:{url}#model"
        command = ["run", "activitynet-qa", folder, "--model", spec, "--record", record, "--partial", "--json"]
        alone = stsg(*command)
        assert alone.exit_code == 1 and "2 replies can only be marked by a judge" in alone.output
        assert [len(b["messages"][0]["content"]) for b in bodies] == [8 + 1] * 2  # pictures, then the question
        ran = stsg(*command, "--judge", f"openai:{url}#judge")
    assert ran.exit_code == 0, ran.output
    assert [b["model"] for b in bodies] == ["model", "model", "judge", "judge"]
    assert all(b["temperature"] == 0 for b in bodies)
    every = json.loads(ran.stdout)["scores"][0]
    assert every == {"group": "all", "value": "all", "count": 2, "accuracy": 1.0, "unread": 0.0, "mark": 4.0}
    rmtree(folder)
    assert json.loads(stsg("report", record, "--json").stdout) == json.loads(ran.stdout)
    shown = stsg("report", record, "--official")
    assert "activitynet-qa (official rule)" in shown.stdout and "yes/no" in shown.stdout


@pytest.mark.parametrize("words", [(), ("check",), ("run",), ("report",)])
def test_every_command_explains_itself(words):
    done = stsg(*words, "--help")
    assert done.exit_code == 0 and "Usage" in done.stdout


def test_what_is_wrong_is_told_with_a_remedy(tmp_path):
    assert "Name one of agqa" in stsg("check", "other", tmp_path).output
    gone = stsg("run", "star", tmp_path, "--model", "no:model", "--record", tmp_path / "r")
    assert gone.exit_code == 1 and "STAR_val.json" in gone.output and "bobbywu.com/STAR" in gone.output


def test_a_judge_that_is_down_or_answers_in_another_form_is_told(monkeypatch):
    monkeypatch.setattr("model.backends.chat_completions.time.sleep", lambda _: None)
    with served(lambda n, _: (503, b"") if n == 1 else said("Correct")) as (url, _):
        assert ChatServer(url, "m")("s", "u") == "Correct"
    with pytest.raises(VideoLLMError, match="can't be reached"):
        ChatServer(url, "m")("s", "u")
    for answer, told in (
        ((200, b"<html>"), "no JSON"),
        ((200, b"{}"), "another form"),
        ((401, b"wrong key"), "401 wrong key"),
    ):
        with served(lambda *_, answer=answer: answer) as (url, _), pytest.raises(VideoLLMError, match=told):
            ChatServer(url, "m")("s", "u")


FORMS = (
    "**B**",
    "The correct answer is B.",
    "<think>A? No.</think>Answer: **(B)**",
    "It's not A, but B.",
    '{"answer": "B"}',
    "\\boxed{B}",
    "B\n\nExplanation: A is red.",
    "A is wrong, so it is blue.",
)
UNREAD = ("A or B", "not B")


def test_choices_in_every_form_score_as_plain_letters_do(tmp_path):
    folder = tmp_path / "mvbench"
    asked = [MVBENCH | {"question": f"{n}?"} for n in range(len(FORMS) + len(UNREAD))]
    write(folder / "json" / "action_antonym.json", asked)
    checked = stsg("check", "mvbench", folder, "--json")
    assert checked.exit_code == 1
    note = json.loads(checked.stdout)["notes"][-1]
    assert note.startswith("a.mp4 was looked for in video/ssv2_video, ") and "video/data0613/ssv2_video_mp4" in note
    refused = stsg("run", "mvbench", folder, "--model", "no:model", "--record", tmp_path / "r")
    assert refused.exit_code == 1 and "video/data0613/ssv2_video_mp4" in " ".join(refused.output.split())
    video(folder / "video" / "ssv2_video_mp4" / "a.mp4")
    scores = []
    for name, replies in (("forms", (*FORMS, *UNREAD)), ("plain", ("B",) * len(FORMS) + ("", ""))):

        def react(_: int, body: dict[str, Any], replies: tuple[str, ...] = replies) -> Answer:
            question = body["messages"][-1]["content"][-1]["text"]
            return said(replies[int(question.split("Question: ")[1].split("?")[0])])

        with served(react) as (url, _):
            words = ("--model", f"openai:{url}#m", "--record", tmp_path / name, "--partial", "--json")
            ran = stsg("run", "mvbench", folder, *words)
        assert ran.exit_code == 0, ran.output
        scores.append(json.loads(ran.stdout)["scores"][0])
    assert scores[0] == scores[1] and (scores[0]["accuracy"], scores[0]["unread"]) == (0.8, 0.2)
