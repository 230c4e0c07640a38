"""Metrics for Prometheus, updated once per request when it ends.

Names and labels follow OpenTelemetry's semantic conventions for generative AI where they exist, with `_` for `.`;
others begin with `bm_`. No label contains a value chosen by clients: model labels name the model that answered.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from bm.accounts.report import State
from bm.gateway.record import Record
from bm.keys.spending import Budget

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

DURATION: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_CONTENT: Final = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The buckets recommended by the conventions, in seconds."""

_REQUEST = ("bm_protocol", "gen_ai_operation_name", "gen_ai_provider_name", "http_response_status_code", "error_type")
_TOKENS = ("gen_ai_provider_name", "gen_ai_response_model", "gen_ai_token_type")
_KEY_REQUEST = ("bm_key", "error_type")
_KEY_TOKENS = ("bm_key", "gen_ai_token_type")
_BUDGET = ("bm_scope", "bm_name", "bm_unit", "bm_period")
_ATTEMPT = ("gen_ai_provider_name", "bm_outcome")
_PROVIDER = ("gen_ai_provider_name",)
GAUGES: Final = {
    "bm_ledger_away": "Whether the ledger's database takes no requests (1) or takes them (0).",
    "bm_ledger_waiting": "Requests that wait to be written to the ledger.",
    "bm_ledger_dropped": "Requests since the start that are missing from the ledger.",
    "bm_shared_away": "Whether the shared store is away (1) or not (0).",
    "bm_shared_waiting": "Facts that wait to be sent to the shared store.",
    "bm_shared_dropped": "Facts dropped since the start because too many waited for the shared store.",
    "bm_shared_nodes": "Nodes of the team that are there, this one included.",
}

Labels = tuple[str, ...]


class Histogram:
    """Counts of values per bucket; the last bucket has no upper bound."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value. A value equal to a bound belongs to the bucket below it."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def cumulative(self) -> tuple[list[tuple[str, float]], float]:
        """The cumulative buckets, as Prometheus expects them, and the sum."""
        names = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        total, rows = 0, []
        for name, count in zip(names, self._counts, strict=True):
            total += count
            rows.append((name, float(total)))
        return rows, self._sum


class Metrics:
    """The metrics of one daemon. `active`, `accounts` and `budgets` are called when metrics are read."""

    def __init__(
        self,
        active: Callable[[], int],
        accounts: Callable[[], Mapping[State, int]],
        budgets: Callable[[], Iterable[Budget]] = tuple,
        about: Mapping[str, str] | None = None,
    ) -> None:
        """`about` tells the daemon from others. It is one metric of its own instead of a label of each, because
        Prometheus itself labels what it scrapes by its source (prometheus.io, Writing exporters, read 2026-11-30)."""
        self._active, self._accounts, self._budgets, self._about = active, accounts, budgets, about
        self._durations: defaultdict[Labels, Histogram] = defaultdict(lambda: Histogram(DURATION))
        self._first: defaultdict[Labels, Histogram] = defaultdict(lambda: Histogram(FIRST_CONTENT))
        self._tokens: Counter[Labels] = Counter()
        self._attempts: Counter[Labels] = Counter()
        self._by_key: Counter[Labels] = Counter()
        self._tokens_by_key: Counter[Labels] = Counter()
        self.more: list[Callable[[], Mapping[str, float]]] = []
        """What other parts of the daemon say of themselves, by the names of `GAUGES`."""

    def observe(self, record: Record) -> None:
        provider = record.target.provider if record.target else ""
        error = "client_left" if record.client_left else record.failure.kind if record.failure else ""
        labels = (record.protocol, record.operation, provider, str(record.status or 499), error)
        self._durations[labels].observe(record.took)
        self._by_key[record.key, error] += 1
        for attempt in record.attempts:
            self._attempts[attempt.target.provider, attempt.outcome or "unfinished"] += 1
        if record.first_content is not None:
            self._first[provider,].observe(record.first_content)
        if record.usage is not None and record.target is not None:
            usage = record.usage
            self._tokens_by_key[record.key, "input"] += usage.prompt
            self._tokens_by_key[record.key, "output"] += usage.output
            self._count(record.target.provider, record.target.model, "input", usage.input)
            self._count(record.target.provider, record.target.model, "cache_read", usage.cache_read)
            self._count(record.target.provider, record.target.model, "cache_write", usage.cache_write)
            self._count(record.target.provider, record.target.model, "output", usage.output - usage.thinking)
            self._count(record.target.provider, record.target.model, "thinking", usage.thinking)

    def _count(self, provider: str, model: str, kind: str, tokens: int) -> None:
        if tokens > 0:
            self._tokens[provider, model, kind] += tokens

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        # The library is needed only when metrics are read.
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """The collector interface of `prometheus_client`."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
            InfoMetricFamily,
        )

        if self._about is not None:
            yield InfoMetricFamily("bm", "The node and its version.", value=dict(self._about))
        requests = HistogramMetricFamily(
            "gen_ai_server_request_duration_seconds", "Time from a request to the end of its response.", labels=_REQUEST
        )
        for labels, histogram in self._durations.items():
            requests.add_metric(labels, *histogram.cumulative())
        yield requests
        first = HistogramMetricFamily(
            "gen_ai_server_time_to_first_token_seconds", "Time from a request to its first content.", labels=_PROVIDER
        )
        for labels, histogram in self._first.items():
            first.add_metric(labels, *histogram.cumulative())
        yield first
        for name, meaning, labels, counts in (
            ("gen_ai_client_token_usage", "Tokens used; the types do not overlap.", _TOKENS, self._tokens),
            ("bm_attempts", "Upstream calls by outcome.", _ATTEMPT, self._attempts),
            ("bm_key_requests", "Requests by the client's key.", _KEY_REQUEST, self._by_key),
            (
                "bm_key_tokens",
                "Tokens by the client's key: whole prompts and responses.",
                _KEY_TOKENS,
                self._tokens_by_key,
            ),
        ):
            counter = CounterMetricFamily(name, meaning, labels=labels)
            for place, count in counts.items():
                counter.add_metric(place, count)
            yield counter
        spent = GaugeMetricFamily("bm_budget_spent", "What was spent of budgets in the current period.", labels=_BUDGET)
        most = GaugeMetricFamily("bm_budget_limit", "The amounts of budgets.", labels=_BUDGET)
        for budget in self._budgets():
            place = budget.scope.kind, budget.scope.name, budget.limit.unit, budget.limit.period
            spent.add_metric(place, budget.spent)
            most.add_metric(place, budget.limit.amount)
        yield spent
        yield most
        yield GaugeMetricFamily("bm_requests_active", "Requests in progress.", value=self._active())
        accounts = GaugeMetricFamily("bm_accounts", "Accounts by state.", labels=("bm_state",))
        for state, count in self._accounts().items():
            accounts.add_metric((state,), count)
        yield accounts
        for part in self.more:
            for name, value in part().items():
                yield GaugeMetricFamily(name, GAUGES[name], value=value)
