"""Prometheus metrics of the requests this process answered."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The numbers of one app; each app has its own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route")
        self.requests = Counter("stsg_http_requests", "Requests answered.", (*labels, "status"), registry=self.registry)
        self.seconds = Histogram(
            "stsg_http_seconds", "Seconds to the reply's first byte.", labels, buckets=_BUCKETS, registry=self.registry
        )
        self.received = Counter("stsg_upload_bytes", "Bytes of videos received.", registry=self.registry)
        self.jobs = Gauge("stsg_jobs", "Jobs in the ledger.", ("kind", "state"), registry=self.registry)

    def text(self) -> bytes:
        return generate_latest(self.registry)


class MeasureRequests:
    """Counts and times each request under its route's template, so that ids make no new series."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started = time.perf_counter()

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if route != "none" else "any"
                self.metrics.requests.labels(method, route, str(message["status"])).inc()
                self.metrics.seconds.labels(method, route).observe(time.perf_counter() - started)
            await send(message)

        return await self.app(scope, receive, measured)
