"""Several inductions side by side, whose requests go to the model in the same calls.

The prompts about one clip come in many small calls, as each builds on replies; those about several clips fill a batch, and
a GPU that reads all its weights for three prompts answers thirty in hardly more time.
"""

from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

from model.video_llm import Reply, Request, VideoLLM

T = TypeVar("T")


def together(llm: VideoLLM, works: Sequence[Callable[[VideoLLM], T]]) -> list[T]:
    """What each work gives that is handed the model; the model itself is asked in this thread alone.

    A call holds what all works that still go on ask for next, in their order, so it doesn't depend on how fast each is.

    Raises:
        Exception: the first that the model or a work raised, once all works have ended.
    """
    heard: SimpleQueue[_Seat[T]] = SimpleQueue()
    seats = [_Seat(number, llm, work, heard) for number, work in enumerate(works)]
    for seat in seats:
        seat.start()
    left, failure = set(seats), None
    try:
        while left:
            asking = _next_questions(left, heard)
            failure = failure or next((seat.failure for seat in seats if seat.failure), None)
            if failure is None and asking:
                failure = _answered(llm, asking)
            elif failure is not None:
                _refuse(asking, failure)
    finally:  # with what broke in here, such as this process's end: nobody may wait for ever
        _refuse(left, failure or InterruptedError("the model is not asked any more"))
        for seat in seats:
            seat.join()
    if failure is not None:
        raise failure
    return [result for seat in seats for result in seat.results]


class _Seat(Thread, Generic[T]):
    """A work in a thread of its own, to which this is the Video-LLM."""

    def __init__(
        self, number: int, llm: VideoLLM, work: Callable[[VideoLLM], T], heard: "SimpleQueue[_Seat[T]]"
    ) -> None:
        super().__init__(name=f"together-{number}", daemon=True)
        self.number, self.prompt_set, self.advice = number, llm.prompt_set, llm.advice
        self.name = llm.name
        self.asked: Sequence[Request] = ()  # none once it has ended
        self.replies: SimpleQueue[list[Reply] | BaseException] = SimpleQueue()
        self.results: list[T] = []
        self.failure: BaseException | None = None
        self._work, self._heard = work, heard

    def run(self) -> None:
        try:
            self.results.append(self._work(self))
        except BaseException as e:  # noqa: BLE001 # raised where the works are waited for
            self.failure = e
        self.asked = ()
        self._heard.put(self)

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        if not requests:
            return []
        self.asked = requests
        self._heard.put(self)
        found = self.replies.get()
        if isinstance(found, BaseException):
            raise found
        return found


def _next_questions(left: set[_Seat[T]], heard: "SimpleQueue[_Seat[T]]") -> list[_Seat[T]]:
    """All that are left, each with a question; who ended meanwhile is left no more."""
    asking: set[_Seat[T]] = set()
    while len(asking) < len(left):
        seat = heard.get()
        (asking.add if seat.asked else left.discard)(seat)
    return sorted(asking, key=lambda seat: seat.number)


def _answered(llm: VideoLLM, asking: Sequence[_Seat[T]]) -> BaseException | None:
    """Answer all questions in one call, or hand everybody what the model raised."""
    try:
        replies = iter(llm.answer([request for seat in asking for request in seat.asked]))
    except BaseException as e:  # noqa: BLE001 # raised when all have heard of it
        _refuse(asking, e)
        return e
    for seat in asking:
        seat.replies.put([next(replies) for _ in seat.asked])
    return None


def _refuse(seats: "Sequence[_Seat[T]] | set[_Seat[T]]", failure: BaseException) -> None:
    for seat in seats:
        seat.replies.put(failure)
