"""The paper's tables in miniature: what STEP's training does to a small model whose videos' truth is known (STEP Sec. 4)."""
