"""Video-LLM backends, one module each, behind `model.video_llm.VideoLLM`."""

from pathlib import Path

from model.video_llm import VideoLLM


class SpecError(ValueError):
    """A model spec that can't be opened; the text says how to write it."""


def open_video_llm(spec: str) -> VideoLLM:
    """The Video-LLM of a spec: `hf:<folder or id>`, `openai:<url>#<name>` or `recorded:<file>`.

    Raises:
        SpecError: an unknown kind, or a file that isn't there.
    """
    kind, _, rest = spec.partition(":")
    if kind == "hf" and rest:
        if Path(rest).is_absolute() and not Path(rest).is_dir():
            raise SpecError(
                f"There is no folder {rest} on this machine. Put the checkpoint there, or name it by its id."
            )
        from model.backends.hf import HuggingFaceVideoLLM

        try:
            return HuggingFaceVideoLLM(rest)
        except (OSError, ValueError) as e:
            raise SpecError(f"{rest} can't be loaded: {e} Name a folder with config.json and safetensors.") from e
    if kind == "openai" and rest.startswith(("http://", "https://")) and "#" in rest:
        from model.backends.openai_server import OpenAIVideoLLM

        url, _, name = rest.rpartition("#")
        return OpenAIVideoLLM(url, name)
    if kind == "recorded" and rest:
        from model.backends.recorded import RecordedVideoLLM

        if not Path(rest).is_file():
            raise SpecError(f"There is no recording {rest}. A run's trace is one: runs/<id>/trace/*.jsonl.")
        try:
            return RecordedVideoLLM(Path(rest))
        except (LookupError, TypeError, ValueError) as e:
            raise SpecError(f"{rest} is no trace: {e!r}. Give a JSONL file that a run wrote, unchanged.") from e
    raise SpecError(
        f"{spec!r} names no Video-LLM. Write hf:<folder or id>, openai:http://<host>/v1#<name> or recorded:<trace file>."
    )
