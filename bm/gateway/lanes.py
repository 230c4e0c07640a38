"""How a call becomes a request for each target, and a target's answer the client's: passed through or translated."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property

import msgspec

from bm import sse
from bm.accounts.account import Access
from bm.chat.capabilities import Capabilities
from bm.chat.events import Event
from bm.chat.parts import Json
from bm.chat.repair import without_media
from bm.chat.request import ChatRequest, Loss
from bm.dispatch.target import Target
from bm.errors import Failure, RequestError
from bm.gateway.call import Call, json_object
from bm.gateway.counting import answer as count_answer
from bm.gateway.counting import counted, flattened, question
from bm.gateway.embedding import EMBEDDING, embedded, embedding_lane, operation_of
from bm.gateway.lane import JSON_TYPE, NO_COUNTER, Lane, Rules, Unable, Whole, failed, new_id, start_of
from bm.gateway.learned import RefusedSchemas
from bm.gateway.media import Fetch, inlined, wanted
from bm.gateway.stores import SignatureStore
from bm.protocols.anthropic.thinking import LOST_THINKING, asks_to_think
from bm.protocols.codec import IdFactory, StreamEncoder
from bm.protocols.gemini.array import ArrayFramer, ArraySplitter
from bm.protocols.json_schema.subsets import with_basic_schemas
from bm.protocols.openai_responses.stream_encoder import ResponsesStreamEncoder
from bm.protocols.passthrough import EventParser, PassThrough, ResponsePipe, Watch
from bm.protocols.registry import CODECS, upstream_codec
from bm.protocols.resume import ResumablePassThrough
from bm.protocols.sanitize import sanitize
from bm.protocols.splice import rename_in_events, rename_in_response, splice_model
from bm.protocols.tools import with_legal_names
from bm.protocols.translate import EventFilter, Translation
from bm.providers.provider import Provider
from bm.upstream.client import UpstreamRequest
from bm.upstream.endpoint import forwarded_headers, offers, own_headers, url


class Lanes:
    """All lanes of one call. The body is decoded once, and only when a target needs it.

    `limit` gives the longest answer of a provider's model in tokens, as its list has it; 0 when it says nothing.
    """

    def __init__(
        self,
        call: Call,
        signatures: SignatureStore,
        rules: Rules,
        limit: Callable[[str, str], int] | None = None,
        refused: RefusedSchemas | None = None,
    ) -> None:
        self.call = call
        self._refused = refused or RefusedSchemas()
        self._limit = limit or _unlimited
        self._signatures, self._rules = signatures, rules
        self._codec = CODECS[call.protocol]
        self._answering: ResponsesStreamEncoder | None = None
        self._answered: Json | None = None

    @cached_property
    def chat(self) -> ChatRequest:
        """The call in canonical form.

        Raises:
            RequestError: the body is not a request of its protocol.
        """
        body = json_object(self.call.body)
        if self.call.protocol == "gemini":
            request = self._codec.decode_request(body, model=self.call.model, stream=self.call.stream)
        else:
            request = self._codec.decode_request(body)
        return self._signatures.sign(request, self.call.conversation.key)

    async def inline_media(
        self, target: Target, provider: Provider, fetch: Fetch, without: Collection[str] = ()
    ) -> None:
        """Fetch what the target cannot read by URL, once for all targets of the call, but for media it is not sent.

        Raises:
            RequestError: a URL cannot be had, or the body is not a request of its protocol.
        """
        if target.protocol == self.call.protocol or self.call.operation in EMBEDDING:
            return
        capabilities = self.capabilities(target, provider)
        if urls := wanted(without_media(self.chat, without)[0], target.protocol, capabilities):
            self.chat = await inlined(self.chat, urls, fetch)

    def prepare(
        self,
        target: Target,
        provider: Provider,
        access: Access,
        *,
        simple_schemas: bool = False,
        without: Collection[str] = (),
    ) -> Lane:
        """The request for a target, `without` these kinds of media.

        Raises:
            Unable: the target cannot serve it.
            RequestError: the body is not a request of its protocol, or `strict` refuses what would be lost.
        """
        operation = operation_of(self.call, target)
        if not offers(target.protocol, operation, access):
            message = f"{provider.name} has no endpoint to {operation.replace('_', ' ')} over {target.protocol}"
            raise Unable(
                Failure(kind="not_found", message=message, code=NO_COUNTER if operation == "count_tokens" else "")
            )
        if target.protocol == self.call.protocol and not without:
            return self._passed_through(target, provider, access)
        if operation in EMBEDDING:
            return embedding_lane(self.call, target, provider, access)
        return self.translated(self.chat, target, provider, access, simple_schemas=simple_schemas, without=without)

    def _passed_through(self, target: Target, provider: Provider, access: Access) -> Lane:
        call = self.call
        body = sanitize(
            call.protocol,
            call.body,
            cache_control=provider.cache_control,
            extra_content="extra_content" in provider.dialect.takes,
        )
        changed = call.protocol == "anthropic" and body is not call.body
        thoughtless = changed and asks_to_think(call.body) and not asks_to_think(body)
        if call.protocol != "gemini" and target.model != call.model:
            body = splice_model(body, target.model, present=call.model)
        if access.location and call.operation == "count_tokens":
            body = flattened(body)
        address = url(
            provider, target, call.operation, access, stream=call.stream, version=call.version, query=call.query
        )
        headers = forwarded_headers(provider, access, call.headers)
        request = UpstreamRequest(provider.name, "POST", address, headers, body)
        return Lane(
            target, request, upstream_codec(target.protocol, provider.dialect), (LOST_THINKING,) if thoughtless else ()
        )

    def translated(
        self,
        chat: ChatRequest,
        target: Target,
        provider: Provider,
        access: Access,
        *,
        simple_schemas: bool = False,
        without: Collection[str] = (),
    ) -> Lane:
        """The request for a target, written anew from canonical form.

        Raises:
            Unable: the target cannot serve it.
            RequestError: `strict` refuses what would be lost.
        """
        codec = upstream_codec(target.protocol, provider.dialect)
        simple = simple_schemas or self._refused.refuses((target.provider, target.model), chat)
        capabilities = self.capabilities(target, provider)
        if simple and target.protocol == "gemini":
            capabilities = msgspec.structs.replace(capabilities, json_schema=False)
        elif simple:
            chat = with_basic_schemas(chat)
        if access.location:
            # Vertex AI has no `includeServerSideToolInvocations`, without which the two do not go together.
            capabilities = msgspec.structs.replace(capabilities, search_with_tools=False)
        chat, missed = without_media(chat, without)
        request, names = with_legal_names(chat, target.protocol)
        try:
            encoded = codec.encode_request(request, capabilities, model=target.model)
        except RequestError as error:
            raise Unable(error.failure) from error
        losses = (*missed, *encoded.losses)
        if losses and self._rules.strict:
            raise RequestError(_refused(losses, target))
        query = "alt=sse" if target.protocol == "gemini" and self.call.stream else ""
        address = url(provider, target, self.call.operation, access, stream=self.call.stream, query=query)
        headers = own_headers(provider, access, encoded.headers)
        document = encoded.body
        if self.call.operation == "count_tokens":
            document = question(target.protocol, document, target.model, vertex=bool(access.location))
        body = msgspec.json.encode(document)
        upstream = UpstreamRequest(provider.name, "POST", address, headers, body)
        return Lane(target, upstream, codec, losses, names, simple_schemas=simple)

    def capabilities(self, target: Target, provider: Provider) -> Capabilities:
        """What the target's model takes."""
        found = provider.capabilities(target.protocol, target.model)
        most = self._limit(target.provider, target.model)
        if most and "max_output" not in provider.said(target.model):
            found = msgspec.structs.replace(found, max_output=most)
        return found

    def _shown_model(self, lane: Lane) -> str:
        return self.call.model if self._rules.echo_asked else lane.target.model

    def pipe(self, lane: Lane) -> ResponsePipe:
        """The pipe for the stream that answers a lane's request."""
        if lane.names is not None:
            return self.written(lane, self.encoder(lane), self.filter(lane.names))
        ids = _ids()
        encoder = self._codec.stream_encoder(_nothing(self.call), ids, model=lane.target.model)
        decoder, rename = lane.codec.stream_decoder(ids), self._rename(lane)
        return PassThrough(self._parser(lane), decoder, encoder, rename=rename, framed=not self.call.array)

    def _rename(self, lane: Lane) -> Callable[[bytes], bytes] | None:
        """What puts the asked model's name into the upstream's own events; None where theirs stays."""
        model = self._insisted(lane)
        return rename_in_events(self.call.protocol, model) if model else None

    def _insisted(self, lane: Lane) -> str:
        """The model's name that replaces the upstream's in its own bytes; empty where that stays."""
        return self.call.model if self._rules.echo_asked and self.call.model != lane.target.model else ""

    def resumable(self, lane: Lane, events: EventFilter) -> ResumablePassThrough:
        """The pipe that passes a lane's bytes through so that another target can finish the response.

        Raises:
            RequestError: the body is not a request of its protocol.
        """
        ids, model = _ids(), self._insisted(lane)
        thinking = msgspec.structs.replace(self.chat.reasoning, visible=True)
        request = msgspec.structs.replace(self.chat, reasoning=thinking)
        spare = self._codec.stream_encoder(_nothing(self.call), ids, model=lane.target.model)

        def make(ids: IdFactory, shown: str) -> StreamEncoder:
            return self._codec.stream_encoder(request, ids, model=shown or lane.target.model)

        decoder, rename = lane.codec.stream_decoder(ids), self._rename(lane)
        return ResumablePassThrough(sse.Parser(), decoder, spare, events, make, ids, model=model, rename=rename)

    def written(self, lane: Lane, encoder: StreamEncoder, events: EventFilter) -> ResponsePipe:
        """The pipe that writes a lane's answer with `encoder`, even where its bytes could pass through."""
        if isinstance(encoder, ResponsesStreamEncoder):
            self._answering = encoder
        return Translation(self._parser(lane), lane.codec.stream_decoder(_ids()), encoder, events)

    def _parser(self, lane: Lane) -> EventParser:
        return ArraySplitter() if lane.passes_through and self.call.array else sse.Parser()

    def encoder(self, lane: Lane) -> StreamEncoder:
        """An encoder for the client's stream, under the model's name that this lane shows.

        Raises:
            RequestError: the body is not a request of its protocol.
        """
        return self._stream_encoder(self.chat, _ids(), self._shown_model(lane))

    def _stream_encoder(self, request: ChatRequest, ids: IdFactory, model: str) -> StreamEncoder:
        encoder = self._codec.stream_encoder(request, ids, model=model)
        if isinstance(encoder, ResponsesStreamEncoder):
            self._answering = encoder
        return ArrayFramer(encoder) if self.call.array else encoder

    @property
    def response(self) -> Json | None:
        """What a Responses client was answered by translation; None while there is nothing."""
        return self._answering.response if self._answering is not None else self._answered

    @property
    def stream_type(self) -> str:
        """The content type of a translated stream."""
        return JSON_TYPE if self.call.array else "text/event-stream"

    def filter(self, names: Mapping[str, str]) -> EventFilter:
        """What happens to the events of a translated answer."""
        return EventFilter(names, single_call=self.chat.tool_choice.parallel is False)

    def whole(self, lane: Lane, body: bytes) -> Whole:
        """The client's answer from the body of an answer that is not a stream."""
        ids = _ids()
        try:
            answer = json_object(body)
        except RequestError:
            return failed(f"{lane.target.provider} sent no JSON object: {start_of(body)}")
        if self.call.operation != "generate":
            return self._told(lane, answer, body)
        events = lane.codec.decode_response(answer, ids)
        if lane.names is None:
            return self._as_it_came(events, answer, body)
        filtering = self.filter(lane.names)
        kept = filtering.through(events)
        if filtering.watch.failure is not None:
            return Whole(filtering.watch)
        return Whole(filtering.watch, *self._encoded(lane, self.chat, kept, ids))

    def _as_it_came(self, events: Iterable[Event], answer: Json, body: bytes) -> Whole:
        """The upstream's own answer, even where bm sees none in it: a response that is still queued, for example.

        What makes no sense may come out better elsewhere; it keeps its body, for the client to read if it does not.
        """
        passing = EventFilter({})
        passing.through(events)
        failure = passing.watch.failure
        if failure is not None and failure.kind == "server" and not answer.get("error"):
            passing.watch.failure = None
        elif failure is not None and failure.kind == "malformed":
            passing.watch.failure = msgspec.structs.replace(failure, upstream_status=200, upstream_body=body)
        if self._rules.echo_asked:
            body = rename_in_response(self.call.protocol, body, self.call.model)
        return Whole(passing.watch, body)

    def _encoded(self, lane: Lane, request: ChatRequest, events: list[Event], ids: IdFactory) -> tuple[bytes, str]:
        """The client's body and its content type: a stream if it asked for one, although the upstream sent none."""
        shown = self._shown_model(lane)
        if self.call.stream:
            encoder = self._stream_encoder(request, ids, shown)
            return b"".join(encoder.feed(event) for event in events), self.stream_type
        document = self._codec.encode_response(events, request, ids, model=shown)
        self._answered = document
        return msgspec.json.encode(document), JSON_TYPE

    def _told(self, lane: Lane, answer: Json, body: bytes) -> Whole:
        """The answer to a question that is no generation: a count, or embeddings, which only pass through."""
        if lane.embedding is not None:
            return embedded(self.call.protocol, lane, answer)
        if lane.names is None:
            return Whole(Watch(), body)
        tokens = counted(answer)
        if tokens is None:
            return failed(f"{lane.target.provider} sent no count: {start_of(body)}")
        return Whole(Watch(), count_answer(self.call.protocol, tokens), JSON_TYPE)


def _unlimited(provider: str, model: str) -> int:
    """Nothing is known of the longest answer."""
    return 0


def _ids() -> IdFactory:
    return IdFactory(new_id, int(time.time()))


def _nothing(call: Call) -> ChatRequest:
    """Stands for the request where the encoder only writes keep-alives and errors."""
    return ChatRequest(protocol=call.protocol, model=call.model, turns=(), stream=call.stream)


def _refused(losses: tuple[Loss, ...], target: Target) -> Failure:
    listed = "; ".join(f"{loss.field}: {loss.reason}" for loss in losses)
    message = f"{target} cannot take all of the request, and [pool] strict is on: {listed}"
    return Failure(kind="bad_request", message=message, param=losses[0].field)
