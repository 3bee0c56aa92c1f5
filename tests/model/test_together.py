"""Works side by side ask the model together, and none is left waiting whatever happens."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from model.induction.pipeline import InductionOptions, induce_clip
from model.induction.splitting import split
from model.induction.together import together
from model.video_llm import NO_ADVICE, Reply, Request, VideoLLM
from trainer.world.files import render_with_truth
from trainer.world.oracle import Oracle

Work = Callable[[VideoLLM], str]


class Loud:
    """Says every request in capitals, and remembers its calls."""

    name, prompt_set, advice = "loud", "standard", NO_ADVICE

    def __init__(self, inner: VideoLLM | None = None) -> None:
        self.calls: list[list[str]] = []
        self._inner = inner
        self.threads = set[int]()

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        self.calls.append([r.text for r in requests])
        self.threads.add(threading.get_ident())
        if self._inner:
            return self._inner.answer(requests)
        if any(r.text == "break" for r in requests):
            raise ValueError("broken")
        return [Reply(r.text.upper()) for r in requests]


def saying(*parts: str) -> Work:
    """A work that asks one part after the other."""

    def work(llm: VideoLLM) -> str:
        return " ".join(reply.text for part in parts for reply in llm.answer([Request("s", t) for t in part.split()]))

    return work


def test_a_call_holds_what_all_ask_next_in_their_order() -> None:
    for _ in range(20):  # threads come in any order
        llm = Loud()
        found = together(llm, [saying("a b", "c"), saying("d"), saying("e", "", "f g", "h")])
        assert found == ["A B C", "D", "E F G H"]
        assert llm.calls == [["a", "b", "d", "e"], ["c", "f", "g"], ["h"]]
        assert llm.threads == {threading.get_ident()}
    assert together(Loud(), list[Work]()) == []


def test_one_failure_ends_all_and_is_raised() -> None:
    def fails(llm: VideoLLM) -> str:
        llm.answer([Request("s", "x")])
        raise KeyError("a work's own fault")

    before = threading.active_count()
    with pytest.raises(ValueError, match="broken"):
        together(Loud(), [saying("a", "b", "c"), saying("break", "d")])
    llm = Loud()
    with pytest.raises(KeyError, match="own fault"):
        together(llm, [saying("a", "b", "c"), fails, saying("d")])
    assert len(llm.calls) == 1
    assert threading.active_count() == before


def test_an_end_of_this_process_leaves_nobody_waiting() -> None:
    class Ended(Loud):
        def answer(self, requests: Sequence[Request]) -> list[Reply]:
            raise SystemExit(3)

    before = threading.active_count()
    with pytest.raises(SystemExit):
        together(Ended(), [saying("a"), saying("b")])
    assert threading.active_count() == before


def test_clips_side_by_side_have_the_graphs_and_prompts_that_each_has_alone(tmp_path: Path) -> None:
    video = render_with_truth(3, tmp_path, clips=4)
    clips = split(video.video, video.video_id, InductionOptions().splitting_options, seed=0)
    alone, beside = Loud(Oracle(tmp_path)), Loud(Oracle(tmp_path))
    options = InductionOptions()
    expected = [induce_clip(clip, alone, options) for clip in clips]
    found = together(beside, [lambda llm, c=clip: induce_clip(c, llm, options) for clip in clips])  # type: ignore[misc]
    assert found == expected and len(clips) == 4
    assert sorted(t for call in beside.calls for t in call) == sorted(t for call in alone.calls for t in call)
    assert len(beside.calls) <= len(alone.calls) / 3
