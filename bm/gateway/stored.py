"""Requests about a stored response of the Responses API: to read, delete or cancel it, and to list its input.

A response that bm made is answered from its store; of others, the account that stores them is asked.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import parse_qs, quote

import msgspec

from bm.accounts.google import TokenError
from bm.chat.parts import Json
from bm.dispatch.target import AccountId
from bm.errors import Failure, RequestError
from bm.gateway.call import json_object
from bm.gateway.services import Services
from bm.gateway.stores import StoredExchange
from bm.protocols.errors import decode_error
from bm.protocols.reading import refuse, string_of
from bm.upstream.client import UpstreamError, UpstreamRequest
from bm.upstream.endpoint import own_headers

Action = Literal["", "cancel", "input_items"]
MAX_BYTES = 64 * 1024 * 1024
PAGE = 20
"""Items of a page where the client does not say (OpenAI's API reference, "List input items")."""


async def answer(services: Services, method: str, name: str, action: Action, query: str) -> Json:
    """The answer to a request about the response `name`.

    Raises:
        RequestError: it is not stored, or the account that stores it refuses.
    """
    kept = services.responses.get(name)
    if kept is None:
        raise _not_found(f"Response with id '{name}' not found.")
    path = f"/responses/{quote(name, safe='')}{f'/{action}' if action else ''}"
    if kept.account is not None:
        found = await _forwarded(services, kept.account, method, path, query)
    else:
        found = _own(kept, method, name, action, query)
    if method == "DELETE":
        services.responses.drop(name)
    return found


def _own(kept: StoredExchange, method: str, name: str, action: Action, query: str) -> Json:
    if method == "DELETE":
        return {"id": name, "object": "response", "deleted": True}
    if action == "cancel":
        raise refuse("", "Only responses that are generated in the background can be cancelled.")
    if action == "input_items":
        return _page(kept, query)
    return json_object(kept.response)


def _page(kept: StoredExchange, query: str) -> Json:
    """The items of the request, the newest first unless the client wants them in order."""
    asked = {field: values[-1] for field, values in parse_qs(query).items()}
    items: list[Json] = msgspec.json.decode(kept.items, type=list[Json])[: kept.inputs]
    rows = [{"id": f"item_{number}", **item} for number, item in enumerate(items)]
    if asked.get("order") != "asc":
        rows.reverse()
    ids = [string_of(row["id"]) for row in rows]
    start = ids.index(asked["after"]) + 1 if asked.get("after") in ids else 0
    limit = asked.get("limit", str(PAGE))
    if not limit.isdecimal():
        raise refuse("limit", "expected a whole number")
    page = rows[start : start + int(limit)]
    first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
    more = start + len(page) < len(rows)
    return {"object": "list", "data": page, "first_id": first, "last_id": last, "has_more": more}


async def _forwarded(services: Services, account: AccountId, method: str, path: str, query: str) -> Json:
    settings = services.settings
    provider, credential = settings.providers.get(account[0]), services.pool.credential(account)
    if provider is None or credential is None:
        raise _not_found("The account that stores the response is gone.")
    address = f"{provider.base_url}{path}{f'?{query}' if query else ''}"
    timeouts, proxy = settings.config.timeouts_for(provider.name).alone, settings.config.proxy_for(provider.name)
    try:
        access = await services.tokens.access(credential)
        request = UpstreamRequest(provider.name, method, address, own_headers(provider, access))
        found = await services.client.fetch(request, timeouts, proxy, limit=MAX_BYTES)
    except (TokenError, UpstreamError) as error:
        raise RequestError(error.failure) from error
    if found.status // 100 != 2:
        raise RequestError(decode_error(found.status, found.headers, found.body))
    return json_object(found.body)


def _not_found(message: str) -> RequestError:
    failure = Failure(kind="bad_request", message=message, param="response_id", code="response_not_found", status=404)
    return RequestError(failure)
