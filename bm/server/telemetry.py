"""Traces and metrics by OpenTelemetry: what each request was, sent to a collector in OTLP over HTTP.

Names are those of the semantic conventions for generative AI in version 1.41.1 (status: development; read 2026-11-30),
the last release that holds them: they have moved to a repository of their own, semantic-conventions-genai, which has
published drafts only and still renames its metrics. Names of bm's own begin with `bm.`.

A request is handed to a queue when it has ended. A thread of this file makes spans of it, and threads of the library
send them in batches, so a request waits for nothing. Nothing of a prompt, an answer or a key is in a record.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from bm.chat.events import Usage
from bm.config.secrets import without_password
from bm.config.shared import node_name
from bm.errors import ConfigError
from bm.gateway.record import MAX_TEXT, AttemptRecord, Record
from bm.gateway.services import Services
from bm.names import EMBEDDINGS, PATHS, Operation
from bm.server.metrics import DURATION, FIRST_CONTENT

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

MOST_WAITING: Final = 2_000
"""Records that wait to become spans; further ones are dropped, and counted."""
PATIENCE: Final = 3.0
"""Seconds in which the last spans are sent at the end."""
TOKENS: Final = tuple(4.0**power for power in range(14))
"""The buckets that the conventions recommend for counts of tokens."""
_NS: Final = 1_000_000_000
_PROVIDERS: Final = {"gemini": "gcp.gemini", "gemini-openai": "gcp.gemini", "mistral": "mistral_ai", "xai": "x_ai"}
"""The conventions' well-known values where they differ from the names that bm uses."""
_log = logging.getLogger("bm")


def telemetry_of(services: Services, version: str) -> Telemetry | None:
    """What is sent to the collector that the settings name, from now on; None if they name none.

    Raises:
        ConfigError: the extra is not installed.
    """
    config = services.config
    if not config.telemetry.endpoint:
        return None
    found = Telemetry(config.telemetry.endpoint, node_name(config.shared), version, services.mask)
    services.calls.observers.append(found.observe)
    return found


class Telemetry:
    """Sends what has ended to `endpoint`, the base URL of a collector. `mask` hides keys, should a client have written
    one in a model's name."""

    def __init__(self, endpoint: str, node: str, version: str, mask: Callable[[str], str]) -> None:
        """
        Raises:
            ConfigError: the extra is not installed.
        """
        try:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
        except ImportError:
            remedy = "pipx inject better-manager opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
            hint = f"{remedy}, or pip install 'better-manager[telemetry]'"
            raise ConfigError("OpenTelemetry is not installed", key="telemetry.endpoint", hint=hint) from None
        # Every failure would be logged by the library, once per batch and with its own idea of a text.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        self._mask = mask
        self.dropped = 0
        base, connection = endpoint.rstrip("/"), Connection(endpoint)
        names = {"service.name": "better-manager", "service.version": version, "service.instance.id": node}
        resource = Resource.create(names)
        self._traces = _tracing(resource, connection.watched(OTLPSpanExporter(endpoint=f"{base}/v1/traces")))
        self._metrics = _metering(resource, connection.watched(OTLPMetricExporter(endpoint=f"{base}/v1/metrics")))
        self._tracer = self._traces.get_tracer("better-manager", version)
        self._histograms = _histograms(self._metrics.get_meter("better-manager", version))
        self._waiting: queue.Queue[Record | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name="telemetry", daemon=True)
        self._thread.start()

    def observe(self, record: Record) -> None:
        """A call has ended. Never waits and never raises."""
        try:
            self._waiting.put_nowait(record)
        except queue.Full:
            if not self.dropped:
                _log.warning(
                    "requests end faster than spans are made of them: some are missing from traces and metrics"
                )
            self.dropped += 1

    def close(self) -> None:
        """Send what waits, for `PATIENCE` seconds at most. Not for the event loop."""
        ending = threading.Thread(target=self._end, name="telemetry ends", daemon=True)
        ending.start()
        ending.join(PATIENCE)

    def _end(self) -> None:
        self._waiting.put(None)
        self._thread.join()
        self._traces.shutdown()
        self._metrics.shutdown()

    def _work(self) -> None:
        while (record := self._waiting.get()) is not None:
            try:
                self._export(record)
            except Exception:  # noqa: BLE001 one odd record must not end the thread
                _log.warning("a request could not be turned into spans", exc_info=True)

    def _export(self, record: Record) -> None:
        from opentelemetry.trace import SpanKind, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        at = int(record.at * _NS)
        name, facts = self._request(record)
        before = TraceContextTextMapPropagator().extract({"traceparent": record.traceparent})
        span = self._tracer.start_span(name, before, SpanKind.SERVER, facts, start_time=at)
        inside = set_span_in_context(span)
        for attempt, usage in _with_usage(record):
            began = at + int(attempt.at * _NS)
            called, details = self._attempt(record, attempt, usage)
            child = self._tracer.start_span(
                called, context=inside, kind=SpanKind.CLIENT, attributes=details, start_time=began
            )
            _close(child, details, began + int(attempt.took * _NS))
            self._count_attempt(attempt, details, usage)
        _close(span, facts, at + int(record.took * _NS))
        self._count_request(record, facts)

    def _request(self, record: Record) -> tuple[str, dict[str, Any]]:
        """Name and attributes of the span of a client's request, by the conventions for HTTP servers."""
        route = PATHS.get((record.protocol, record.operation), f"/{{version}}/models/{{model}}:{record.operation}")
        error = "client_left" if record.client_left else record.failure.kind if record.failure else ""
        facts: dict[str, Any] = {
            "http.request.method": "POST",
            "http.route": route,
            "http.response.status_code": record.status or 499,
            "gen_ai.operation.name": _operation(record.operation, record.protocol),
            "gen_ai.request.model": self._mask(record.model)[:MAX_TEXT],
            "bm.request.id": record.id,
            "bm.protocol": record.protocol,
            "bm.key": record.key,
            "bm.attempts": len(record.attempts),
            "bm.continuations": record.continuations,
        }
        if record.target is not None:
            facts["gen_ai.provider.name"] = _provider(record.target.provider)
            facts["gen_ai.response.model"] = record.target.model
        if error:
            facts["error.type"] = error
        return f"POST {route}", facts

    def _attempt(self, record: Record, attempt: AttemptRecord, usage: Usage | None) -> tuple[str, dict[str, Any]]:
        """Name and attributes of the span of an upstream call."""
        target, operation = attempt.target, _operation(record.operation, attempt.target.protocol)
        facts: dict[str, Any] = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": _provider(target.provider),
            "gen_ai.request.model": target.model,
            "gen_ai.request.stream": record.stream,
            "bm.account": target.account,
            "bm.outcome": attempt.outcome or "unfinished",
        }
        if attempt.status:
            facts["http.response.status_code"] = attempt.status
        if attempt.outcome != "answered":
            facts["error.type"] = attempt.outcome or "unfinished"
        elif record.finish:
            facts["gen_ai.response.finish_reasons"] = (record.finish,)
        if usage is not None:
            facts |= {
                "gen_ai.usage.input_tokens": usage.prompt,
                "gen_ai.usage.output_tokens": usage.output,
                "gen_ai.usage.cache_read.input_tokens": usage.cache_read,
                "gen_ai.usage.cache_creation.input_tokens": usage.cache_write,
                "gen_ai.usage.reasoning.output_tokens": usage.thinking,
            }
        return f"{operation} {target.model}", facts

    def _count_request(self, record: Record, facts: dict[str, Any]) -> None:
        kept = ("gen_ai.operation.name", "gen_ai.provider.name", "http.response.status_code", "error.type")
        labels = {name: facts[name] for name in kept if name in facts}
        self._histograms["gen_ai.server.request.duration"].record(record.took, labels)
        if record.first_content is not None:
            self._histograms["gen_ai.server.time_to_first_token"].record(record.first_content, labels)

    def _count_attempt(self, attempt: AttemptRecord, facts: dict[str, Any], usage: Usage | None) -> None:
        kept = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "error.type")
        labels = {name: facts[name] for name in kept if name in facts}
        self._histograms["gen_ai.client.operation.duration"].record(attempt.took, labels)
        for kind, tokens in (("input", usage.prompt), ("output", usage.output)) if usage else ():
            self._histograms["gen_ai.client.token.usage"].record(tokens, {**labels, "gen_ai.token.type": kind})


class Connection:
    """Whether the collector takes what it is sent, which the log says when it changes."""

    def __init__(self, endpoint: str) -> None:
        self._place = without_password(endpoint)
        self.away = False

    def watched(self, exporter: Any) -> Any:
        """The exporter, which reports here what becomes of each batch."""
        send = exporter.export

        def export(*arguments: Any, **options: Any) -> Any:
            result = send(*arguments, **options)
            self._seen(taken=result.value == 0)
            return result

        exporter.export = export
        return exporter

    def _seen(self, *, taken: bool) -> None:
        if taken == self.away:
            self.away = not taken
            if self.away:
                _log.warning("traces and metrics cannot be sent to %s ([telemetry] endpoint)", self._place)
            else:
                _log.info("traces and metrics are sent to %s again", self._place)


def _tracing(resource: Any, exporter: SpanExporter) -> Any:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _metering(resource: Any, exporter: MetricExporter) -> Any:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    return MeterProvider([PeriodicExportingMetricReader(exporter)], resource=resource, shutdown_on_exit=False)


def _histograms(meter: Any) -> dict[str, Any]:
    rows = (
        ("gen_ai.server.request.duration", "s", DURATION, "Time from a request to the end of its response."),
        ("gen_ai.server.time_to_first_token", "s", FIRST_CONTENT, "Time from a request to its first content."),
        ("gen_ai.client.operation.duration", "s", DURATION, "Time of an upstream call."),
        ("gen_ai.client.token.usage", "{token}", TOKENS, "Tokens of upstream calls."),
    )
    return {
        name: meter.create_histogram(name, unit, text, explicit_bucket_boundaries_advisory=list(bounds))
        for name, unit, bounds, text in rows
    }


def _with_usage(record: Record) -> Iterator[tuple[AttemptRecord, Usage | None]]:
    """The attempts, and what each has used: the answer's usage belongs to the call that has given it."""
    shares = dict(record.used())
    for attempt in record.attempts:
        answered = attempt.outcome == "answered"
        yield attempt, attempt.usage or (shares.pop(attempt.target, None) if answered else None)


def _close(span: Any, facts: dict[str, Any], at: int) -> None:
    from opentelemetry.trace import StatusCode

    if "error.type" in facts:
        span.set_status(StatusCode.ERROR)
    span.end(end_time=at)


def _operation(operation: Operation, protocol: str) -> str:
    if operation == "generate":
        return "generate_content" if protocol == "gemini" else "chat"
    return "embeddings" if operation in EMBEDDINGS else operation


def _provider(name: str) -> str:
    return _PROVIDERS.get(name, name)
