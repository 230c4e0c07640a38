from __future__ import annotations

from typing import get_args

import pytest

from bm.dispatch.classify import classify, lacks_media, takes_no_media
from bm.errors import Failure, FailureKind
from tests.dispatch.transcript import outcome


def test_a_success_is_an_answer() -> None:
    assert (classify(None).account.kind, classify(None).request) == ("answered", "done")


@pytest.mark.parametrize(
    ("words", "account", "request_"),
    [
        ("429 12", "cooldown", "next"),
        ("429", "backoff", "next"),
        ("day", "daily", "next"),
        ("tier", "excluded", "next"),
        ("500", "fault", "retry"),
        ("reset", "fault", "retry"),
        ("empty", "fault", "retry"),
        ("503", "overload", "next"),
        ("529", "overload", "next"),
        ("silent", "fault", "silent"),
        ("401", "disabled", "next"),
        ("402", "disabled", "next"),
        ("403", "disabled", "next"),
        ("page", "overload", "next"),
        ("400", "none", "return"),
        ("404", "none", "return"),
        ("413", "none", "return"),
        ("422", "none", "return"),
        ("long", "none", "larger"),
        ("garbled", "none", "retry"),
        ("garbage", "fault", "next"),
    ],
)
def test_the_table_of_outcomes(words: str, account: str, request_: str) -> None:
    found = outcome(words)
    assert (found.account.kind, found.request) == (account, request_)


@pytest.mark.parametrize("kind", get_args(FailureKind))
def test_every_kind_has_an_outcome_and_is_returned_after_the_first_byte(kind: FailureKind) -> None:
    failure = Failure(kind=kind, message="x")
    assert classify(failure).failure == failure
    assert classify(failure, streaming_started=True).request == "return"
    assert classify(failure, streaming_started=True).account == classify(failure).account


@pytest.mark.parametrize("kind", ["bad_request", "not_found", "too_large", "context_too_long"])
def test_the_clients_own_errors_have_no_effect_on_the_account(kind: FailureKind) -> None:
    effect = classify(Failure(kind=kind, message="x", retry_after=60.0)).account
    assert (effect.kind, effect.seconds) == ("none", None)


@pytest.mark.parametrize("kind", ["rate_limited", "overloaded", "quota_exhausted"])
def test_a_delay_that_the_upstream_named_is_passed_on(kind: FailureKind) -> None:
    assert classify(Failure(kind=kind, message="x", retry_after=7.5)).account.seconds == 7.5


def test_a_model_closed_to_an_account_leaves_the_account_usable() -> None:
    blocked = Failure(kind="permission", message="blocked", code="model_permission_blocked_project")
    assert classify(blocked).account.kind == "excluded"


@pytest.mark.parametrize(
    ("kind", "message", "refused"),
    [
        ("bad_request", "This model does not support image input.", True),
        ("bad_request", "image_url is only supported by certain models", True),
        ("bad_request", "qwen3-32b is not a multimodal model", True),
        ("bad_request", "At most 0 image(s) may be provided in one request.", True),
        ("bad_request", "messages[0]: unknown variant `image_url`, expected `text`", True),
        ("not_found", "No endpoints found that support image input", True),
        ("server", "image input is not supported - hint: you may need to provide the mmproj", True),
        ("bad_request", "image exceeds 5 MB maximum", False),
        ("bad_request", "`thinking` blocks cannot be modified. Please consult our documentation", False),
        ("bad_request", "Invalid schema for function 'get_image': 'x' is not valid", False),
        ("bad_request", "messages: at least one message is required", False),
        ("rate_limited", "image input is not supported on this tier", False),
    ],
)
def test_whether_a_request_was_refused_for_its_media(kind: FailureKind, message: str, refused: bool) -> None:
    assert takes_no_media(Failure(kind=kind, message=message)) is refused


@pytest.mark.parametrize(
    ("message", "lacks"),
    [
        ("This model does not support image input.", True),
        ("messages[1]: unknown variant `image_url`, expected `text` at line 1 column 9", True),
        ("messages.content.type parameter is illegal: allowed values ['text']", True),
        ("Unknown part type: file", True),
        ("messages.1.content.0: Input tag 'file' found using 'type' does not match any of the expected tags", True),
        ("Unsupported MIME type: image/gif", False),
        ("Unsupported file uri: https://example.com/a.png", False),
        ("You uploaded an unsupported image. Please make sure it has one of the following formats: ['png']", False),
        ("The image data you provided does not represent a valid image.", False),
        ("Could not process image", False),
        ("image dimensions exceed max allowed size: 8000 pixels, which is not supported", False),
        ("At most 1 image(s) may be provided in one prompt.", False),
        ("image URLs are not currently supported, please use base64 encoded data instead", False),
    ],
)
def test_a_refusal_of_one_image_says_nothing_of_others(message: str, lacks: bool) -> None:
    failure = Failure(kind="bad_request", message=message)
    assert takes_no_media(failure)
    assert lacks_media(failure) == lacks
