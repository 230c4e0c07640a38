"""A collector of OpenTelemetry: an HTTP server that decodes what it is sent."""

from __future__ import annotations

import gzip
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """What has come in. `raw` are the bodies as bytes."""

    def __init__(self) -> None:
        self.url = ""
        self.raw: list[bytes] = []
        self._traces: list[ExportTraceServiceRequest] = []
        self._metrics: list[ExportMetricsServiceRequest] = []

    def take(self, path: str, body: bytes) -> int:
        """Decode a request; the status of its answer."""
        kinds: dict[str, tuple[Any, list[Any]]] = {
            "/v1/traces": (ExportTraceServiceRequest, self._traces),
            "/v1/metrics": (ExportMetricsServiceRequest, self._metrics),
        }
        if path not in kinds:
            return 404
        kind, kept = kinds[path]
        kept.append(kind.FromString(body))
        self.raw.append(body)
        return 200

    def spans(self) -> list[Any]:
        return [
            span
            for batch in self._traces
            for resource in batch.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def resources(self) -> list[dict[str, Any]]:
        """What the spans' and metrics' senders say of themselves."""
        found: list[Any] = [each for batch in self._traces for each in batch.resource_spans]
        found += [each for batch in self._metrics for each in batch.resource_metrics]
        return [attributes(each.resource) for each in found]

    def metrics(self) -> dict[str, Any]:
        """The latest state of each metric, by name."""
        return {
            metric.name: metric
            for batch in self._metrics
            for resource in batch.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def attributes(carrier: Any) -> dict[str, Any]:
    """The attributes of a span, a data point or a resource."""
    return {each.key: _value(each.value) for each in carrier.attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    found = getattr(value, kind)
    return [_value(each) for each in found.values] if kind == "array_value" else found


@contextmanager
def collector(port: int = 0) -> Iterator[Collector]:
    """A collector at a port."""
    found = Collector()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            self.send_response(found.take(self.path, body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
