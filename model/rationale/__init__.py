"""Stepwise Graph-driven Rationale Learning, the data side (STEP Sec. 3.2): paths become checked QRA samples."""
