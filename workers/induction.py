"""The induction of one run's graph, stored part by part so that it can go on from any of them."""

import threading
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Protocol

from graphdb import graphs, jobs
from graphdb.graphs import StoredClip
from graphdb.jobs import Job, Lease, LeaseLost
from model import prompts
from model.backends.trace import Traced
from model.induction.pipeline import InductionOptions, bridge, induce_clip
from model.induction.rejects import Rejects
from model.induction.splitting import split
from model.induction.together import together
from model.media import Tally
from model.stsg import Clip, Keyframe, SceneGraph
from model.video_llm import STOPPED, Reply, Request, StoppedError, VideoLLM
from workers.fault_points import fault_point
from workers.runtime import Service
from workers.storage import Storage, keyframe_file, rejects_file, trace_file, video_file
from workers.training_folder import JobError
from workers.unread import check_read

_AT_ONCE = 8  # clips whose prompts go to the model in the same calls


class Told(Protocol):
    """Hears how far the work is; `fresh` when something new was stored."""

    def __call__(self, done: int, total: int, stage: str, *, fresh: bool) -> None: ...


def split_video(service: Service, lease: Lease, job: Job, lost: threading.Event) -> list[Clip]:
    """Cut a run's video, and store its keyframes and clips (STEP Sec. 3.1, Visual Splitting)."""
    fault_point("split-long" if job.get("long") else "split")
    run_id, video_id, params = job["id"], job["video_id"], job["params"]
    how = InductionOptions.from_dict(params["options"]).how_to_split()
    tally = Tally()
    with service.storage.local(video_file(video_id)) as file:
        clips = split(file, video_id, how, params["seed"], service.settings.limits, tally=tally)
    for clip in clips:
        for k in clip.keyframes:
            if lost.is_set():  # nothing is to be written beside what a deletion or another worker does
                raise LeaseLost(run_id)
            service.storage.write_image(keyframe_file(run_id, k.id), k.image)
    fault_point("split-commit")
    graphs.save_clips(service.driver, run_id, video_id, clips, lease=lease)
    if tally.decoded - tally.damaged < tally.expected:  # few enough for a run, and on record
        jobs.log_event(service.driver, run_id, "damage", asdict(tally), key="damage")
    return clips


def induce_video(service: Service, lease: Lease, job: Job, lost: threading.Event, told: Told) -> dict[str, Any]:
    """The graph of a run, from the keyframes that are stored; returns its counts and rejects by reason."""
    run_id, video_id = job["id"], job["video_id"]
    llm = Watched(service.model(job["params"]["model"]), lost)
    options = InductionOptions.from_dict({**llm.advice, **job["params"]["options"]})
    stored = graphs.load_clips(service.driver, run_id)
    missing = [clip for clip in stored if not clip.induced]
    if len(missing) < len(stored):
        told(len(stored) - len(missing), len(stored), "induce", fresh=False)
    for at in range(0, len(missing), _AT_ONCE):
        part = missing[at : at + _AT_ONCE]
        fault_point(f"induce:{part[0].index}")
        works = [partial(_induced, service.storage, run_id, clip, options) for clip in part]
        made = together(llm, works)
        _check_read(service, run_id, part, made)
        for clip, (graph, rejects, traced) in zip(part, made, strict=True):
            # a trace has no transaction to prove the lease in
            jobs.heartbeat(service.driver, lease, service.settings.lease_seconds)
            _keep(service.storage, run_id, f"clip-{clip.index}", traced, rejects)
            fault_point(f"commit:{clip.index}")
            graphs.save_graph(service.driver, run_id, video_id, graph, clip=clip.index, lease=lease)
            told(clip.index + 1, len(stored), "induce", fresh=True)
    fault_point("bridge")
    traced = Recorder(llm)
    whole = graphs.load_graph(service.driver, run_id)
    parts = [whole.in_clip(clip.index) for clip in stored]
    clips = [_with_images(service.storage, run_id, clip) for clip in stored]
    edges, rejects = bridge(clips, parts, traced.llm, options)
    jobs.heartbeat(service.driver, lease, service.settings.lease_seconds)
    _keep(service.storage, run_id, "bridge", traced, rejects)
    fault_point("bridge-commit")
    graphs.save_bridges(service.driver, run_id, video_id, edges, lease=lease)
    told(len(stored), len(stored), "bridge", fresh=True)
    return {
        "counts": graphs.counts(service.driver, run_id),
        "rejects": all_rejects(service.storage, run_id),
        "prompts": f"{llm.prompt_set} {prompts.version(llm.prompt_set)}",
        "model": llm.name,
        "options": options.to_dict(),
    }


def _check_read(
    service: Service, run_id: str, part: Sequence[StoredClip], made: Sequence[tuple[SceneGraph, Rejects, "Recorder"]]
) -> None:
    """Check that clips' replies could be read, before their graphs are stored: a retry is to ask for them again."""
    steps = [str(row["step"]) for _, _, traced in made for row in traced.rows]
    try:
        check_read(steps, [r for _, rejects, _ in made for r in rejects.items], service.settings.unread_share)
    except JobError:
        for clip, (_, rejects, traced) in zip(part, made, strict=True):
            _keep(service.storage, run_id, f"clip-{clip.index}", traced, rejects)
        raise


def all_rejects(storage: Storage, run_id: str) -> dict[str, int]:
    """How many replies of a run could not be used, by step and reason."""
    counts: dict[str, int] = {}
    for name in storage.names(f"runs/{run_id}/rejects"):
        for row in storage.rows(name):
            key = f"{row['step']}: {row['reason']}"
            counts[key] = counts.get(key, 0) + 1
    return dict(sorted(counts.items()))


def _induced(
    storage: Storage, run_id: str, clip: StoredClip, options: InductionOptions, llm: VideoLLM
) -> tuple[SceneGraph, Rejects, "Recorder"]:
    traced = Recorder(llm)
    return *induce_clip(_with_images(storage, run_id, clip), traced.llm, options), traced


def _with_images(storage: Storage, run_id: str, clip: StoredClip) -> Clip:
    frames = (Keyframe(k.id, k.t, storage.read_image(keyframe_file(run_id, k.id))) for k in clip.keyframes)
    return Clip(clip.index, clip.t_start, clip.t_end, clip.frame_start, clip.frame_end, tuple(frames))


class Watched:
    """A Video-LLM that stops replying once the job is no longer ours."""

    def __init__(self, llm: VideoLLM, lost: threading.Event) -> None:
        self._llm, self._lost = llm, lost
        self.name, self.prompt_set, self.advice = llm.name, llm.prompt_set, llm.advice

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        if self._lost.is_set():
            raise LeaseLost(self.name)
        wanted = STOPPED.set(self._lost.is_set)
        try:
            return self._llm.answer(requests) if requests else []
        except StoppedError as e:
            raise LeaseLost(self.name) from e
        finally:
            STOPPED.reset(wanted)


class Recorder:
    """A traced Video-LLM and the rows of its trace."""

    def __init__(self, llm: VideoLLM) -> None:
        self.rows: list[dict[str, Any]] = []
        self.llm: VideoLLM = Traced(llm, self.rows.append)


def _keep(storage: Storage, run_id: str, stage: str, traced: Recorder, rejects: Rejects) -> None:
    storage.write_rows(trace_file(run_id, stage), traced.rows)
    storage.write_rows(rejects_file(run_id, stage), (asdict(r) for r in rejects.items))
