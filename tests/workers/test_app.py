"""The Celery application: settings under which no work is lost, and a task on a queue for each stage of a job."""

from workers import flows, queues
from workers.app import app
from workers.queues import QUEUES


def test_no_work_is_lost_with_its_worker_and_none_is_hoarded() -> None:
    assert app.conf.task_acks_late and app.conf.worker_prefetch_multiplier == 1
    assert app.conf.worker_pool_start_method == "spawn"
    assert {queue.name for queue in app.conf.task_queues} == set(QUEUES)


def test_every_stage_has_its_task_and_its_queue() -> None:
    app.loader.import_default_modules()
    assert {task for task, _ in queues.TASKS.values()} == {name for name in app.tasks if name.startswith("stsg.")}
    assert {queue for _, queue in queues.TASKS.values()} | set(queues.SOON.values()) | {
        queues.LONG,
        queues.REMOTE,
    } == set(QUEUES)
    assert set(queues.TASKS) == set(flows._STAGES)
