"""Rationale learning (STEP Sec. 3.2): the loss, the trainer and the process that fine-tunes a Video-LLM."""
