"""Try a key before it is kept."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from bm.accounts.account import Account
from bm.cli import render
from bm.config.paths import Paths
from bm.errors import AccountError

if TYPE_CHECKING:
    from bm.gateway.probe import Probe


def insist(paths: Paths, account: Account) -> None:
    """Send one small request with the account's key. A provider that is merely busy is no reason to refuse a key.

    Raises:
        AccountError: the key is refused, or the provider cannot be asked.
        ConfigError: a reference leads nowhere, or the configuration cannot be used.
    """
    from bm.accounts.account import check

    check(account)
    render.note(f"trying the key with {account.provider} …")
    probe = asyncio.run(_probe(paths, account))
    if probe.ok:
        render.note(f"accepted: {probe.model} answered")
    elif probe.key_accepted:
        render.note(f"accepted, but {probe.model or account.provider} does not answer now: {probe.error}")
    else:
        raise AccountError(f"{account.provider}: {probe.error} (not saved; --no-verify saves it all the same)")


async def _probe(paths: Paths, account: Account) -> Probe:
    import msgspec

    from bm.accounts.credentials import resolved
    from bm.gateway.probe import probe_all
    from bm.gateway.settings import read_settings
    from bm.upstream.client import UpstreamClient

    credential = resolved(account, os.environ)
    settings = msgspec.structs.replace(read_settings(paths, os.environ), credentials=(credential,))
    client = UpstreamClient()
    try:
        (probe,) = await probe_all(client, settings, [account.name])
        return probe
    finally:
        await client.close()
