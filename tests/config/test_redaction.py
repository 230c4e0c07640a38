"""Secrets are masked in every form in which a text may hold them."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from bm.config.redaction import MASK, Mask

PLANTED = 'pass/"word" + 123'


@pytest.mark.parametrize("written", [PLANTED, json.dumps(PLANTED), quote(PLANTED, safe="")])
def test_a_known_secret_is_masked_however_it_is_written(written: str) -> None:
    assert MASK in Mask([PLANTED])(f"before {written} after")
    assert "word" not in Mask([PLANTED])(f"before {written} after")


def test_a_secret_within_another_leaves_no_rest() -> None:
    assert Mask(["key-of-mine", "key-of-mine-and-yours"])("x=key-of-mine-and-yours") == f"x={MASK}"


@pytest.mark.parametrize(
    "beginning", ["sk-", "AI" + "za", "AQ.", "gsk" + "_", "xai-", "tgp_v1_", "bm-", "ya29.", "1//0", "GOCSPX-"]
)
def test_what_looks_like_a_key_is_masked_unasked(beginning: str) -> None:
    assert Mask()(f"use {beginning}{'b' * 43}!") == f"use {MASK}!"


def test_short_secrets_would_blot_out_words() -> None:
    assert Mask(["the"])("the end") == "the end"


def test_it_learns_and_never_forgets() -> None:
    mask = Mask(["the-first-one"])
    mask.learn(["the-second-one"])
    assert mask("the-first-one, the-second-one") == f"{MASK}, {MASK}"
