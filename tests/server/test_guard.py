"""Accepted requests, by Host, Origin and key."""

from __future__ import annotations

import ast
import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.config.schema import Server
from bm.keys.key import MAIN, Key, Keys, digest
from bm.server import guard as guard_module
from bm.server.guard import Guard, keys_in

KEY = "local-key-of-the-tests"
LOCAL = Guard(Server(), KEY)
OPEN_TO_ALL = Guard(Server(host="0.0.0.0", allowed_hosts=("Desk.Example",)), KEY)
NAMED = Guard(Server(host="192.0.2.7"), KEY)

HOSTS = [
    (LOCAL, "127.0.0.1:8094", True),
    (LOCAL, "127.0.0.1", True),
    (LOCAL, "127.8.9.1:1", True),
    (LOCAL, "localhost:8094", True),
    (LOCAL, "LOCALHOST", True),
    (LOCAL, "bm.localhost:8094", True),
    (LOCAL, "[::1]:8094", True),
    (LOCAL, "[::1]", True),
    (LOCAL, "[::ffff:127.0.0.1]:8094", True),
    (LOCAL, "evil.example", False),
    (LOCAL, "evil.example:8094", False),
    (LOCAL, "localhost.evil.example", False),
    (LOCAL, "127.0.0.1.evil.example", False),
    (LOCAL, "evil.example@127.0.0.1", True),
    (LOCAL, "127.0.0.1@evil.example", False),
    (LOCAL, "192.0.2.7", False),
    (LOCAL, "[2001:db8::1]", False),
    (LOCAL, "0.0.0.0:8094", False),
    (LOCAL, "", False),
    (LOCAL, "[::1", False),
    (LOCAL, "[nonsense]", False),
    (NAMED, "192.0.2.7:8094", True),
    (NAMED, "192.0.2.8:8094", True),
    (NAMED, "rebound.example", False),
    (OPEN_TO_ALL, "192.0.2.7:8094", True),
    (OPEN_TO_ALL, "[2001:db8::1]:8094", True),
    (OPEN_TO_ALL, "desk.example:8094", True),
    (OPEN_TO_ALL, "DESK.example", True),
    (OPEN_TO_ALL, "rebound.example", False),
]


@pytest.mark.parametrize(("guard", "host", "known"), HOSTS)
def test_the_host_must_be_a_name_of_this_machine(guard: Guard, host: str, known: bool) -> None:
    failure = guard.foreign({"host": host})
    assert (failure is None) is known
    if failure is not None:
        assert failure.kind == "forbidden" and "allowed_hosts" in failure.message


def test_a_request_without_a_host_is_foreign() -> None:
    assert LOCAL.foreign({}) is not None


@pytest.mark.parametrize(
    ("origin", "known"),
    [
        ("http://localhost:3000", True),
        ("http://127.0.0.1:8094", True),
        ("https://[::1]:8094", True),
        ("https://evil.example", False),
        ("https://localhost.evil.example", False),
        ("null", False),
        ("", False),
        ("http://[", False),
        ("chrome-extension://abcdef", False),
    ],
)
def test_the_origin_must_be_a_name_of_this_machine(origin: str, known: bool) -> None:
    assert (LOCAL.foreign({"host": "127.0.0.1:8094", "origin": origin}) is None) is known


@given(host=st.text(max_size=30), origin=st.text(max_size=30))
def test_no_host_or_origin_causes_an_exception(host: str, origin: str) -> None:
    found = LOCAL.foreign({"host": host, "origin": origin})
    assert found is None or found.kind == "forbidden"


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"x-api-key": KEY}, ""),
        ({"authorization": f"Bearer {KEY}"}, ""),
        ({"authorization": f"bearer {KEY}"}, ""),
        ({"authorization": f"Bearer  {KEY} "}, ""),
        ({"x-goog-api-key": KEY}, ""),
        ({}, f"key={KEY}"),
        ({}, f"alt=sse&key={KEY}"),
        ({"x-api-key": "the key of something else", "authorization": f"Bearer {KEY}"}, ""),
    ],
)
def test_the_key_is_accepted_wherever_tools_put_it(headers: dict[str, str], query: str) -> None:
    assert LOCAL.caller(headers, query) is MAIN


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, ""),
        ({"x-api-key": ""}, ""),
        ({"x-api-key": KEY[:-1]}, ""),
        ({"x-api-key": KEY + "x"}, ""),
        ({"x-api-key": KEY.upper()}, ""),
        ({"x-api-key": "kéy\udcff"}, ""),
        ({"authorization": KEY}, ""),
        ({"authorization": f"Basic {KEY}"}, ""),
        ({"cookie": f"key={KEY}"}, ""),
        ({}, f"monkey={KEY}"),
    ],
)
def test_anything_else_is_refused(headers: dict[str, str], query: str) -> None:
    assert LOCAL.caller(headers, query) is None


def test_an_empty_local_key_admits_no_request() -> None:
    assert not Guard(Server(), "").admits({"x-api-key": ""})


def test_auth_none_requires_no_key() -> None:
    assert Guard(Server(auth="none"), KEY).admits({})
    assert Guard(Server(auth="none"), KEY).foreign({"host": "evil.example"}) is not None


CI = Key(name="ci", sha256=digest("bm-of-ci").hex())
SHARED = Guard(Server(), KEY, Keys([CI]))


@pytest.mark.parametrize(
    ("headers", "caller"),
    [
        ({"x-api-key": KEY}, MAIN),
        ({"x-api-key": "bm-of-ci"}, CI),
        ({"authorization": "Bearer bm-of-ci"}, CI),
        ({"x-goog-api-key": "bm-of-ci"}, CI),
        ({"x-api-key": "a tool's own", "authorization": "Bearer bm-of-ci"}, CI),
        ({"x-api-key": CI.sha256}, None),
        ({"x-api-key": "bm-of-ci\x00"}, None),
        ({}, None),
    ],
)
def test_a_request_is_known_by_its_key(headers: dict[str, str], caller: Key | None) -> None:
    assert SHARED.caller(headers) is caller
    assert SHARED.admits(headers) is (caller is MAIN)


def test_where_no_key_is_required_one_still_tells_who_asks() -> None:
    guard = Guard(Server(auth="none"), KEY, Keys([CI]))
    assert guard.caller({}) is guard.caller({"x-api-key": "a tool's own"}) is MAIN
    assert guard.caller({"x-api-key": "bm-of-ci"}) is CI


def test_all_keys_of_a_request_are_found() -> None:
    headers = {"x-api-key": "one", "x-goog-api-key": "two", "authorization": "Bearer three"}
    assert list(keys_in(headers, "key=four")) == ["one", "two", "three", "four"]


def test_keys_are_compared_in_constant_time() -> None:
    tree = ast.parse(inspect.getsource(guard_module))
    matches = next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "_key_of")
    compared = [node for node in ast.walk(matches) if isinstance(node, ast.Compare)]
    assert all(isinstance(operator, ast.Is | ast.IsNot) for node in compared for operator in node.ops)
    assert "hmac.compare_digest" in ast.unparse(matches)
