"""`python -m trainer.tiny` trains the tiny Video-LLM from nothing, or goes on where a stopped training was."""

import argparse
from dataclasses import replace
from pathlib import Path

from torch.multiprocessing.spawn import spawn

from trainer.tiny.train import Recipe, work


def main() -> None:
    """Parse the arguments and start the processes."""
    parser = argparse.ArgumentParser(prog="python -m trainer.tiny", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".stsg/tiny"), help="checkpoints and the log")
    parser.add_argument("--target", type=Path, default=Path("model/checkpoints/tiny"), help="the finished model")
    parser.add_argument("--steps", type=int, default=Recipe().lesson_steps, help="steps of lessons")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    (given.folder / "rendezvous").unlink(missing_ok=True)
    recipe = replace(Recipe(), seed=given.seed, lesson_steps=given.steps)
    arguments = (given.processes, recipe, given.folder, given.target)
    spawn(work, arguments, nprocs=given.processes)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
