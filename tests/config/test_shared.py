"""The address of the store that several nodes share."""

from __future__ import annotations

import pytest

from bm.config.load import InvalidConfig, parse
from bm.config.secrets import configured_secrets, masked
from bm.config.shared import StoreAddress, read_store

_ONE = (("valkey", 6379),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("valkey://valkey", StoreAddress("single", False, _ONE)),
        ("redis://valkey:6379/0", StoreAddress("single", False, _ONE)),
        ("rediss://valkey/3", StoreAddress("single", True, _ONE, database=3)),
        ("valkeys://me:p%40ss@valkey", StoreAddress("single", True, _ONE, "me", "p@ss")),
        ("valkey://:a/b#c@d@valkey", StoreAddress("single", False, _ONE, "", "a/b#c@d")),
        ("valkey://[::1]:9", StoreAddress("single", False, (("::1", 9),))),
        (
            "valkeys://valkey?ca=/etc/ca.pem",
            StoreAddress("single", True, _ONE, files=(("ssl_ca_certs", "/etc/ca.pem"),)),
        ),
        ("valkey+cluster://a,b:7", StoreAddress("cluster", False, (("a", 6379), ("b", 7)))),
        (
            "redis+sentinel://a,b:7/main/2",
            StoreAddress("sentinel", False, (("a", 26379), ("b", 7)), database=2, service="main"),
        ),
        ("redis+sentinel://a/main", StoreAddress("sentinel", False, (("a", 26379),), service="main")),
    ],
)
def test_what_is_meant(text: str, expected: StoreAddress) -> None:
    assert read_store(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://:s3cret@valkey", "not the URL of a Valkey or Redis server"),
        ("valkey:6379", "not the URL of a Valkey or Redis server"),
        ("valkey+proxy://valkey", "not the URL of a Valkey or Redis server"),
        ("valkey://", "no valid host and port"),
        ("valkey://:s3cret@valkey:port", "no valid host and port"),
        ("valkey://valkey/one", "a database that is no number"),
        ("valkey+cluster://valkey/1", "a cluster has only one"),
        ("valkey+sentinel://valkey", "the service that the sentinels watch"),
        ("valkey://valkey?ca=/etc/ca.pem", "not valkeys:// or rediss://"),
        ("valkeys://valkey?db=1", "takes no options but ca, cert, key"),
        ("valkey://:s3cret@two s3crets", "spaces or control characters"),
    ],
)
def test_what_is_no_address_is_refused_without_quoting_it(text: str, words: str) -> None:
    with pytest.raises(InvalidConfig, match=words) as refused:
        parse(f'[shared]\nurl = "{text}"', {}, known=(), path="config.toml")
    assert refused.value.key == "shared.url"
    assert "s3cret" not in str(refused.value)


def test_the_names_are_limited_to_what_keys_and_labels_take() -> None:
    with pytest.raises(InvalidConfig) as refused:
        parse('[shared]\nname = ""\nnode = "a:b"', {}, known=(), path="config.toml")
    assert [each.key for each in refused.value.problems] == ["shared.name", "shared.node"]


@pytest.mark.parametrize("password", ["long-enough-secret", "a/b#c@d"])
def test_the_password_is_a_secret(password: str) -> None:
    config = parse(f'[shared]\nurl = "valkey://:{password}@valkey"', {}, known=(), path="config.toml").config
    assert password in configured_secrets(config)
    assert masked(config)["shared"]["url"] == "valkey://…@valkey"
    assert password not in repr(config)
