"""What one node asks for all: how it is stored, and when it is of use."""

from __future__ import annotations

import msgspec
import pytest

from bm.accounts.account import Account, OAuthClient
from bm.accounts.credentials import Credential
from bm.accounts.google import Grant
from bm.gateway.models import RENEWAL, ReadList
from bm.shared.findings import Kept, Lists, Sealed
from bm.upstream.discovery import ListedModel
from tests.gateway.matrix import providers
from tests.shared.nodes import nodes
from tests.support.valkey import Valkey

GEMINI = providers()["gemini"]
GRANT = Grant(token="the-access-token", lifetime=3600.0, refresh_token="the-next-refresh-token")


def credential(key: str = "the-refresh-token", name: str = "me") -> Credential:
    client = OAuthClient(id="client", secret="the-client-secret")
    return Credential(account=Account(name=name, kind="google_oauth", key=key, client=client), secret=key)


def test_a_grant_is_read_by_who_has_the_same_account() -> None:
    value, seconds = Sealed(credential()).write(GRANT)
    assert seconds == 3600.0 and Sealed(credential()).name == Sealed(credential()).name
    assert Sealed(credential()).read(value, 1800.0) == msgspec.structs.replace(GRANT, lifetime=1800.0)


def test_who_reads_the_store_learns_no_token() -> None:
    sealed = Sealed(credential())
    value, _ = sealed.write(GRANT)
    for secret in (b"the-access-token", b"refresh", b"the-client-secret"):
        assert secret not in value and secret not in sealed.name.encode()
    assert sealed.write(GRANT)[0] != value


@pytest.mark.parametrize(
    ("reader", "seconds"),
    [
        (Sealed(credential(key="another-refresh-token")), 1800.0),
        (Sealed(credential(name="another")), 1800.0),
        (Sealed(credential(), refused="the-access-token"), 1800.0),
        (Sealed(credential()), 299.0),
    ],
    ids=["another key", "another account", "refused", "about to expire"],
)
def test_a_grant_is_of_no_use(reader: Sealed, seconds: float) -> None:
    value, _ = Sealed(credential()).write(GRANT)
    assert reader.read(value, seconds) is None


def test_what_was_changed_in_the_store_is_no_grant() -> None:
    value, _ = Sealed(credential()).write(GRANT)
    assert Sealed(credential()).read(value[:-1] + bytes([value[-1] ^ 1]), 1800.0) is None


LIST = ReadList(("gemini", "one"), (ListedModel(id="m", provider="gemini", context=1_000),))


@pytest.mark.parametrize(("age", "fresh", "found"), [(10.0, 600.0, True), (700.0, 600.0, False), (700.0, 800.0, True)])
def test_a_list_is_of_use_as_long_as_it_is_fresh(age: float, fresh: float, found: bool) -> None:
    written = Kept("models", fresh).write(LIST)
    assert written is not None and written[1] == RENEWAL
    assert (Kept("models", fresh).read(written[0], RENEWAL - age) == LIST) is found


async def test_a_list_is_read_by_one_node_and_again_for_other_accounts(valkey: Valkey) -> None:
    asked: list[str] = []
    accounts = {"a": ["one"], "b": ["one"], "c": ["one", "two"]}

    async with nodes(valkey.url, *accounts) as found:
        for node, (name, names) in zip(found, accounts.items(), strict=True):

            async def read(name: str = name) -> ReadList | None:
                asked.append(name)
                return LIST

            lists = Lists(node.leases, lambda provider, names=names: names)  # type: ignore[misc]
            assert await lists.once(GEMINI, 600.0, read) == LIST
    assert asked == ["a", "c"]


async def test_a_list_that_cannot_be_read_is_asked_for_by_the_next(valkey: Valkey) -> None:
    async def fail() -> ReadList | None:
        return None

    async def read() -> ReadList | None:
        return LIST

    async with nodes(valkey.url, "a", "b") as (a, b):
        assert await Lists(a.leases, lambda provider: []).once(GEMINI, 600.0, fail) is None
        assert await Lists(b.leases, lambda provider: []).once(GEMINI, 600.0, read) == LIST
