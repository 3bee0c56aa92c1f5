"""A run of which nothing could be read is no success: it fails with the reasons, by count, and what to do."""

from collections import Counter
from collections.abc import Mapping, Sequence

from model.induction.rejects import Reject
from workers.training_folder import JobError

_FEW = 8  # fewer replies of a stage say little; those on which all others rest are always looked at
_FIRST = ("parsing", "whole")
_NO_TEXT = {
    "empty": "were empty",
    "thoughts_only": "held thoughts alone",
    "tool_call": "were calls of tools",
    "cut_off": "were cut off before the first word",
}
_THOUGHTS = (
    "Switch the model's thinking off at its server, or raise the tokens that it may think for; then retry the job."
)
_TOOLS = "Have the server offer the model no tools; then retry the job."
_OTHER = "Read the run's trace, and name a model that follows the prompts; then retry the job."


def check_read(steps: Sequence[str], rejects: Sequence[Reject], share: float) -> None:
    """Check that enough of each stage's replies could be read.

    Args:
        steps: the step of every reply, such as "parsing_1_1_narrative"; a stage is its first word.
        rejects: what could not be used of them.
        share: how much of a stage may be unread, above 0 and up to 1.

    Raises:
        JobError: no_replies where none had a text, unreadable_replies where too few could be read.
    """
    total = Counter(step.partition("_")[0] for step in steps)
    reasons: dict[str, Counter[str]] = {}
    for reject in rejects:
        if reject.unread:
            reasons.setdefault(reject.step.partition("_")[0], Counter())[reject.reason] += 1
    for stage, why in reasons.items():
        unread, all_ = why.total(), total[stage]
        if (unread >= all_ or unread > share * all_) and (stage in _FIRST or all_ >= _FEW):
            raise _error(stage, unread, all_, why)


def _error(stage: str, unread: int, total: int, why: Mapping[str, int]) -> JobError:
    told = ", ".join(f"{count} {_NO_TEXT.get(reason, reason)}" for reason, count in sorted(why.items()))
    detail = f"{unread} of {total} replies of {stage} could not be read: {told}."
    if not set(why) <= set(_NO_TEXT):
        return JobError("unreadable_replies", detail, _OTHER)
    return JobError("no_replies", detail, _TOOLS if "tool_call" in why else _THOUGHTS)
