"""Video-LLM backends, one module each, behind `model.video_llm.VideoLLM`."""

from pathlib import Path

from model.backends.addresses import AddressError, check_address
from model.backends.transport import CallLimits
from model.video_llm import ClosedError, VideoLLM


class SpecError(ValueError):
    """A model spec that can't be opened; the text says how to write it."""


def open_video_llm(spec: str, *, exact: bool = False, limits: CallLimits | None = None) -> VideoLLM:
    """The Video-LLM of a spec: `hf:<folder or id>`, `openai:<url>#<name>` or `recorded:<file>`.

    One of `hf:` that has to be `exact` computes in 32 bits on a GPU too; `limits` hold for calls of a server.

    Raises:
        SpecError: an unknown kind, a file that isn't there, or a model that can't be loaded here.
        ClosedError: others hold the memory of the device now.
    """
    kind, _, rest = spec.partition(":")
    if kind == "hf" and rest:
        if Path(rest).is_absolute() and not Path(rest).is_dir():
            raise SpecError(
                f"There is no folder {rest} on this machine. Put the checkpoint there, or name it by its id."
            )
        return _hugging_face(rest, exact)
    if kind == "openai" and rest.startswith(("http://", "https://")) and "#" in rest:
        from model.backends.openai_server import OpenAIVideoLLM

        url, _, name = rest.rpartition("#")
        try:
            check_address(url)
        except AddressError as e:
            raise SpecError(str(e)) from e
        return OpenAIVideoLLM(url, name, limits=limits)
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


def _hugging_face(source: str, exact: bool) -> VideoLLM:
    from model.backends.devices import CROWDED, CROWDED_SECONDS, DeviceError, held_by_others, lacks_memory
    from model.backends.hf import HuggingFaceVideoLLM

    try:
        return HuggingFaceVideoLLM(source, exact=exact)
    except DeviceError as e:
        raise SpecError(str(e)) from e
    except (OSError, ValueError) as e:
        raise SpecError(f"{source} can't be loaded: {e} Name a folder with config.json and safetensors.") from e
    except RuntimeError as e:
        if not lacks_memory(e):
            raise
        detail = f"{source} does not fit into the device's memory"
        if held_by_others() > CROWDED:
            raise ClosedError(f"{detail} beside what others hold there: {e}", CROWDED_SECONDS) from e
        raise SpecError(f"{detail}: {e} Name a smaller one, or a server's.") from e
