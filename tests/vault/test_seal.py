"""What is sealed, opens with the same key in the same place only."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from bm.errors import AccountError, ConfigError
from bm.vault.seal import Seal, Sealed, read_seal

OLD, NEW = Seal([b"o" * 32]), Seal([b"n" * 32, b"o" * 32])
PLAIN = b"the key of an account"


def test_a_sealed_value_opens_and_shows_nothing() -> None:
    one, two = (OLD.seal(PLAIN, "account work") for _ in range(2))
    assert OLD.open(one, "account work") == OLD.open(two, "account work") == PLAIN
    assert PLAIN not in one.data
    assert one.data != two.data


def test_the_first_key_seals_and_all_open() -> None:
    assert NEW.open(OLD.seal(PLAIN, "x"), "x") == PLAIN
    assert NEW.seal(PLAIN, "x").key == Seal([b"n" * 32]).id == NEW.id


def test_another_key_is_an_error_that_names_the_setting_and_both_keys() -> None:
    with pytest.raises(AccountError) as caught:
        OLD.open(NEW.seal(PLAIN, "x"), "account work")
    assert str(caught.value).startswith(f"shared.seal: account work is sealed with the key {NEW.id}, not with {OLD.id}")


@pytest.mark.parametrize(
    ("tampered", "words"),
    [
        (
            lambda each: Sealed(each.key, each.data[:-1] + bytes([each.data[-1] ^ 1])),
            "was changed or moved .*delete that row",
        ),
        (lambda each: Sealed(each.key, each.data[:5]), "was changed or moved"),
        (lambda each: OLD.seal(PLAIN, "account home"), "was changed or moved"),
        (lambda each: Sealed(each.key, b"\x02" + each.data[1:]), "needs a newer bm"),
        (lambda each: Sealed(each.key, b""), "needs a newer bm"),
    ],
    ids=["changed", "cut", "of another account", "newer", "empty"],
)
def test_what_bm_has_not_put_there_is_refused(tampered: Callable[[Sealed], Sealed], words: str) -> None:
    with pytest.raises(AccountError, match=f"account work: .*{words}"):
        OLD.open(tampered(OLD.seal(PLAIN, "account work")), "account work")


def test_a_key_is_read_from_a_reference(tmp_path: Path) -> None:
    (tmp_path / "seal").write_text(base64.b64encode(b"o" * 32).decode() + "\n")
    assert read_seal([f"file:{tmp_path / 'seal'}"], {}).id == OLD.id
    both = ("env:NEW", f"file:{tmp_path / 'seal'}")
    assert read_seal(both, {"NEW": base64.b64encode(b"n" * 32).decode()}).id == NEW.id


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        ("correct horse battery staple", "holds no key of 32 bytes in base64"),
        (base64.b64encode(b"short").decode(), "holds no key of 32 bytes in base64"),
        ("", "is empty"),
    ],
)
def test_what_is_no_key_is_named_and_not_quoted(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "seal").write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_seal([f"file:{tmp_path / 'seal'}"], {})
    assert str(caught.value).startswith(f"shared.seal: file:{tmp_path / 'seal'} {words}")
    assert not content or content not in str(caught.value)
