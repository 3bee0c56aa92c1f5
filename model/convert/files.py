"""Weights as others publish them, read safely, and checkpoints that `hf:` loads, written whole or not at all."""

import pickle
import shutil
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers.pre_tokenizers import Metaspace
from torch import Tensor
from transformers import (
    AddedToken,
    AutoModelForImageTextToText,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerFast,
)

from model import durable

_PICKLED = (".pth", ".pt", ".bin", ".ckpt")
_WRAPPERS = ("model", "module", "state_dict")  # what trainers put the weights under
_SETTINGS = (OrderedDict, "utils.easydict.EasyDict")  # of VideoChat2's trainer, which saves them with the weights
_TOLD = 8  # names in an error


class ConversionError(ValueError):
    """A checkpoint that can't be converted; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written, and what of the published weights the network has no place for."""

    network: str
    parameters: int
    read: tuple[str, ...]  # files, in the order in which later ones replace what earlier ones hold
    left_over: tuple[str, ...]


def weight_files(folder: Path) -> list[Path]:
    """The files of weights in a folder, safetensors alone where it holds both kinds."""
    safe = sorted(folder.glob("*.safetensors"))
    return safe or sorted(f for f in folder.iterdir() if f.suffix in _PICKLED and f.name != "training_args.bin")


def read_weights(file: Path) -> dict[str, Tensor]:
    """A file's tensors by name; no code in it runs.

    Raises:
        ConversionError: it holds something else than tensors and plain values, or can't be read.
    """
    if file.suffix == ".safetensors":
        return dict(load_file(file))
    try:
        with torch.serialization.safe_globals([_SETTINGS]):
            found = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as e:
        raise ConversionError(
            f"{file} is damaged, or holds more than tensors, which could run code when it is read. Where you trust it, "
            "save its weights alone as safetensors."
        ) from e
    while isinstance(found, dict) and (inner := next((found[k] for k in _WRAPPERS if _is_state(found.get(k))), None)):
        found = inner
    if not isinstance(found, dict):
        raise ConversionError(f"{file} holds no weights by name.")
    return {name: value for name, value in found.items() if isinstance(value, Tensor)}


def _is_state(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(v, Tensor | dict) for v in value.values())


def read_folder(folder: Path) -> dict[str, Tensor]:
    """All weights of a folder.

    Raises:
        ConversionError: there are none, or they can't be read safely.
    """
    if not folder.is_dir() or not (files := weight_files(folder)):
        raise ConversionError(f"{folder} holds no weights (*.safetensors or {', '.join('*' + s for s in _PICKLED)}).")
    return {name: value for file in files for name, value in read_weights(file).items()}


def tokenizer_with(folder: Path, media: Sequence[str]) -> Any:
    """A language network's tokenizer with tokens for media, after which a text begins anew.

    The published codes split a prompt at its media and tokenize each part by itself, so each begins with a space's sign.

    Raises:
        ConversionError: it is there as a SentencePiece model alone, and what reads such isn't installed.
    """
    if not (folder / "tokenizer.json").is_file() and find_spec("sentencepiece") is None:
        raise ConversionError(
            f"{folder} holds no tokenizer.json. To read its tokenizer.model: pip install sentencepiece protobuf"
        )
    loaded = AutoTokenizer.from_pretrained(folder)
    spaces = loaded.backend_tokenizer.pre_tokenizer
    if isinstance(spaces, Metaspace):
        spaces.prepend_scheme = "always"
    loaded.add_tokens([AddedToken(token, special=True, normalized=False) for token in media])
    kinds = ("bos_token", "eos_token", "unk_token", "pad_token")
    named = {kind: getattr(loaded, kind) for kind in kinds if getattr(loaded, kind) is not None}
    return PreTrainedTokenizerFast(tokenizer_object=loaded.backend_tokenizer, **named)


def layers(names: Sequence[str], before: str) -> list[int]:
    """The numbers that follow a prefix in these names."""
    return sorted({int(n[len(before) :].partition(".")[0]) for n in names if n.startswith(before)})


def write(
    target: Path, config: Any, state: Mapping[str, Tensor], processor: Any, read: Sequence[str], others: Sequence[str]
) -> Converted:
    """Writes a checkpoint from weights by our names, in the type of the language network's numbers.

    `others` are published names that have no name here.

    Raises:
        ConversionError: weights are missing or of another shape, or there is something at the target.
    """
    if target.exists() and any(target.iterdir()):
        raise ConversionError(f"There is something in {target}; name a new folder.")
    with torch.device("meta"):
        network = AutoModelForImageTextToText.from_config(config)
    wanted = network.state_dict()
    if faults := list(_faults(wanted, state)):
        more = f" and {len(faults) - _TOLD} more" if len(faults) > _TOLD else ""
        raise ConversionError(f"These weights don't fit: {'; '.join(faults[:_TOLD])}{more}.")
    dtype = state["model.language_model.embed_tokens.weight"].dtype
    network.load_state_dict({name: state[name].to(dtype) for name in wanted}, assign=True)
    network.config.dtype = dtype
    text = config.text_config
    pad = text.eos_token_id if text.pad_token_id is None else text.pad_token_id
    network.generation_config = GenerationConfig(eos_token_id=text.eos_token_id, pad_token_id=pad)
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    network.save_pretrained(part)
    processor.save_pretrained(part)
    if target.exists():
        target.rmdir()
    durable.settle(part, target)
    left_over = (*others, *sorted(set(state) - set(wanted)))
    return Converted(type(network).__name__, sum(p.numel() for p in network.parameters()), tuple(read), left_over)


def _faults(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Iterator[str]:
    for name, value in wanted.items():
        if name not in state:
            yield f"{name} is missing"
        elif state[name].shape != value.shape:
            yield f"{name} is {tuple(state[name].shape)} and must be {tuple(value.shape)}"
