"""What the service needs of a Video-LLM class, tried one by one on a checkpoint of it; what fails says why.

All in 32 bits, also on a GPU, so that two ways to one reply differ by a mistake only and not by rounding.
"""

import json
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow
from transformers import AutoModelForImageTextToText, AutoProcessor

from model.backends.devices import device
from model.backends.hf import HuggingFaceVideoLLM
from model.stsg import Keyframe
from model.video_llm import Request
from trainer.conformance.checkpoints import FAMILIES
from trainer.conformance.family import PICTURE, Family, build
from trainer.conformance.training import step_fault
from trainer.tuning.spec import Lora

OK = "ok"
PLAIN = "plain: "  # before why a class does it in another way than others, with the same replies


def _frame(seed: int) -> Keyframe:
    noise = np.random.default_rng(seed).integers(0, 256, (PICTURE, PICTURE, 3), np.uint8)
    return Keyframe(f"vid_x:{seed:09d}", float(seed), noise)


_A, _B, _C, _D = (_frame(seed) for seed in range(4))
_SINGLE = (
    Request("s", "Where is the red circle?", (_A,), max_new_tokens=9),
    Request("s", "Name all objects that can be seen in the picture, one by one.", (_A,), max_new_tokens=12),
    Request("s", "there is a red circle and a blue square.", (), max_new_tokens=8),
    Request("s", "What is it?", (_B,), max_new_tokens=4),
)
_SEVERAL = (
    Request("s", "What does the green square do?", (_A, _B), max_new_tokens=6),
    Request("s", "What happens?", (_A, _B), max_new_tokens=12),
    Request("s", "What happens?", (_A, _B, _C, _D), max_new_tokens=8),
)
_YES_NO = Request("s", "Is there a red circle?", (_A,), choices=("Yes", "No"))


class _FailedError(Exception):
    """A check that found something else than it should have."""


@dataclass(frozen=True, slots=True)
class Conformance:
    """What came of each check on one class."""

    family: str
    network: str
    results: dict[str, str]  # "ok", "plain: " and why, or why not, by check

    @property
    def passed(self) -> bool:
        return all(result == OK or result.startswith(PLAIN) for result in self.results.values())


def conformance(families: Sequence[Family] = FAMILIES) -> list[Conformance]:
    """Every check on a small checkpoint of every family."""
    found = []
    for family in families:
        with tempfile.TemporaryDirectory() as folder:
            build(family, Path(folder))
            found.append(Conformance(family.name, family.network, check_folder(Path(folder))))
    return found


def check_own(folder: Path) -> Conformance:
    """Every check on a user's checkpoint, which is only read."""
    with tempfile.TemporaryDirectory() as name:
        for file in folder.iterdir():
            (Path(name) / file.name).symlink_to(file.resolve())
        return Conformance(folder.name, "", check_folder(Path(name)))


def table(found: Sequence[Conformance]) -> str:
    """The results as a Markdown table, and below it why something is not "yes"."""
    told = [[one.family, *(_cell(one.results[check]) for check in CHECKS)] for one in found]
    rows = [["class", *CHECKS], ["---"] * (len(CHECKS) + 1), *told]
    alike = defaultdict[tuple[str, str], list[str]](list)
    for one in found:
        for check, why in one.results.items():
            if why != OK:
                alike[check, why].append(one.family)
    notes = [f"* {', '.join(families)}, {check}: {reason}" for (check, reason), families in alike.items()]
    return "\n".join([*(f"| {' | '.join(row)} |" for row in rows), *(["", *notes] if notes else [])])


def _cell(result: str) -> str:
    return "yes" if result == OK else "plain" if result.startswith(PLAIN) else "no"


def check_folder(folder: Path) -> dict[str, str]:
    """Every check on a checkpoint, whose `stsg.json` is replaced."""
    results = {}
    for name, check in CHECKS.items():
        try:
            results[name] = check(folder) or OK
        except _FailedError as e:
            results[name] = str(e)
        except Exception as e:  # noqa: BLE001 # whatever a class does, the others are still checked
            results[name] = f"{type(e).__name__}: {e}"[:300]
    return results


def _ours(folder: Path, **how: Any) -> HuggingFaceVideoLLM:
    return HuggingFaceVideoLLM(str(folder), exact=True, **how)


def _texts(llm: HuggingFaceVideoLLM, requests: Sequence[Request]) -> list[str]:
    return [reply.text for reply in llm.answer(requests)]


class _Stock:
    """A checkpoint as transformers' documentation would run it, with nothing of ours."""

    def __init__(self, folder: Path) -> None:
        self.processor = AutoProcessor.from_pretrained(folder)
        load = AutoModelForImageTextToText.from_pretrained
        self.network = load(folder, dtype=torch.float32, device_map=device()).eval()
        ways = folder / "stsg.json"
        as_video = ways.exists() and json.loads(ways.read_text()).get("frames") == "video"
        self._video = as_video and hasattr(self.processor, "video_processor")

    def inputs(self, request: Request) -> Any:
        frames = [Pillow.fromarray(f.image) for f in request.frames]
        video = self._video and len(frames) > 1
        media = ["video"] if video else ["image"] * len(frames)
        content = [*({"type": kind} for kind in media), {"type": "text", "text": request.text}]
        chat = [{"role": "user", "content": content}]
        text = self.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        given: dict[str, Any] = {}
        if video:
            told = {"fps": 1.0, "total_num_frames": len(frames), "frames_indices": list(range(len(frames)))}
            given = {"videos": [frames], "video_metadata": [told], "do_sample_frames": False}
        elif frames:
            given = {"images": [frames]}
        return self.processor(text=[text], return_tensors="pt", **given).to(self.network.device)

    @torch.inference_mode()
    def reply(self, request: Request) -> str:
        inputs = self.inputs(request)
        said = self.network.generate(**inputs, do_sample=False, max_new_tokens=request.max_new_tokens)
        said = said[0, inputs["input_ids"].shape[1] :]
        return str(self.processor.tokenizer.decode(said, skip_special_tokens=True)).strip()

    @torch.inference_mode()
    def scores(self, request: Request) -> list[float]:
        firsts = [self.processor.tokenizer.encode(c, add_special_tokens=False)[0] for c in request.choices]
        return list(self.network(**self.inputs(request)).logits[0, -1].log_softmax(-1)[firsts].tolist())


def _as_generate(folder: Path, requests: Sequence[Request], frames: str = "images") -> None:
    ways = folder / "stsg.json"
    ways.unlink(missing_ok=True)
    ways.write_text(json.dumps({"frames": frames}))
    stock, llm = _Stock(folder), _ours(folder, share=False, batch=1)
    said, expected = _texts(llm, requests), [stock.reply(r) for r in requests]
    if said != expected:
        raise _FailedError(f"says {said} where `generate` says {expected}")
    if len(set(said)) == 1:
        raise _FailedError("says the same about everything")


def _video(folder: Path) -> str | None:
    _as_generate(folder, _SEVERAL, "video")
    takes = getattr(AutoProcessor.from_pretrained(folder), "video_processor", None) is not None
    return None if takes else f"{PLAIN}it takes pictures only, and several frames are several of them"


def _batched(folder: Path) -> None:
    requests = (*_SINGLE, *_SEVERAL)
    alone, together = (_texts(_ours(folder, share=False, batch=n), requests) for n in (1, 16))
    if alone != together:
        raise _FailedError(f"says {together} in a batch and {alone} one by one")


def _shared(folder: Path) -> str | None:
    requests = (*_SINGLE[:2], _YES_NO, *_SEVERAL)
    plain = _ours(folder, share=False).answer(requests)
    sharing = _ours(folder, worth_sharing=1)
    shared = sharing.answer(requests)
    if [r.text for r in plain] != [r.text for r in shared]:
        raise _FailedError("says something else with a shared visual prefix")
    return None if sharing.shares else f"{PLAIN}{sharing.plain_because}"


def _scored(folder: Path) -> None:
    expected = _Stock(folder).scores(_YES_NO)
    reply = _ours(folder).answer([_YES_NO])[0]
    if not np.allclose(reply.scores, expected, atol=0.02):
        raise _FailedError(f"scores {reply.scores} where its logits say {expected}")


def _saved_again(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as again:
        copied = Path(again)
        llm = _ours(folder)
        _Stock(folder).network.save_pretrained(copied)
        AutoProcessor.from_pretrained(folder).save_pretrained(copied)
        shutil.copy(folder / "stsg.json", copied)
        requests = (*_SINGLE, *_SEVERAL)
        if _texts(llm, requests) != _texts(_ours(copied), requests):
            raise _FailedError("says something else after it was saved and loaded")


def _trained(folder: Path, lora: Lora | None) -> None:
    if fault := step_fault(folder, _YES_NO, lora):
        raise _FailedError(fault)


CHECKS: dict[str, Callable[[Path], str | None]] = {
    "one frame": lambda folder: _as_generate(folder, _SINGLE),
    "several frames": lambda folder: _as_generate(folder, _SEVERAL),
    "video": _video,
    "batch": _batched,
    "shared prefix": _shared,
    "yes/no": _scored,
    "save and load": _saved_again,
    "training": lambda folder: _trained(folder, None),
    "LoRA": lambda folder: _trained(folder, Lora(rank=4, alpha=8.0, dropout=0.0)),
}
