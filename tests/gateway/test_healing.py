"""Refusals that are healed, and what is learnt from it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from bm.dispatch.target import Target
from bm.errors import Failure, RequestError
from bm.gateway.healing import Healing
from bm.gateway.learned import LearnedRemedies
from bm.gateway.upstream_call import UpstreamCall
from bm.protocols.registry import CODECS
from bm.remedies.apply import treated
from bm.remedies.remedy import Remedy
from bm.simulator import Rule
from bm.upstream.client import UpstreamRequest
from tests.gateway.matrix import providers
from tests.gateway.world import MODELS, World

TARGET = Target("groq", "key", "llama", "openai-chat")
BODY = b'{"model":"llama","seed":1,"top_k":2}'
NO_SEED = Failure(kind="bad_request", message="Unsupported parameter: 'seed'")
NO_TOP_K = Failure(kind="bad_request", message="Unsupported parameter: 'top_k'")


class Model:
    """Makes requests as the remedies say."""

    def __init__(self) -> None:
        self.learned = LearnedRemedies()
        self.healing = Healing(self.learned)

    def request(self) -> UpstreamCall:
        body, effective = treated(BODY, self.healing.of(TARGET), "openai-chat")
        request = UpstreamRequest("groq", "POST", "https://groq.example", [], body)
        return UpstreamCall(TARGET, request, CODECS["openai-chat"], remedies=effective)

    def refuse(self, failure: Failure) -> str:
        return self.healing.find(failure, self.request(), TARGET, self.request)

    def answer(self) -> None:
        self.healing.learn(self.request(), TARGET, providers()["groq"])


def test_remedies_add_up_and_are_learnt_once_the_model_answers() -> None:
    model = Model()
    assert (model.refuse(NO_SEED), model.refuse(NO_TOP_K)) == ("drop seed", "drop top_k")
    assert model.request().request.body == b'{"model":"llama"}'
    assert model.learned.saved() == ()
    model.answer()
    assert [each.change for each in Healing(model.learned).of(TARGET)] == [("drop", "seed", ()), ("drop", "top_k", ())]


def test_a_remedy_that_did_not_help_is_given_up_and_not_tried_again() -> None:
    model = Model()
    assert model.refuse(NO_SEED) == "drop seed"
    assert model.refuse(NO_SEED) == ""
    assert model.request().request.body == BODY
    model.answer()
    assert model.learned.saved() == ()


def test_a_remedy_that_changes_nothing_is_not_tried() -> None:
    assert Model().refuse(Failure(kind="bad_request", message="Unsupported parameter: 'store'")) == ""


def test_what_concerns_one_request_is_not_learnt() -> None:
    model = Model()
    when = Failure(kind="bad_request", message="`seed` is not supported when top_k is set")
    assert model.refuse(when) == "drop seed"
    model.answer()
    assert model.learned.saved() == ()


def test_a_client_reads_what_is_wrong_with_its_own_schema() -> None:
    asked = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "objekt"}}}
    body = msgspec.json.encode({"model": "llama", "messages": [], "response_format": asked})
    invalid = Failure(kind="bad_request", message="Invalid schema for response_format 'a': 'objekt' is not valid")
    for own, remedy in ((True, ""), (False, "weaken (schema)")):
        model = Model()
        first = UpstreamCall(
            TARGET,
            UpstreamRequest("groq", "POST", "https://groq.example", [], body),
            CODECS["openai-chat"],
        )

        def prepare(model: Model = model, first: UpstreamCall = first) -> UpstreamCall:
            return first.changed(model.healing.of(TARGET), "openai-chat", strict=False)

        assert model.healing.find(invalid, first, TARGET, prepare, own=own) == remedy


def test_a_request_that_cannot_be_made_is_no_remedy() -> None:
    model = Model()

    def refuse() -> UpstreamCall:
        raise RequestError(Failure(kind="bad_request", message="strict"))

    assert model.healing.find(NO_SEED, model.request(), TARGET, refuse) == ""


def test_what_is_learnt_is_used_at_once() -> None:
    model = Model()
    model.learned.learn(providers()["groq"], TARGET, Remedy("drop", "seed"), wall=0.0)
    assert model.request().request.body == b'{"model":"llama","top_k":2}'


@pytest.fixture(autouse=True)
def nothing_is_kept(request: pytest.FixtureRequest) -> Iterator[None]:
    """The daemon of these tests outlives them."""
    world = request.getfixturevalue("world") if "world" in request.fixturenames else None
    yield
    if world is not None:
        for model in (MODELS["gemini"], SEEING):
            world.admin("models/forget", {"model": model})


LIMIT = Rule(status=400, message="generation_config.temperature: Input should be less than or equal to 0.5")


@pytest.mark.parametrize("protocol", ["anthropic", "openai-chat", "openai-responses"])
def test_a_limit_that_bm_has_never_heard_of_is_kept_from_then_on(world: World, protocol: str) -> None:
    world.sim.script(LIMIT)
    first = world.ask(protocol, MODELS["gemini"], temperature=0.9)
    assert first.complete and first.bm("attempts") == "2"
    again = world.ask(protocol, MODELS["gemini"], temperature=0.9)
    assert again.complete and again.bm("attempts") == "1"
    temperatures = [call.body["generationConfig"]["temperature"] for call in world.calls()]
    assert temperatures == [0.9, 0.5, 0.5]
    assert "temperature" in again.headers["x-bm-dropped"]
    (learned,) = world.admin("models/learned", {"model": MODELS["gemini"]})["learned"]
    assert (learned["remedy"], LIMIT.message in learned["reason"]) == ("clamp generationConfig.temperature (0.5)", True)
    shown = world.admin("why/last")["attempts"][0]["reason"]
    assert "changed: clamp generationConfig.temperature (0.5)" in shown


def test_an_error_in_the_stream_before_any_content_is_healed_too(world: World) -> None:
    world.sim.script(Rule(error_after=0, status=400, message=LIMIT.message))
    answer = world.ask("anthropic", MODELS["gemini"], temperature=0.9)
    assert answer.complete and answer.bm("attempts") == "2"


@pytest.mark.parametrize("stream", [True, False])
def test_a_conversation_that_is_broken_is_written_anew_and_the_answer_passes_through(
    world: World, stream: bool
) -> None:
    world.set_up(modes={"anthropic": "exclusive"})
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [call]}]
    messages = [*turns, {"role": "user", "content": "go on"}]
    answer = world.ask("anthropic", stream=stream, messages=messages, service_tier="auto")
    assert answer.complete and answer.bm("attempts") == "2"
    assert b"msg_sim" in answer.body
    sent = world.calls()[-1].body
    result, text = sent["messages"][2]["content"]
    assert (result["tool_use_id"], text["text"], sent["service_tier"]) == ("toolu_1", "go on", "auto")


def test_an_unknown_refusal_is_reported_as_it_is(world: World) -> None:
    world.sim.script(Rule(status=400, message="we do not like this"))
    answer = world.ask("anthropic", MODELS["gemini"], temperature=0.9)
    assert answer.status == 400 and "we do not like this" in answer.message
    assert len(world.calls()) == 1


SEEING = "together:moonshotai/Kimi-K3"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def test_a_model_that_takes_no_images_is_sent_notes_from_then_on(world: World) -> None:
    world.set_up(modes={"together": "fallback"})
    world.sim.script(Rule(status=400, message="This model does not support image input"))
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    earlier = [{"role": "user", "content": [image]}, {"role": "assistant", "content": "a dot"}]
    messages = [*earlier, {"role": "user", "content": "and now?"}]
    assert world.ask("anthropic", SEEING, messages=messages).bm("attempts") == "2"
    again = world.ask("anthropic", SEEING, messages=messages)
    assert again.complete and again.bm("attempts") == "1"
    assert "image" in again.headers["x-bm-dropped"]
    (learned,) = world.admin("models/learned", {"model": SEEING})["learned"]
    assert learned["remedy"] == "lacks (images)"
