"""A stand-in for the training process: it keeps the contract of its folder and trains nothing. `python stand_in.py FOLDER`."""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[1])
SPEC = json.loads((FOLDER / "spec.json").read_text())
TOTAL = SPEC["max_steps"]
ASKED: list[int] = []


def put(name: str, value: Any) -> None:
    part = FOLDER / f"{name}.part"
    part.write_text(json.dumps(value))
    part.rename(FOLDER / name)


def add(name: str, row: dict[str, Any]) -> None:
    with (FOLDER / name).open("a") as file:
        file.write(json.dumps({"time": time.time(), **row}) + "\n")


def save(target: Path, step: int, weights: str) -> None:
    part = target.with_name(f".{target.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    (part / "weights").write_text(weights)
    (part / "complete.json").write_text(json.dumps({"step": step}))
    if not target.exists():
        part.rename(target)


def main() -> dict[str, Any]:
    rows = (FOLDER / "train.jsonl").read_text()
    (FOLDER / "result.json").unlink(missing_ok=True)
    found = sorted((FOLDER / "checkpoints").glob("step-*/complete.json"))
    step, weights = (
        (json.loads(found[-1].read_text())["step"], (found[-1].parent / "weights").read_text()) if found else (0, "")
    )
    add("events.jsonl", {"level": "info", "event": "begun", "message": f"Begun at step {step}."})
    while step < TOTAL:
        step += 1
        weights = hashlib.sha256(f"{weights}{step}{rows}".encode()).hexdigest()
        add("metrics.jsonl", {"step": step, "epoch": 0.1, "loss": 2.0 / step, "loss_answer": 1.0 / step, "loss_rationale": 1.0 / step, "learning_rate": 1e-4, "tokens_per_second": 9.0, "eta_seconds": 1.0})  # fmt: skip
        put("heartbeat.json", {"pid": os.getpid(), "started": 0.0, "step": step, "total": TOTAL})
        if step % SPEC["save_every"] == 0 or ASKED:
            save(FOLDER / f"checkpoints/step-{step:06}", step, weights)
            add("metrics.jsonl", {"step": step, "validation": {"1": {"count": 4, "correct": 3}}})
        if ASKED:
            wish = FOLDER / "stop.json"
            state = json.loads(wish.read_text())["state"] if wish.exists() else "interrupted"
            return {"state": state, "step": step, "model": f"checkpoints/step-{step:06}"}
        if SPEC["instruction_answer"] == "die" and step == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        if SPEC["instruction_answer"] == "nan" and step == 7:
            error = {"code": "nan_loss", "detail": "The loss is NaN.", "remedy": "Lower the rate."}
            return {"state": "failed", "step": step, "error": error, "model": "checkpoints/step-000005"}
        if SPEC["instruction_answer"] == "hang" and step == 7 and not (FOLDER / "hung").exists():
            (FOLDER / "hung").touch()
            time.sleep(100)
        time.sleep(0.03)
    save(FOLDER / "model", step, weights)
    return {"state": "succeeded", "step": step, "model": "model"}


if __name__ == "__main__":
    deaf = SPEC["instruction_answer"] == "deaf"
    signal.signal(signal.SIGTERM, signal.SIG_IGN if deaf else lambda *_: ASKED.append(1))
    print("here I am")
    if "--dry-run" in sys.argv:
        print(json.dumps({"samples": 3, "steps": TOTAL}, indent=1))
    else:
        result = main()
        put("result.json", {"total": TOTAL, "error": None, "metrics": {"loss": 0.1}} | result)
        sys.exit(result["state"] == "failed")
