"""Sign-in against a simulated Google: real sockets, a browser that is a function."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest

from bm.accounts.account import Account
from bm.accounts.credentials import Credentials
from bm.accounts.google import Fetch, Fetched, FetchRequest
from bm.accounts.sign_in import (
    code_of,
    exchange,
    new_sign_in,
    sign_in_by_paste,
    sign_in_with_browser,
    signed_in,
)
from bm.errors import AccountError, Failure
from bm.simulator import OAuth, Simulator
from tests.support.google import CLIENT_SECRET, oauth_client, person, visited

NOW = datetime(2026, 4, 1, tzinfo=UTC)


class Browser:
    """Opens an address as a browser would, in a thread of its own; `pages` are what a person reads in the end."""

    def __init__(self, *before: str) -> None:
        self.pages: list[str] = []
        self._before = before

    def __call__(self, address: str) -> bool:
        threading.Thread(target=self._visit, args=(address,), daemon=True).start()
        return True

    def _visit(self, address: str) -> None:
        with httpx.Client(trust_env=False, follow_redirects=True, timeout=5) as client:
            redirect = parse_qs(urlsplit(address).query)["redirect_uri"][0]
            for path in self._before:
                client.get(redirect + path)
            self.pages.append(client.get(address).text)


def ignore(address: str) -> None:
    """Show no address."""


async def test_a_sign_in_with_the_browser(sim: Simulator, fetch: Fetch) -> None:
    browser, shown = Browser(), list[str]()
    token = await sign_in_with_browser(oauth_client(sim), "", fetch, shown.append, open_browser=browser)
    assert token.startswith("sim-refresh-")
    query = parse_qs(urlsplit(shown[0]).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["scope"][0].split() == [
        "https://www.googleapis.com/auth/cloud-platform",
        "https://www.googleapis.com/auth/generative-language.retriever",
    ]
    assert query["access_type"] == ["offline"]
    async with asyncio.timeout(5):
        while not browser.pages:  # noqa: ASYNC110 - it looks at another thread
            await asyncio.sleep(0.01)
    assert "close this page" in browser.pages[0]


async def test_unrelated_requests_do_not_end_a_sign_in(sim: Simulator, fetch: Fetch) -> None:
    browser = Browser("/favicon.ico", "/?code=stolen&state=guessed", "/?error=access_denied&state=guessed", "/")
    token = await sign_in_with_browser(oauth_client(sim), "", fetch, ignore, open_browser=browser)
    assert token.startswith("sim-refresh-")


async def test_refused_consent_is_reported_in_the_browser_and_the_terminal(sim: Simulator, fetch: Fetch) -> None:
    sim.script(oauth=OAuth(deny=True))
    browser = Browser()
    with pytest.raises(AccountError, match=r"access was not granted.*test user"):
        await sign_in_with_browser(oauth_client(sim), "", fetch, ignore, open_browser=browser)
    async with asyncio.timeout(5):
        while not browser.pages:  # noqa: ASYNC110 - it looks at another thread
            await asyncio.sleep(0.01)
    assert "not signed in" in browser.pages[0]


async def test_a_sign_in_that_is_not_completed(sim: Simulator, fetch: Fetch) -> None:
    with pytest.raises(AccountError, match="no sign-in within"):
        await sign_in_with_browser(
            oauth_client(sim), "", fetch, ignore, open_browser=lambda address: False, patience=0.1
        )


async def test_partial_consent_is_not_enough(sim: Simulator, fetch: Fetch) -> None:
    sim.script(oauth=OAuth(scopes="openid"))
    with pytest.raises(AccountError, match="not ticked"):
        await sign_in_with_browser(oauth_client(sim), "", fetch, ignore, open_browser=Browser())


@pytest.mark.parametrize("whole", [True, False], ids=["the whole address", "the code alone"])
async def test_pasting(sim: Simulator, fetch: Fetch, whole: bool) -> None:
    async def paste(address: str) -> str:
        answer = await asyncio.to_thread(httpx.get, address, trust_env=False)
        place = answer.headers["location"]
        return f"  {place}\n" if whole else parse_qs(urlsplit(place).query)["code"][0]

    assert (await sign_in_by_paste(oauth_client(sim), "global", fetch, paste)).startswith("sim-refresh-")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (" ", "nothing was pasted"),
        ("http://127.0.0.1:1/?code=c&state=another", "not the answer"),
        ("http://127.0.0.1:1/", "not the answer"),
        ("http://127.0.0.1:1/?state=STATE", "no code"),
        ("http://127.0.0.1:1/?state=STATE&error=access_denied", "not granted"),
        ("http://127.0.0.1:1/?state=STATE&error=org_internal", "org_internal"),
    ],
)
def test_invalid_redirects(sim: Simulator, answer: str, words: str) -> None:
    sign_in = new_sign_in(oauth_client(sim), "", 1)
    with pytest.raises(AccountError, match=words):
        code_of(sign_in, answer.replace("STATE", sign_in.state))


def test_a_pasted_code_may_be_percent_encoded(sim: Simulator) -> None:
    sign_in = new_sign_in(oauth_client(sim), "", 1)
    assert code_of(sign_in, "4%2F0AbC-d") == code_of(sign_in, "4/0AbC-d") == "4/0AbC-d"


def test_every_sign_in_is_unique(sim: Simulator) -> None:
    one, other = (new_sign_in(oauth_client(sim), "", 1) for _ in range(2))
    assert len({one.state, other.state, one.verifier, other.verifier}) == 4
    assert one.verifier not in one.address and one.verifier not in repr(one)


async def test_a_code_is_valid_only_for_its_own_sign_in(sim: Simulator, fetch: Fetch) -> None:
    mine, stranger = (new_sign_in(oauth_client(sim), "", 1) for _ in range(2))
    code = visited(mine)["code"]
    with pytest.raises(AccountError, match="Invalid code verifier") as caught:
        await exchange(stranger, code, fetch)
    assert code not in str(caught.value)


@pytest.mark.parametrize(
    ("oauth", "words"),
    [
        (OAuth(fault="invalid_client"), "OAuth client was not found"),
        (OAuth(fault="unavailable"), "temporarily_unavailable"),
        (OAuth(fault="down"), "no sign-in: .*run the command again"),
    ],
)
async def test_no_token_for_the_code(sim: Simulator, fetch: Fetch, oauth: OAuth, words: str) -> None:
    sign_in = new_sign_in(oauth_client(sim), "", 1)
    code = visited(sign_in)["code"]
    sim.script(oauth=oauth)
    with pytest.raises(AccountError, match=words):
        await exchange(sign_in, code, fetch)


async def test_quoted_codes_and_secrets_are_masked(sim: Simulator) -> None:
    async def quoting(_: FetchRequest) -> Fetched | Failure:
        said = f"no code the-code-1234 of {CLIENT_SECRET}"
        return Fetched(status=400, headers={}, body=json.dumps({"error": "e", "error_description": said}).encode())

    with pytest.raises(AccountError, match=r"no code \[secret\] of \[secret\]"):
        await exchange(new_sign_in(oauth_client(sim), "", 1), "the-code-1234", quoting)


def test_a_second_sign_in_renews_the_account_in_its_place(sim: Simulator) -> None:
    account, other = person(sim), Account(name="x", key="k")
    stored = signed_in(signed_in(Credentials(), account, NOW).add(other), other_token(account), NOW + timedelta(1))
    first, second = stored.accounts
    assert (first.key, first.enabled, first.added_at, first.renewed_at) == ("again", True, NOW, NOW + timedelta(1))
    assert second == other


def other_token(account: Account) -> Account:
    return msgspec.structs.replace(account, key="again")


def test_a_sign_in_does_not_replace_a_key(sim: Simulator) -> None:
    stored = Credentials(accounts=(Account(name="me", key="k"),))
    with pytest.raises(AccountError, match="another kind"):
        signed_in(stored, person(sim), NOW)
