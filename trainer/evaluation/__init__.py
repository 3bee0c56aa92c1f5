"""Accuracy of Video-LLMs by number of reasoning steps (STEP Sec. 4.1, Table 2), with every reply kept."""
