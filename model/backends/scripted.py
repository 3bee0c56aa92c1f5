"""A Video-LLM made of plain functions: for tests, ours and users' own."""

from collections.abc import Callable, Mapping, Sequence

from model.video_llm import NO_ADVICE, Reply, Request

Script = Callable[[Request], str | Reply]


class ScriptedVideoLLM:
    """Replies by step; `asked` holds every request it was given. A step without a function gets an empty reply."""

    def __init__(self, functions: Mapping[str, Script], prompt_set: str = "standard") -> None:
        self.name = "scripted"
        self.prompt_set, self.advice = prompt_set, NO_ADVICE
        self.asked: list[Request] = []
        self._functions = functions

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        self.asked += requests
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Reply:
        function = self._functions.get(request.step)
        said = function(request) if function else ""
        return said if isinstance(said, Reply) else Reply(said)
