"""The demonstration: every step over HTTP, as a user's own program would do it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.markup import escape

from api.cli import local, qra, show
from api.cli.videos import write_lines
from api.client import Client, check_succeeded
from api.scoring import Scores, score_export

_SEED = 7
_STEPS = {"1": 10, "2": 10, "3": 10, "4": 10}


@dataclass
class Report:
    """What the demonstration made, as it is written to report.json."""

    video_id: str = ""
    run_id: str = ""
    graph: dict[str, int] = field(default_factory=dict)
    f1: dict[str, float] = field(default_factory=dict)
    qra: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    browser_url: str = ""
    export: str = ""

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the seconds that the block takes to the stage."""
        show.out.rule(f"[bold]{stage}", align="left")
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] = round(time.monotonic() - started, 2)

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(self.__dict__, indent=2, ensure_ascii=False) + "\n")


def run(video: Path | None, model: str, *, keep: bool) -> None:
    """The whole demonstration; raises ServiceError when a step fails."""
    report = Report()
    folder = local.home() / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    with report.timed("start"):
        stack = local.start(model)
        local.describe(stack.uris)
    try:
        _through_the_service(report, folder, stack.client(), video, "demo" if model else "")
        report.write(folder / "report.json")
        _farewell(report, folder, keep=keep or not stack.ours)
    finally:
        if stack.ours and not keep:
            with show.err.status("stopping what was started"):
                local.stop()


def _through_the_service(report: Report, folder: Path, client: Client, video: Path | None, model: str) -> None:
    truth = None
    with client:
        if video is None:
            with report.timed("render"):
                rendered = local.render(_SEED, folder)
                video, truth = rendered.video, rendered.truth
                show.out.print(f"{video}: three clips, made from seed {_SEED}")
        _induce(report, client, video, model)
        summary = client.get(f"/v1/graphs/{report.run_id}")
        report.graph, report.browser_url = summary["counts"], summary["browser_url"]
        _show_graph(summary, score_export(client, report.run_id, truth) if truth else None, report)
        with report.timed("qra"):
            _questions(report, client, folder)


def _induce(report: Report, client: Client, video: Path, model: str) -> None:
    """Send the video, follow the run, and note how long each stage took."""
    with report.timed("upload"):
        with show.upload_bar() as bars:
            bar = bars.add_task(escape(video.name), total=video.stat().st_size)
            params = {"process": "true"} | ({"model": model} if model else {})
            reply = client.upload(video, lambda size: bars.advance(bar, size), **params)
        report.video_id, report.run_id = reply["id"], reply["run"]["id"]
        show.out.print(f"POST /v1/videos -> {report.video_id}, run {report.run_id}")
    with report.timed("induction"), show.RunProgress(quiet=False) as bars:
        bar = bars.add("making the graph")
        stage, since = "", time.monotonic()
        for event in client.events(report.run_id):
            bars.seen(bar, event)
            now = show.stage_of(event)[0]
            if now and now != stage:
                if stage:
                    report.seconds[stage] = round(time.monotonic() - since, 2)
                stage, since = now, time.monotonic()
        if stage:
            report.seconds[stage] = round(time.monotonic() - since, 2)
        run = client.get(f"/v1/runs/{report.run_id}")
        bars.end(bar, run["state"])
    check_succeeded("The run", report.run_id, run["state"], run["error"])


def _show_graph(summary: dict[str, Any], scores: Scores | None, report: Report) -> None:
    """Counts per kind, beside precision, recall and F1 where the truth is known, and the Browser's link."""
    if scores is None:
        show.table("graph", ("kind", "count"), list(summary["counts"].items()))
    else:
        report.f1 = {kind: round(s.f1, 4) for kind, s in scores.items()}
        rows = [(kind, summary["counts"][kind], s.precision, s.recall, s.f1) for kind, s in scores.items()]
        show.table("graph, against the known truth", ("kind", "count", "precision", "recall", "F1"), rows)
    if summary["rejects"]:
        count = sum(r["count"] for r in summary["rejects"])
        show.out.print(f"{count} replies could not be used; stsg graph {summary['run_id']} says why")
    show.out.print("\nSee it in Neo4j Browser:")
    show.out.print(f"[link]{escape(summary['browser_url'])}[/link]", soft_wrap=True)


def _questions(report: Report, client: Client, folder: Path) -> None:
    """Sample questions of one to four steps, download them, and print one of several of the lengths."""
    dataset = qra.make(client, [report.run_id], {"steps": _STEPS}, seed=_SEED, name="demo")
    check_succeeded("The data set", dataset["id"], dataset["state"], dataset["error"])
    export = folder / "qra.jsonl"
    write_lines(client, f"/v1/qra-datasets/{dataset['id']}/export", export)
    report.export = str(export)
    report.qra = {"count": dataset["count"], "by_steps": dataset["by_steps"]}
    rows = [json.loads(line) for line in export.read_text().splitlines()]
    longest_first = sorted({row["steps"]: row for row in rows}.values(), key=lambda row: -int(row["steps"]))
    for row in sorted(longest_first[:3], key=lambda row: int(row["steps"])):
        qra.print_sample(row)


def _farewell(report: Report, folder: Path, *, keep: bool) -> None:
    show.out.rule("[bold]done", align="left")
    show.out.print(f"{report.qra['count']} samples, by steps {report.qra['by_steps']}, in {report.export}")
    show.out.print(f"report: {folder / 'report.json'}")
    if keep:
        show.out.print("The stack is still running; 'stsg down' stops it.")
    else:
        show.out.print("The stack is stopped; 'stsg up' starts it again with all it holds, and the link above works.")
