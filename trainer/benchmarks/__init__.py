"""Public benchmarks of video questions: readers of their official files, and their official scoring rules as pure functions."""
