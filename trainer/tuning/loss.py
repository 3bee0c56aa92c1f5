"""Explicit Rationales Supervision (STEP Sec. 3.2): L = L_answer + lambda L_rationale.

Shape suffixes: R rows of a batch, T tokens, K terms, two for each sample of the batch: its answer's and its rationale's.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

NO_TERM = -1


@dataclass(frozen=True, slots=True)
class Losses:
    """What a batch adds to a step's loss and to its two parts, the second before lambda."""

    total: Tensor
    answer: Tensor
    rationale: Tensor


def step_losses(nll: Tensor, terms: Tensor, *, samples: int, lambda_rationale: float) -> Losses:
    """Both sums of STEP Sec. 3.2 over a part of an optimiser step of N = `samples` samples.

    l(f(x, q, i), target) is the mean negative log-likelihood of the target's tokens, so that a long rationale weighs no
    more than a short answer. N counts the samples of the whole step, in all its parts and processes: the value does not
    depend on how the step is cut up. A sample without a rationale has no term of its own there, yet counts in N.

    Args:
        nll: R x T, negative log-likelihood of each token.
        terms: R x T, 2k for a token of sample k's answer, 2k + 1 for one of its rationale, else NO_TERM.
        samples: N of the paper's formulas.
        lambda_rationale: lambda.
    """
    learned = terms != NO_TERM
    which, values = terms[learned], nll[learned].float()
    count = int(which.max()) + 1 if which.numel() else 0
    sums = values.new_zeros(count).index_add(0, which, values)
    tokens = torch.bincount(which, minlength=count).clamp(min=1)
    means = sums / tokens
    answer, rationale = means[0::2].sum() / samples, means[1::2].sum() / samples
    return Losses(answer + lambda_rationale * rationale, answer, rationale)
