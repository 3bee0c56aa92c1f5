"""`python -m trainer.conformance` tries every Video-LLM class that is promised to work, or a checkpoint of your own."""

import argparse
import json
import sys
import warnings
from dataclasses import asdict
from pathlib import Path

import torch
from transformers.utils import logging

from trainer.conformance.checkpoints import FAMILIES
from trainer.conformance.checks import check_own, conformance, table


def main() -> int:
    """Parse the arguments, check, print; 1 where a check failed."""
    parser = argparse.ArgumentParser(prog="python -m trainer.conformance", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"some of: {', '.join(f.name for f in FAMILIES)}")
    parser.add_argument("--folder", type=Path, help="check this checkpoint")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    if unknown := sorted(set(given.names) - {f.name for f in FAMILIES}):
        parser.error(f"unknown: {', '.join(unknown)}")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)  # networks this small gain nothing from more
    if given.folder:
        found = [check_own(given.folder)]
    else:
        found = conformance([f for f in FAMILIES if not given.names or f.name in given.names])
    print(json.dumps([asdict(one) for one in found], indent=1) if given.json else table(found))
    return 0 if all(one.passed for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
