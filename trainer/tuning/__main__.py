"""`python -m trainer.tuning FOLDER` trains what FOLDER asks for, or goes on where a stopped training was."""

import argparse
import json
import multiprocessing
import sys
from pathlib import Path

from trainer.tuning.run import run
from trainer.tuning.spec import TuningError


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m trainer.tuning", description=__doc__)
    parser.add_argument("folder", type=Path, help="spec.json, train.jsonl, validation.jsonl and pictures")
    parser.add_argument("--dry-run", action="store_true", help="print what it would take, and train nothing")
    given = parser.parse_args()
    if (
        sys.platform == "linux"
    ):  # a server of forks would end with this process's group, and the batches' makers with it
        multiprocessing.set_start_method("fork", force=True)
    if not given.dry_run:
        return run(given.folder)
    from trainer.tuning.dry_run import estimate

    error = None
    try:
        told = estimate(given.folder)
    except TuningError as e:
        told = error = {"error": {"code": e.code, "field": e.field, "detail": e.detail, "remedy": e.remedy}}
    print(json.dumps(told))
    return 1 if error else 0


if __name__ == "__main__":
    sys.exit(main())
