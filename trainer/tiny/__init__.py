"""The recipe of the tiny Video-LLM: a standard Qwen3-VL of 3.1 M parameters that learns to see the rendered world."""
