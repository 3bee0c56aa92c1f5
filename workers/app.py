"""The Celery application: queues, and settings under which no work is lost and none is done twice at once.

A message is only a wake-up for a job whose record is in Neo4j, so the broker may lose or double it.
"""

from typing import Any

from celery import Celery
from celery.signals import after_setup_logger, worker_process_init, worker_ready, worker_shutting_down
from kombu import Exchange, Queue

from workers.queues import QUEUES
from workers.secrecy import guard_logs
from workers.settings import settings

_BROKER = settings().redis_url.get_secret_value() or "redis://127.0.0.1:6379/0"
_held: list[object] = []  # open as long as this process lives
app = Celery("stsg", broker=_BROKER, include=["workers.tasks"])
app.conf.update(
    task_queues=[Queue(name, Exchange(name), routing_key=name) for name in QUEUES],
    task_default_queue="cpu",
    task_acks_late=True,
    task_reject_on_worker_lost=False,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_pool_start_method="spawn",  # CUDA does not survive a fork
    worker_proc_alive_timeout=120,  # a spawned process imports everything anew; the default of 4 s kills it over and over
    worker_cancel_long_running_tasks_on_connection_loss=False,  # the lease decides, not the broker
    worker_soft_shutdown_timeout=20,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        "visibility_timeout": 3600,
        "unacked_restore_interval": 2,
        "socket_timeout": 2,  # a broker that hangs costs a caller no more
        "socket_connect_timeout": 2,
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.2,
        "interval_max": 0.5,
    },
)


@worker_process_init.connect
def _be_known(**_: object) -> None:
    from workers import leftovers

    guard_logs()
    _held.append(leftovers.hold(settings().home))  # a spawned process gets no open file of its parent


@after_setup_logger.connect
def _guard_logs(**_: object) -> None:
    guard_logs()


@worker_ready.connect
def _reconcile(sender: Any = None, **_: object) -> None:
    from workers import children, reconciler

    children.watch(getattr(sender, "pool", None))
    reconciler.start()


@worker_shutting_down.connect
def _rest(**_: object) -> None:
    from workers import reconciler, training

    reconciler.stop()
    training.ENDING.set()
