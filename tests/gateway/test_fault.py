"""Exceptions that nothing declares: a failed attempt, or an error in the client's protocol, and a place in the log."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bm.chat.arguments import parsed_arguments
from bm.gateway.call import Call
from bm.gateway.exchange import Exchange
from bm.gateway.fault import own_fault
from bm.gateway.services import Services
from bm.names import ProtocolName
from bm.protocols.codec import Codec
from bm.protocols.registry import CODECS
from bm.remedies import apply
from bm.simulator import Rule, Simulator
from tests.accounts.build import credential
from tests.gateway.build import Reader, settings
from tests.simulator.streams import body_of

SECRET = "what the user said"


def broken(*arguments: Any, **options: Any) -> Any:
    raise KeyError(SECRET)


def breaking_off(make: Callable[..., Any], after: int) -> Callable[..., Any]:
    """What makes a decoder or encoder whose `feed` fails after so many events."""

    def made(*arguments: Any, **options: Any) -> Any:
        wrapped, left = make(*arguments, **options), iter(range(after))

        class Breaking:
            def __getattr__(self, name: str) -> Any:
                return getattr(wrapped, name)

            def feed(self, event: Any) -> Any:
                return wrapped.feed(event) if next(left, None) is not None else broken()

        return Breaking()

    return made


PLANTED: dict[str, Callable[[Codec], dict[str, Any]]] = {
    "a request is encoded": lambda codec: {"encode_request": broken},
    "a stream begins": lambda codec: {"stream_decoder": broken},
    "an event is decoded": lambda codec: {"stream_decoder": breaking_off(codec.stream_decoder, 0)},
}


@pytest.fixture
async def services(bm_home: Path) -> AsyncIterator[tuple[Services, Simulator]]:
    """Gemini's pool before Anthropic, in process; requests go to the simulator."""
    with Simulator() as simulator:
        text = f'[pool]\nmax_wait = 0\n[gemini]\nbase_url = "{simulator.url}"\n[providers.anthropic]\nenabled = true\n'
        text += f'mode = "fallback"\nbase_url = "{simulator.url}"\napi_key = "key-of-the-account-claude"\n'
        read = settings(bm_home, text)
        stored = (credential("one", key="key-of-the-account-gemini"), *read.credentials)
        made = Services(msgspec.structs.replace(read, credentials=stored))
        try:
            yield made, simulator
        finally:
            await made.close()


async def asked(services: Services, protocol: ProtocolName, *, stream: bool, model: str = "claude-sonnet-5") -> Reader:
    body = json.dumps(body_of(protocol, SECRET, model, stream=stream)).encode()
    client, query = Reader(), "alt=sse"
    call = Call(
        id="r", protocol=protocol, operation="generate", headers=[], body=body, model=model, stream=stream, query=query
    )
    await Exchange(services, call, client).run()
    return client


CASES = [(name, stream) for name in PLANTED for stream in (True, False) if stream or name != "an event is decoded"]


@pytest.mark.parametrize(("name", "stream"), CASES)
async def test_another_target_answers(
    services: tuple[Services, Simulator],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    stream: bool,
) -> None:
    monkeypatch.setitem(CODECS, "gemini", msgspec.structs.replace(CODECS["gemini"], **PLANTED[name](CODECS["gemini"])))
    client = await asked(services[0], "anthropic", stream=stream)
    assert client.status == 200 and client.headers["x-bm-provider"] == "anthropic"
    assert services[0].calls.active == 0
    assert SECRET not in caplog.text


@pytest.mark.parametrize("protocol", list(CODECS))
async def test_a_response_that_has_begun_ends_in_an_error_of_its_protocol(
    services: tuple[Services, Simulator], monkeypatch: pytest.MonkeyPatch, protocol: ProtocolName
) -> None:
    services[1].script(Rule(text="one two three four", chunks=4, delay=0.05))
    codec = CODECS["gemini"]
    monkeypatch.setitem(
        CODECS, "gemini", msgspec.structs.replace(codec, stream_decoder=breaking_off(codec.stream_decoder, 2))
    )
    client = await asked(services[0], protocol, stream=True, model="gemini-3-flash-preview")
    assert b"one" in client.body and b"bm itself failed with KeyError" in client.body
    assert client.sent[-1] == ("cut" if protocol == "gemini" else "end")


async def test_where_not_even_the_error_can_be_written_the_connection_breaks(
    services: tuple[Services, Simulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    services[1].script(Rule(text="one two three four", chunks=4, delay=0.05))
    codec = CODECS["anthropic"]
    monkeypatch.setitem(
        CODECS, "anthropic", msgspec.structs.replace(codec, stream_encoder=breaking_off(codec.stream_encoder, 5))
    )
    client = await asked(services[0], "anthropic", stream=True)
    assert client.sent[-1] == "cut" and services[0].calls.active == 0


async def test_a_remedy_that_fails_costs_one_attempt(
    services: tuple[Services, Simulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    services[1].script(Rule(account="gemini", status=400, message="Unknown parameter: temperature"))
    monkeypatch.setattr(apply, "OPERATIONS", dict.fromkeys(apply.OPERATIONS, broken))
    monkeypatch.setattr("bm.gateway.healing.remedies_for", broken)
    client = await asked(services[0], "anthropic", stream=False)
    assert client.status == 200 and client.headers["x-bm-provider"] == "anthropic"


async def test_where_no_other_target_is_left_the_error_is_in_the_clients_form(
    services: tuple[Services, Simulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    names: tuple[ProtocolName, ...] = ("gemini", "anthropic")
    for name in names:
        monkeypatch.setitem(CODECS, name, msgspec.structs.replace(CODECS[name], encode_request=broken))
    client = await asked(services[0], "openai-chat", stream=True)
    assert client.status == 502 and "bm itself failed" in json.loads(client.body)["error"]["message"]


async def test_a_fault_outside_of_any_attempt_is_an_error_of_the_clients_protocol(
    services: tuple[Services, Simulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services[0].router, "plan", broken)
    client = await asked(services[0], "anthropic", stream=True)
    assert client.status == 502 and json.loads(client.body)["type"] == "error"
    assert services[0].calls.active == 0


async def test_what_cannot_be_learnt_costs_no_response(
    services: tuple[Services, Simulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services[0].signatures, "keep", broken)
    client = await asked(services[0], "anthropic", stream=False)
    assert client.status == 200 and services[0].calls.active == 0


def test_the_log_has_the_place_and_not_the_text(caplog: pytest.LogCaptureFixture) -> None:
    try:
        parsed_arguments(5)  # type: ignore[arg-type]
    except (TypeError, AttributeError) as error:
        error.args = (SECRET,)
        failure = own_fault(error)
    assert re.search(r"(Type|Attribute)Error at bm/chat/arguments\.py:\d+ in \w+", caplog.text)
    assert SECRET not in caplog.text and SECRET not in failure.message


def test_deep_json_is_no_fault_of_bms(caplog: pytest.LogCaptureFixture) -> None:
    failure = own_fault(RecursionError(SECRET))
    assert failure.kind == "malformed" and "nested too deeply" in failure.message and caplog.text == ""
