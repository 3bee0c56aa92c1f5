"""Video-LLMs tried before they are used: `classes` that are promised to work, and whether one will `fit` this device."""

import argparse
import json
import sys
import warnings
from dataclasses import asdict
from pathlib import Path

import torch
from transformers.utils import logging

from model.backends import SpecError
from model.video_llm import VideoLLMError
from trainer.conformance.checkpoints import FAMILIES
from trainer.conformance.checks import check_own, conformance, table
from trainer.conformance.fit import fit, told


def main() -> int:
    """Parse the arguments, do what is asked, print; 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m trainer.conformance", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    classes = commands.add_parser("classes", help="every check on a small checkpoint of each class")
    classes.add_argument("names", nargs="*", help=f"some of: {', '.join(f.name for f in FAMILIES)}")
    classes.add_argument("--folder", type=Path, help="check this checkpoint")
    fits = commands.add_parser("fit", help="memory, tokens, prompts and time")
    fits.add_argument("spec", help="hf:<folder or id> or openai:<url>#<name>")
    fits.add_argument("--width", type=int, default=1280, help="of your videos' frames")
    fits.add_argument("--height", type=int, default=720)
    fits.add_argument("--no-measure", dest="measure", action="store_false", help="don't load the model to time it")
    for command in (classes, fits):
        command.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    return _classes(given) if given.command == "classes" else _fit(given)


def _classes(given: argparse.Namespace) -> int:
    if unknown := sorted(set(given.names) - {f.name for f in FAMILIES}):
        print(f"Unknown: {', '.join(unknown)}. Known: {', '.join(f.name for f in FAMILIES)}.", file=sys.stderr)
        return 2
    torch.set_num_threads(1)  # networks this small gain nothing from more
    wanted = [f for f in FAMILIES if not given.names or f.name in given.names]
    found = [check_own(given.folder)] if given.folder else conformance(wanted)
    print(json.dumps([asdict(one) for one in found], indent=1) if given.json else table(found))
    return 0 if all(one.passed for one in found) else 1


def _fit(given: argparse.Namespace) -> int:
    try:
        found = fit(given.spec, (given.width, given.height), measure=given.measure)
    except (SpecError, VideoLLMError) as e:
        print(e, file=sys.stderr)
        return 1
    print(json.dumps(asdict(found) | {"fits": found.fits}, indent=1) if given.json else told(found))
    return 0 if found.fits else 1


if __name__ == "__main__":
    sys.exit(main())
