"""A text model behind an OpenAI-compatible server, told something by the system and by the user, at temperature 0."""

from model.backends.chat_completions import ChatCompletions
from model.backends.transport import CallLimits


class ChatServer:
    """A model behind `<url>/chat/completions`."""

    def __init__(self, url: str, name: str, *, timeout: float = 120, max_tokens: int = 128) -> None:
        self._chat, self._max_tokens = ChatCompletions(url, name, limits=CallLimits(call_seconds=timeout)), max_tokens
        self.name = self._chat.name

    def __call__(self, system: str, user: str) -> str:
        """The reply, as it is.

        Raises:
            VideoLLMError: none can be had now.
        """
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        reply = self._chat.post({"messages": messages, "temperature": 0, "max_tokens": self._max_tokens})
        return self._chat.choice(reply).text
