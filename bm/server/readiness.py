"""Whether requests can be served here, for `/readyz`, which a balancer asks."""

from __future__ import annotations

from bm.gateway.services import Services
from bm.server.http import LimitedHttp
from bm.server.sharing import Sharing


def not_ready(services: Services, sharing: Sharing) -> str:
    """Why no request should come here; empty when it may. This is asked often, so it calls nothing."""
    if LimitedHttp.ending:
        return "this node is about to end"
    return sharing.problem(services.config) or _no_account(services)


def _no_account(services: Services) -> str:
    for member in services.router.snapshot(services.settings).members:
        provider = member.provider
        usable = provider.enabled and (provider.pool or provider.mode != "off")
        if usable and any(not account.disabled for account in member.account_states):
            return ""
    return "no account is usable: bm accounts add NAME"
