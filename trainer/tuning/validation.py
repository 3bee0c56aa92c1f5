"""Accuracy by number of steps on held-out rows: the model in training answers, as the finished one will."""

from collections.abc import Sequence
from typing import Any

import torch

from model.backends.hf import HuggingFaceVideoLLM
from model.rationale.formats import instructed
from model.video_llm import Request
from trainer.evaluation.scoring import correct
from trainer.tuning.collate import keyframes, question
from trainer.tuning.data import Sample
from trainer.tuning.networks import Tuned
from trainer.tuning.spec import TuningSpec
from trainer.tuning.stop import Stop

_AT_ONCE = 16  # rows between two looks at whether to stop
_MOST_NEW = 64


class Validation:
    """The rows, and the network as a Video-LLM."""

    def __init__(self, spec: TuningSpec, tuned: Tuned, samples: Sequence[Sample], stop: Stop) -> None:
        self._spec, self._tuned, self._samples, self._stop = spec, tuned, samples, stop

    def run(self, accelerator: Any) -> dict[str, dict[str, int]]:
        """Rows and right answers by number of steps; every process answers its share.

        Raises:
            Stopped: the training was asked to stop.
        """
        if not self._samples:
            return {}
        self._tuned.trained.eval()
        model = HuggingFaceVideoLLM.holding(self._tuned.network, self._tuned.processor, self._tuned.ways)
        own = self._samples[accelerator.process_index :: accelerator.num_processes]
        kinds = sorted({s.steps for s in self._samples})
        counts = torch.zeros(len(kinds), 2)
        for at in range(0, len(own), _AT_ONCE):
            if accelerator.num_processes == 1:
                self._stop.check()
            part = own[at : at + _AT_ONCE]
            for sample, reply in zip(part, model.answer([self._request(s) for s in part]), strict=True):
                counts[kinds.index(sample.steps)] += torch.tensor(
                    [1.0, correct(reply.text, sample.answer, sample.options)]
                )
        told = accelerator.reduce(counts.to(accelerator.device), "sum").tolist()
        return {str(k): {"count": int(n), "correct": int(right)} for k, (n, right) in zip(kinds, told, strict=True)}

    def _request(self, sample: Sample) -> Request:
        text = instructed(question(sample, self._tuned.ways), self._spec.instruction_answer)
        return Request("validation", text, keyframes(sample), max_new_tokens=_MOST_NEW)
