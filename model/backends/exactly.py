"""A network of 16 bits that computes in 32, so that two ways to one result differ by mistakes alone."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def in_32_bits(network: nn.Module) -> Iterator[None]:
    """While the block runs, the network computes in 32 bits; its own numbers come back unchanged.

    Of its layers only the one at work holds wide copies of its weights, so this takes little memory beside them.
    """
    layers = _layers(network)
    inside = {id(module) for layer in layers for module in layer.modules()}
    with ExitStack() as stack:
        for kind in ("cuda", "cpu"):
            stack.enter_context(torch.autocast(kind, enabled=False))
        if plain := vars(network).get("_original_forward"):  # accelerate has put its own autocast around it
            stack.callback(setattr, network, "forward", network.forward)
            network.forward = plain
        stack.enter_context(_Wide([module for module in network.modules() if id(module) not in inside]))
        stack.callback(network.register_forward_pre_hook(_widen_inputs, with_kwargs=True).remove)
        for layer in layers:
            wide = _Wide(list(layer.modules()))
            stack.callback(wide.narrow)
            stack.callback(layer.register_forward_pre_hook(wide.widen).remove)
            stack.callback(layer.register_forward_hook(wide.narrow, always_call=True).remove)
        yield


def _layers(network: nn.Module) -> list[nn.Module]:
    """What repeats in the network: the modules of its outermost lists."""
    found: list[nn.Module] = []
    for child in network.children():
        found += child if isinstance(child, nn.ModuleList) else _layers(child)
    return found


def _widen_inputs(
    _network: nn.Module, given: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return given, {name: value.float() if _is_short(value) else value for name, value in named.items()}


def _is_short(value: object) -> bool:
    return isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16)


class _Wide:
    """Modules whose numbers are replaced by wide copies for a while."""

    def __init__(self, modules: list[nn.Module]) -> None:
        self._modules = modules
        self._kept: list[tuple[Tensor, Tensor]] = []

    def widen(self, *_: object) -> None:
        for module in self._modules:
            for value in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                if _is_short(value):
                    self._kept.append((value, value.data))
                    value.data = value.data.float()

    def narrow(self, *_: object) -> None:
        for value, data in self._kept:
            value.data = data
        self._kept = []

    def __enter__(self) -> None:
        self.widen()

    def __exit__(self, *_: object) -> None:
        self.narrow()
