"""Celery tasks: shells around the flows."""

import os

from workers import flows
from workers.app import app
from workers.children import owner_of
from workers.runtime import service


def _work(job_id: str, stage: str) -> None:
    flows.work(service(), job_id, owner_of(os.getpid()), (stage,))


@app.task(name="stsg.split")
def split(job_id: str) -> None:
    """Cut a video into clips and keyframes; the run then goes on where the model is."""
    _work(job_id, "split")


@app.task(name="stsg.induce")
def induce(job_id: str) -> None:
    """Make the graph of a run from its keyframes."""
    _work(job_id, "induce")


@app.task(name="stsg.polish")
def polish(job_id: str) -> None:
    """Rewrite and filter a QRA data set where the model is."""
    _work(job_id, "polish")


@app.task(name="stsg.evaluate")
def evaluate(job_id: str) -> None:
    """Ask a model a benchmark's questions."""
    _work(job_id, "evaluate")


@app.task(name="stsg.qra")
def qra(job_id: str) -> None:
    """Sample a QRA data set."""
    _work(job_id, "qra")


@app.task(name="stsg.rehearse")
def rehearse(job_id: str) -> None:
    """Tell what a training would take."""
    _work(job_id, "rehearse")


@app.task(name="stsg.train")
def train(job_id: str) -> None:
    """Watch over a training, whose process is its own."""
    _work(job_id, "train")
