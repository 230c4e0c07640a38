"""Whether requests can be served here, for `/readyz`, which a balancer asks."""

from __future__ import annotations

from collections.abc import Callable

from bm.gateway.services import Services


class Readiness:
    """What stands in the way of serving. `checks` give a reason, or nothing; they are asked each time, so they are
    cheap and call nothing."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.checks: list[Callable[[], str]] = []

    def problem(self) -> str:
        """Why no request should come here; empty when it may."""
        return next((found for check in self.checks if (found := check())), "") or self._no_account()

    def _no_account(self) -> str:
        for member in self._services.router.snapshot(self._services.settings).members:
            provider = member.provider
            usable = provider.enabled and (provider.pool or provider.mode != "off")
            if usable and any(not account.disabled for account in member.account_states):
                return ""
        return "no account is usable: bm accounts add NAME"
