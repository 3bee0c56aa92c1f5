"""The judge of open answers that Video-ChatGPT introduced and Video-LLaVA, VILA and STEP use (STEP Sec. 4.1).

The prompt is kept word for word from `quantitative_evaluation/evaluate_activitynet_qa.py` of mbzuai-oryx/Video-ChatGPT, as
public scores depend on it; its example mark of 4.8 is not the integer that it asks for. The official reading has
faults that the strict one (the default) lacks: "yes" anywhere in `pred` passes, so "yes/no" does; a mark is cut to
an integer; a verdict of neither word leaves the denominator; a reply that is no dictionary is asked for again without end.
"""

import ast
import re
from typing import Any

from model.replies import spoken
from trainer.benchmarks.items import Item, JudgePrompt, Outcome, Scoring

MARKS = range(6)
_LONGEST = 4096  # characters of a verdict
_DICTIONARY = re.compile(r"\{[^{}]*\}")

VIDEO_CHATGPT = JudgePrompt(
    system=(
        "You are an intelligent chatbot designed for evaluating the correctness of generative outputs for"
        " question-answer pairs. Your task is to compare the predicted answer with the correct answer and determine if"
        " they match meaningfully. Here's how you can accomplish the task:------##INSTRUCTIONS: - Focus on the"
        " meaningful match between the predicted answer and the correct answer.\n- Consider synonyms or paraphrases as"
        " valid matches.\n- Evaluate the correctness of the prediction compared to the answer."
    ),
    user=(
        "Please evaluate the following video-based question-answer pair:\n\nQuestion: {question}\nCorrect Answer:"
        " {answer}\nPredicted Answer: {reply}\n\nProvide your evaluation only as a yes/no and score where the score is"
        " an integer value between 0 and 5, with 5 indicating the highest meaningful match. Please generate the"
        " response in the form of a Python dictionary string with keys 'pred' and 'score', where value of 'pred' is "
        " a string of 'yes' or 'no' and value of 'score' is in INTEGER, not STRING.DO NOT PROVIDE ANY OTHER OUTPUT"
        " TEXT OR EXPLANATION. Only provide the Python dictionary string. For example, your response should look like"
        " this: {'pred': 'yes', 'score': 4.8}."
    ),
)


def judged(official: bool = False) -> Scoring:
    """Every answer goes to the judge; accuracy is the share of yes, beside the mean mark."""
    return Scoring(_no_rule, VIDEO_CHATGPT, _official if official else _strict)


def _no_rule(_item: Item, reply: str) -> Outcome | None:
    return None if reply.strip() else Outcome(right=False, read=False, score=0)


def _strict(_item: Item, reply: str) -> Outcome | None:
    found = _DICTIONARY.findall(spoken(reply).text[:_LONGEST])
    told = _literal(found[0]) if len(found) == 1 else None
    if not isinstance(told, dict) or str(told.get("pred")).strip().lower() not in ("yes", "no"):
        return None
    mark = told.get("score")
    if isinstance(mark, bool) or not isinstance(mark, int | float) or mark not in MARKS:
        return None
    return Outcome(str(told["pred"]).strip().lower() == "yes", score=int(mark))


def _official(_item: Item, reply: str) -> Outcome | None:
    told = _literal(reply)
    try:
        mark, pred = int(told["score"]), told["pred"].lower()
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError):
        return None
    return Outcome("yes" in pred, score=mark, counts="yes" in pred or "no" in pred)


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text[:_LONGEST].strip())
    except (MemoryError, RecursionError, SyntaxError, ValueError):
        return None
