"""The network that is trained: a base from its safetensors, adapters on it, and ordinary checkpoints of it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForImageTextToText, AutoProcessor

from model.backends.devices import DeviceError, device
from model.backends.hf import load_ways, trusts
from model.backends.hf_prompts import Ways
from trainer.tuning.checkpoints import STATE
from trainer.tuning.spec import TuningError, TuningSpec

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_ADAPTER = "adapter.safetensors"


@dataclass(slots=True)
class Tuned:
    """A network on its way, with what it is asked with."""

    network: Any  # the ordinary class; adapters, if any, are inside
    trained: Any  # what the trainer holds: the network, or peft's wrapper of it
    processor: Any
    ways: Ways  # how it is asked
    told: Mapping[str, Any]  # the base's stsg.json, with how frames are shown in this training
    base_dtype: torch.dtype

    @property
    def longest(self) -> int | None:
        """How many tokens the model takes, as far as it says."""
        most = getattr(self.network.config.get_text_config(), "max_position_embeddings", None)
        return most if isinstance(most, int) else None


def open_network(spec: TuningSpec, checkpoint: Path | None = None) -> Tuned:
    """The base with fresh adapters, or all of it as a checkpoint of this training left it.

    Raises:
        TuningError: a base that is not there, or that is not safe to load; a GPU that can't be used.
    """
    _check_base(spec.base)
    try:
        short = device() == "cuda" and spec.lora is not None and not spec.exact
    except DeviceError as e:
        raise TuningError("no_device", "processes", str(e), "") from e
    gpus, here = torch.cuda.device_count(), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if 0 < gpus < here:
        detail = f"There are {here} processes, and this worker has {gpus} GPUs."
        raise TuningError("invalid_value", "processes", detail, "Ask for one process a GPU, or give the worker more.")
    dtype = torch.bfloat16 if short else torch.float32  # what is trained stays exact
    source = str(checkpoint) if checkpoint is not None and spec.lora is None else spec.base
    trusted = trusts(spec.base)
    try:
        network = AutoModelForImageTextToText.from_pretrained(
            source, dtype=dtype, use_safetensors=True, trust_remote_code=trusted
        )
        processor = AutoProcessor.from_pretrained(spec.base, trust_remote_code=trusted)
    except (OSError, ValueError) as e:
        detail = f"The base {spec.base} can't be loaded: {e}."
        raise TuningError("unknown_base", "base", detail, "Name a checkpoint that `hf:` loads.") from e
    if spec.shown_as == "video" and getattr(processor, "video_processor", None) is None:
        raise TuningError("invalid_value", "shown_as", f"{spec.base} takes no videos.", "Show it images.")
    file = Path(spec.base) / "stsg.json"
    told = json.loads(file.read_text()) if file.is_file() else {}
    shown = (("side", spec.size), ("frames", spec.shown_as), ("times", spec.tell_times))
    wanted: dict[str, Any] = {name: value for name, value in shown if value is not None}
    ways = replace(load_ways(spec.base, network.config.model_type), **wanted)
    tuned = Tuned(network, network, processor, ways, told | wanted, _stored_dtype(spec, network, dtype))
    if spec.lora is not None:
        _add_adapters(tuned, spec, checkpoint)
    return tuned


def _stored_dtype(spec: TuningSpec, network: Any, dtype: torch.dtype) -> torch.dtype:
    """The type of the base's numbers, in which the finished model is written."""
    stored = type(network.config).from_pretrained(spec.base).dtype
    if isinstance(stored, str):
        stored = getattr(torch, stored)
    return stored if isinstance(stored, torch.dtype) else dtype


def _check_base(base: str) -> None:
    folder = Path(base)
    if not folder.is_dir():
        if folder.exists() or folder.is_absolute() or base.startswith((".", "~")) or base.count("/") > 1:
            detail = f"There is no folder {base}."
            raise TuningError("unknown_base", "base", detail, "Name a folder with config.json and safetensors.")
        return
    if not (folder / "config.json").is_file():
        detail = f"{base} holds no config.json."
        raise TuningError("unknown_base", "base", detail, "Name a folder with config.json and safetensors.")
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(file.name for pattern in _PICKLES for file in folder.glob(pattern))
        if pickles:
            detail = f"{base} holds its weights as {', '.join(pickles)}, which may run code when they are loaded."
            raise TuningError("unsafe_base", "base", detail, "Convert them to safetensors where you trust them.")
        detail = f"{base} holds no weights."
        raise TuningError("unknown_base", "base", detail, "Name a folder with config.json and safetensors.")


def _add_adapters(tuned: Tuned, spec: TuningSpec, checkpoint: Path | None) -> None:
    assert spec.lora is not None
    decoder = tuned.network.get_decoder()
    inside = {id(m) for m in decoder.modules() if isinstance(m, nn.Linear)}
    targets = list(spec.lora.targets) or [n for n, m in tuned.network.named_modules() if id(m) in inside]
    given = LoraConfig(
        r=spec.lora.rank, lora_alpha=spec.lora.alpha, lora_dropout=spec.lora.dropout, target_modules=targets
    )
    torch.manual_seed(spec.seed)  # adapters begin at random
    try:
        tuned.trained = get_peft_model(tuned.network, given)
    except ValueError as e:
        detail = f"There are no layers {', '.join(targets)} that take adapters: {e}."
        raise TuningError("invalid_value", "lora.targets", detail, "Name linear layers of the model.") from e
    if checkpoint is not None:
        found = load_file(checkpoint / STATE / _ADAPTER)
        left = tuned.trained.load_state_dict(found, strict=False)
        assert not left.unexpected_keys


def save_network(tuned: Tuned, folder: Path) -> None:
    """An ordinary checkpoint: adapters merged, the processor and `stsg.json` beside it."""
    state = merged(tuned) if isinstance(tuned.trained, PeftModel) else None
    tuned.network.save_pretrained(folder, state_dict=state)
    tuned.processor.save_pretrained(folder)
    if tuned.told:
        (folder / "stsg.json").write_text(json.dumps(tuned.told) + "\n")


def save_adapters(tuned: Tuned, folder: Path) -> None:
    """The adapters alone, exactly as they are trained; nothing where all weights are."""
    if isinstance(tuned.trained, PeftModel):
        adapters = {n: p.detach().cpu() for n, p in tuned.trained.state_dict().items() if "lora_" in n}
        save_file(adapters, folder / _ADAPTER)


def save_finished(tuned: Tuned, folder: Path) -> None:
    """The finished model in the type of the base's numbers; the network is of no more use afterwards."""
    if isinstance(tuned.trained, PeftModel):
        state = merged(tuned)
        tuned.network = tuned.trained = tuned.trained.unload()
        tuned.network.load_state_dict(state)
    tuned.network.to(tuned.base_dtype)
    save_network(tuned, folder)


def merged(tuned: Tuned) -> dict[str, Tensor]:
    """The ordinary weights with all adapters added, in the base's type, while the network itself stays as it is.

    They are added in 32 bits, a layer at a time, and lie in the processor's memory: a GPU may have no room for them twice.
    """
    state = {}
    layers = {n: m for n, m in tuned.network.named_modules() if isinstance(m, LoraLayer)}
    for name, value in tuned.network.state_dict().items():
        owner, _, rest = name.rpartition(".base_layer.")
        if "lora_" in name:
            continue
        if owner in layers and rest == "weight":
            value = (value.float() + layers[owner].get_delta_weight("default").float()).to(value.dtype).cpu()
        state[f"{owner}.{rest}" if owner else name] = value
    return state


def trained_parameters(tuned: Tuned) -> int:
    """How many numbers are trained."""
    return sum(p.numel() for p in tuned.trained.parameters() if p.requires_grad)
