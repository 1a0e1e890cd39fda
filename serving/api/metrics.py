"""What the server tells Prometheus; nothing here names a user."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from serving.api.holder import ModelHolder
from serving.api.scorer import Answer
from serving.api.worker import Worker

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0)
SHARES = (0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class Metrics:
    """Counters and gauges of one server.

    Parameters
    ----------
    holder, worker
        What is observed when the metrics are read.
    """

    def __init__(self, holder: ModelHolder, worker: Worker) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "segmenter_requests", "Requests.", ("route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "segmenter_request_seconds",
            "Time to the answer.",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.assigned = Counter(
            "segmenter_assigned_users", "Users by segment.", ("segment",), registry=self.registry
        )
        self.unanswered = Counter(
            "segmenter_unanswered_users", "Users without an answer.", registry=self.registry
        )
        self.strength = Histogram(
            "segmenter_strength", "Strengths.", buckets=SHARES, registry=self.registry
        )
        self.model = Gauge(
            "segmenter_model",
            "1 for the model in use.",
            ("label", "sha256"),
            registry=self.registry,
        )
        self.exchanges = Counter(
            "segmenter_model_exchanges", "Exchanges of the model.", registry=self.registry
        )
        self.refusals = Counter(
            "segmenter_model_refusals", "Newer models that were refused.", registry=self.registry
        )
        self._gauge("segmenter_waiting_requests", "Requests in work.", lambda: worker.n_admitted)
        self._gauge(
            "segmenter_model_update_refused",
            "1 while a newer model is refused.",
            lambda: holder.refusal is not None,
        )
        self.show_model(holder)

    def _gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        Gauge(name, text, registry=self.registry).set_function(read)

    def show_model(self, holder: ModelHolder) -> None:
        """Name the model in use."""
        self.model.clear()
        self.model.labels(holder.current.label, holder.current.resolved.digest).set(1)

    def count_answers(self, answers: Iterable[Answer]) -> None:
        """Count users by segment."""
        for answer in answers:
            if not isinstance(answer, dict):
                self.unanswered.inc()
            elif "segment_id" in answer:
                self.assigned.labels(answer["segment_id"]).inc()
                self.strength.observe(answer["strength"])

    def text(self) -> bytes:
        """Everything in Prometheus' text form."""
        return generate_latest(self.registry)
