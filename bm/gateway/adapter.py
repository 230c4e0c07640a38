"""Adapts a call to its targets: the request for each of them, and the client's response from what it answers.

Where the upstream speaks the client's protocol, bytes pass through. Otherwise both ways are translated through the
canonical form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial

import msgspec

from bm import sse
from bm.accounts.account import Access
from bm.chat.capabilities import Capabilities
from bm.chat.events import Event
from bm.chat.parts import Json
from bm.chat.repair import with_retry_hint, without_media
from bm.chat.request import ChatRequest, Loss
from bm.dispatch.failover import Attempt
from bm.dispatch.target import Target
from bm.errors import Failure, RequestError
from bm.gateway.call import TOO_DEEP, Call, json_object, new_ids
from bm.gateway.continuation import Delivered
from bm.gateway.full_response import EVENT_STREAM, JSON_TYPE, FullResponse, counted, embedded, malformed, own, start_of
from bm.gateway.media import Fetch, inlined, urls_to_fetch
from bm.gateway.resume import ResumablePassThrough
from bm.gateway.settings import Rules
from bm.gateway.stores import SignatureStore
from bm.gateway.upstream_call import UpstreamCall
from bm.names import EMBEDDINGS, FITTED, Operation
from bm.protocols import embeddings
from bm.protocols.answer_repair import AnswerRepair, CheckedDecoder
from bm.protocols.anthropic.thinking import LOST_THINKING, asks_to_think
from bm.protocols.client_tools import as_functions
from bm.protocols.codec import IdFactory, StreamEncoder
from bm.protocols.compaction import compacted, triggered
from bm.protocols.counting import count_request, vertex_count_request
from bm.protocols.framing import EventParser, JoiningParser
from bm.protocols.gemini.array import ArrayFramer, ArraySplitter
from bm.protocols.openai_chat.usage import asks_for_usage, with_usage, without_usage
from bm.protocols.openai_responses.portable import LOCAL, only_for_openai
from bm.protocols.openai_responses.stream_decoder import ResponsesStreamDecoder
from bm.protocols.openai_responses.stream_encoder import ResponsesStreamEncoder
from bm.protocols.passthrough import PassThrough, ResponsePipe, Watch
from bm.protocols.property_keys import with_legal_keys
from bm.protocols.registry import CODECS, upstream_codec
from bm.protocols.sanitize import is_unpaired, sanitize
from bm.protocols.splice import rename_in_events, rename_in_response, splice_model
from bm.protocols.tools import with_legal_names
from bm.protocols.translate import EventFilter, Translation
from bm.providers.catalog import OPENAI_CLIENTS
from bm.providers.families import family_of
from bm.providers.listing import Facts
from bm.providers.provider import Provider
from bm.providers.resolve import replaces
from bm.remedies.apply import REWRITE, SPEAK
from bm.remedies.remedy import Remedy
from bm.upstream.client import UpstreamRequest
from bm.upstream.endpoint import forwarded_headers, offers, own_headers, url
from bm.upstream.headers import Headers, with_own

NO_COUNTER = "no_counter"
"""The code of the failure of a target that cannot count tokens."""
GROQ_PATH = "/openai/v1/"
GEMINI_EMBEDDING = "gemini-embedding-001"
"""The model that embeds on Gemini when the client names another vendor's."""


class Unable(RequestError):
    """A target cannot serve a call that another may serve."""


class Adapter:
    """Adapts one call to all its targets. The body is decoded once, and only when a target needs it.

    `facts` returns what a provider's model list says of its models, `remedies` what requests to a target are changed
    by.
    """

    def __init__(
        self,
        call: Call,
        signatures: SignatureStore,
        rules: Rules,
        facts: Callable[[str], Mapping[str, Facts]] = lambda provider: {},
        remedies: Callable[[Target], tuple[Remedy, ...]] = lambda target: (),
    ) -> None:
        self.call = call
        self._signatures, self._rules, self._facts = signatures, rules, facts
        self._remedies = remedies
        self._codec = CODECS[call.protocol]
        self._responses: dict[Target, ResponsesStreamEncoder | ResponsesStreamDecoder] = {}
        self._documents: dict[Target, Json] = {}

    @cached_property
    def chat(self) -> ChatRequest:
        """The call in canonical form.

        Raises:
            RequestError: the body is not a request of its protocol.
        """
        body = json_object(self.call.body)
        if self.call.operation == "compact":
            body = triggered(body)
        try:
            if self.call.protocol == "gemini":
                request = self._codec.decode_request(body, model=self.call.model, stream=self.call.stream)
            else:
                request = self._codec.decode_request(body)
        except RecursionError as error:
            raise RequestError(TOO_DEEP) from error
        if self.call.path.startswith(GROQ_PATH):
            request = msgspec.structs.replace(request, groq_usage=True)
        return self._signatures.sign(request, self.call.conversation.key)

    @property
    def readable(self) -> bool:
        """Whether bm understands the request: an upstream of the client's protocol may take what bm does not."""
        try:
            return self.chat.choices == 1
        except RequestError:
            return False

    def is_continuable(self, begun: bool) -> bool:
        """Whether another target may finish a response. JSON that has begun is not put together from two answers."""
        return self.readable and not (begun and self.chat.output.kind != "text")

    def capabilities(self, target: Target, provider: Provider) -> Capabilities:
        """What the target's model takes."""
        facts = self._facts(target.provider).get(target.model, {})
        return provider.capabilities(target.protocol, target.model, facts)

    def known(self, target: Target, provider: Provider) -> Capabilities | None:
        """What the target's model takes; None for a model of no known family."""
        return self.capabilities(target, provider) if family_of(target.model, provider.dialect.name) else None

    async def fetch_missing(self, attempt: Attempt, provider: Provider, fetch: Fetch) -> None:
        """Add what the target cannot fetch, once for all targets: media, and signatures that other nodes know.

        Raises:
            RequestError: a URL cannot be fetched, or the body is not a request of its protocol.
        """
        target = self._target(attempt.target)
        if target.protocol == self.call.protocol or self.call.operation in EMBEDDINGS:
            return
        self.chat = await self._signatures.recall(self.chat, self.call.conversation.key)
        capabilities, (sent, _) = self.capabilities(target, provider), without_media(self.chat, attempt.without)
        if urls := urls_to_fetch(sent, target.protocol, capabilities):
            self.chat = await inlined(self.chat, urls, fetch)

    def prepare(self, attempt: Attempt, provider: Provider, access: Access) -> UpstreamCall:
        """The request for an attempt.

        Raises:
            Unable: the target cannot serve the call.
            RequestError: the body is not a request of its protocol, or `strict` refuses what would be lost.
        """
        target = self._target(attempt.target)
        if self.call.losses and self._rules.strict:
            raise RequestError(_refusal(self.call.losses, target))
        attempt = msgspec.structs.replace(attempt, target=target)
        passes = self._passes(target, provider)
        operation = self._operation(target, passes=passes)
        if not offers(target.protocol, operation, access):
            message = f"{provider.name} has no endpoint to {operation.replace('_', ' ')} over {target.protocol}"
            code = NO_COUNTER if operation == "count_tokens" else ""
            raise Unable(Failure(kind="not_found", message=message, code=code))
        if attempt.retry_hint and self.readable:
            return self.translate(with_retry_hint(self.chat), attempt, provider, access)
        rewrites = (remedy.operation == REWRITE for remedy in self._remedies(target))
        rewritten = any(rewrites) or is_unpaired(self.call.protocol, self.call.body)
        if passes and not attempt.without:
            if fitted := self._fitted(attempt, provider, access, rewritten=rewritten):
                return fitted
            if not rewritten:
                return self._pass_through(target, provider, access)
        if operation in EMBEDDINGS:
            return self._embed(target, provider, access)
        return self.translate(self.chat, attempt, provider, access)

    def _target(self, target: Target) -> Target:
        """The target on a protocol that has the operation and that the model is known to demand.

        OpenAI's embeddings count as Chat Completions.
        """
        if self.call.operation in EMBEDDINGS and target.protocol == "openai-responses":
            return msgspec.structs.replace(target, protocol="openai-chat")
        spoken = next((remedy for remedy in self._remedies(target) if remedy.operation == SPEAK), None)
        return msgspec.structs.replace(target, protocol=spoken.values[0]) if spoken is not None else target

    def _healed(self, upstream: UpstreamCall) -> UpstreamCall:
        return upstream.changed(self._remedies(upstream.target), self.call.protocol, strict=self._rules.strict)

    def _passes(self, target: Target, provider: Provider) -> bool:
        """Whether the target speaks the client's protocol as the client does."""
        if target.protocol != self.call.protocol or target.protocol != "openai-responses":
            return target.protocol == self.call.protocol
        service = LOCAL if provider.local else provider.dialect.name
        return not only_for_openai(self.call.body, self.call.operation, service)

    def _operation(self, target: Target, *, passes: bool) -> Operation:
        """The operation under the target's name for it. Without one to compact, it is asked for a summary."""
        if self.call.operation == "compact" and not passes:
            return "generate"
        if self.call.operation not in EMBEDDINGS or target.protocol == self.call.protocol:
            return self.call.operation
        return "batch_embed" if target.protocol == "gemini" else "embed"

    def _fitted(self, attempt: Attempt, provider: Provider, access: Access, *, rewritten: bool) -> UpstreamCall | None:
        """The request as the model takes it, where it is rewritten or bm chose a model of another family; else None."""
        target, call = attempt.target, self.call
        if call.operation not in FITTED or not (rewritten or replaces(call.model, target.provider, target.model)):
            return None
        try:
            upstream = self.translate(self.chat, attempt, provider, access)
        except Unable:
            raise
        except RequestError:
            return None
        foreign = target.protocol == "openai-responses" and provider.dialect.name != "openai"
        if upstream.renames or foreign:
            return upstream
        headers = forwarded_headers(provider, access, with_own(call.headers, upstream.request.headers))
        address = self._own_url(target, provider, access)
        request = msgspec.structs.replace(upstream.request, url=address, headers=headers)
        return msgspec.structs.replace(upstream, names=None, request=request)

    def _pass_through(self, target: Target, provider: Provider, access: Access) -> UpstreamCall:
        call, family = self.call, family_of(target.model)
        given = call.short if call.home == target.account_id else call.body
        body = sanitize(
            call.protocol,
            given,
            cache_control=provider.cache_control,
            extra_content="extra_content" in provider.dialect.takes,
            lone_choice=call.protocol not in OPENAI_CLIENTS or provider.dialect.name == "openai",
            claude=family is not None and family.vendor == "claude",
            words=call.words if given is call.body else None,
            outline=call.outline,
        )
        changed = call.protocol == "anthropic" and body is not given
        lost_thinking = changed and asks_to_think(call.body) and not asks_to_think(body)
        if call.protocol != "gemini" and target.model != call.model:
            body = splice_model(body, target.model, present=call.model)
        if access.location and call.operation == "count_tokens":
            body = vertex_count_request(body)
        if self._hides_usage and provider.dialect.stream_usage:
            body = with_usage(body)
        headers = forwarded_headers(provider, access, call.headers)
        upstream = UpstreamCall(
            target=target,
            request=UpstreamRequest(provider.name, "POST", self._own_url(target, provider, access), headers, body),
            codec=upstream_codec(target.protocol, provider.dialect),
            losses=(*call.losses, LOST_THINKING) if lost_thinking else call.losses,
        )
        return self._healed(upstream) if call.operation not in EMBEDDINGS else upstream

    def _own_url(self, target: Target, provider: Provider, access: Access) -> str:
        """The URL of a request of the client's own protocol, with what the client's URL carried."""
        call = self.call
        return url(provider, target, call.operation, access, stream=call.stream, version=call.version, query=call.query)

    def _embed(self, target: Target, provider: Provider, access: Access) -> UpstreamCall:
        request = embeddings.decode_request(self.call.protocol, json_object(self.call.body))
        if target.protocol == "gemini" and "embed" not in target.model:
            target = msgspec.structs.replace(target, model=GEMINI_EMBEDDING)
        documents = embeddings.encode_requests(target.protocol, request, target.model)
        address = url(provider, target, self._operation(target, passes=False), access, stream=False)
        first, *further = (_post(provider, address, own_headers(provider, access), each) for each in documents)
        codec = upstream_codec(target.protocol, provider.dialect)
        return UpstreamCall(target, first, codec, embedding=request, further=tuple(further))

    def translate(self, chat: ChatRequest, attempt: Attempt, provider: Provider, access: Access) -> UpstreamCall:
        """The request for an attempt, written from canonical form.

        Raises:
            Unable: the target cannot serve it.
            RequestError: `strict` refuses what would be lost.
        """
        target, call = self._target(attempt.target), self.call
        codec = upstream_codec(target.protocol, provider.dialect)
        capabilities = self.capabilities(target, provider)
        if any(remedy.operation == "send_reasoning" for remedy in self._remedies(target)):
            capabilities = msgspec.structs.replace(capabilities, replay="reasoning_content", replay_required=True)
        if access.location:
            # Vertex AI lacks `includeServerSideToolInvocations`, which the combination needs.
            capabilities = msgspec.structs.replace(capabilities, search_with_tools=False)
        chat, left_out = without_media(chat, attempt.without)
        try:
            request, names = with_legal_names(as_functions(chat, target.protocol), target.protocol)
            request, keys = with_legal_keys(request, target.protocol)
            encoded = codec.encode_request(request, capabilities, model=target.model)
        except (RequestError, RecursionError) as error:
            raise Unable(error.failure if isinstance(error, RequestError) else TOO_DEEP) from error
        losses = (*call.losses, *left_out, *encoded.losses)
        if losses and self._rules.strict:
            raise RequestError(_refusal(losses, target))
        query = "alt=sse" if target.protocol == "gemini" and call.stream else ""
        operation = self._operation(target, passes=False)
        address = url(provider, target, operation, access, stream=call.stream, query=query)
        document = encoded.body
        if call.operation == "count_tokens":
            document = count_request(target.protocol, document, target.model, vertex=bool(access.location))
        upstream = UpstreamCall(
            target=target,
            request=_post(provider, address, own_headers(provider, access, encoded.headers), document),
            codec=codec,
            losses=losses,
            names={tool.name: tool.name for tool in request.tools} | names,
            keys=keys,
        )
        return self._healed(upstream)

    def pipe(self, upstream: UpstreamCall, delivered: Delivered | None = None) -> ResponsePipe:
        """The pipe for a streamed answer. With `delivered`, another target can finish one that passes through."""
        if not upstream.passes_through:
            return self.translation(upstream, self.encoder(upstream), self.event_filter(upstream))
        decoder = upstream.codec.stream_decoder(new_ids())
        if isinstance(decoder, ResponsesStreamDecoder):
            self._responses[upstream.target] = decoder
        decoder = CheckedDecoder(decoder)
        parser, encoder = self._parser(upstream), self.call.notices(upstream.target.model)
        rename = self._rename(upstream)
        if delivered is None or self.call.array:
            framed = not self.call.array
            return PassThrough(parser, decoder, encoder, rename=rename, drop=self._drop, framed=framed)
        make, model = partial(self._continuing_encoder, upstream), self.call.model if rename else ""
        edits = {"rename": rename, "drop": self._drop}
        return ResumablePassThrough(parser, decoder, encoder, delivered, make, new_ids(), model=model, **edits)

    def _continuing_encoder(self, upstream: UpstreamCall, ids: IdFactory, model: str) -> StreamEncoder:
        """An encoder for what follows a stream that passed through, in which thinking is visible if there is any."""
        visible = msgspec.structs.replace(self.chat.reasoning, visible=True)
        request = msgspec.structs.replace(self.chat, reasoning=visible)
        return self._codec.stream_encoder(request, ids, model=model or upstream.target.model)

    def translation(self, upstream: UpstreamCall, encoder: StreamEncoder, events: EventFilter) -> ResponsePipe:
        """The pipe that writes an answer with `encoder`, even where its bytes could pass through."""
        if isinstance(encoder, ResponsesStreamEncoder):
            self._responses[upstream.target] = encoder
        return Translation(self._parser(upstream), upstream.codec.stream_decoder(new_ids()), encoder, events)

    def encoder(self, upstream: UpstreamCall) -> StreamEncoder:
        """An encoder for the client's stream.

        Raises:
            RequestError: the body is not a request of its protocol.
        """
        encoder = self._codec.stream_encoder(self.chat, new_ids(), model=self._shown_model(upstream))
        if isinstance(encoder, ResponsesStreamEncoder):
            self._responses[upstream.target] = encoder
        return ArrayFramer(encoder) if self.call.array else encoder

    def event_filter(self, upstream: UpstreamCall) -> EventFilter:
        """What adapts the events of an answer to the client."""
        if upstream.names is None:
            return EventFilter({})
        free = {tool.name for tool in self.chat.tools if tool.kind == "custom"}
        repair = AnswerRepair(upstream.keys, free)
        return EventFilter(upstream.names, repair, single_call=self.chat.tool_choice.parallel is False)

    def _parser(self, upstream: UpstreamCall) -> EventParser:
        return JoiningParser(ArraySplitter() if upstream.passes_through and self.call.array else sse.Parser())

    def _shown_model(self, upstream: UpstreamCall) -> str:
        return self.call.model if self._rules.echo_asked else upstream.target.model

    @cached_property
    def _hides_usage(self) -> bool:
        """Whether a Chat client has not asked for the usage of its stream, which bm needs for the cost."""
        call = self.call
        streams = call.protocol == "openai-chat" and call.operation == "generate" and call.stream
        return streams and not asks_for_usage(call.body)

    @property
    def _drop(self) -> Callable[[bytes], bytes] | None:
        return without_usage if self._hides_usage else None

    def _rename(self, upstream: UpstreamCall) -> Callable[[bytes], bytes] | None:
        """What puts the model name that was asked for into the upstream's own bytes; None where theirs stays."""
        renamed = self._rules.echo_asked and self.call.model != upstream.target.model
        return rename_in_events(self.call.protocol, self.call.model) if renamed else None

    def response(self, upstream: UpstreamCall) -> Json | None:
        """What a Responses client has received as the answer to that request; None while there is none."""
        streamed = self._responses.get(upstream.target)
        return streamed.response if streamed is not None else self._documents.get(upstream.target)

    @property
    def stream_type(self) -> str:
        """The content type of a translated stream."""
        return JSON_TYPE if self.call.array else EVENT_STREAM

    def read(self, upstream: UpstreamCall, body: bytes) -> FullResponse:
        """The client's response from an answer that is not a stream."""
        provider = upstream.target.provider
        if sse.is_stream(body):
            return self._gathered(upstream, body)
        try:
            answer = json_object(body)
        except RequestError:
            return malformed(f"{provider} sent no JSON object: {start_of(body)}")
        if self.call.operation in EMBEDDINGS:
            return embedded(self.call, upstream, answer, body)
        if self.call.operation != "generate" and upstream.names is None:
            return FullResponse(Watch(), body)
        if self.call.operation == "count_tokens":
            return counted(self.call.protocol, answer, body, provider)
        events = upstream.codec.decode_response(answer, new_ids())
        if upstream.names is None and not self.call.stream:
            self._documents[upstream.target] = answer
            if self._rules.echo_asked:
                body = rename_in_response(self.call.protocol, body, self.call.model)
            return own(events, answer, body)
        return self._encode(upstream, events)

    def _gathered(self, upstream: UpstreamCall, body: bytes) -> FullResponse:
        """The client's response from a stream that it has not asked for."""
        parser, decoder = JoiningParser(sse.Parser()), upstream.codec.stream_decoder(new_ids())
        events = [event for item in (*parser.feed(body), *parser.close()) for event in decoder.feed(item)]
        return self._encode(upstream, [*events, *decoder.close()])

    def _encode(self, upstream: UpstreamCall, events: Iterable[Event]) -> FullResponse:
        """The client's response: a stream if it has asked for one, whatever the upstream sent."""
        event_filter = self.event_filter(upstream)
        kept, watch = event_filter.through(events), event_filter.watch
        if watch.failure is not None:
            return FullResponse(watch)
        if self.call.stream:
            encoder = self.encoder(upstream)
            return FullResponse(watch, b"".join(map(encoder.feed, kept)), self.stream_type)
        document = self._codec.encode_response(kept, self.chat, new_ids(), model=self._shown_model(upstream))
        self._documents[upstream.target] = document
        if document.get("status") == "failed":
            return malformed(f"{upstream.target.provider} wrote no summary of the conversation")
        if self.call.operation == "compact":
            document = compacted(document, json_object(self.call.body))
        return FullResponse(watch, msgspec.json.encode(document), JSON_TYPE)


def _post(provider: Provider, address: str, headers: Headers, document: Json) -> UpstreamRequest:
    return UpstreamRequest(provider.name, "POST", address, headers, msgspec.json.encode(document))


def _refusal(losses: tuple[Loss, ...], target: Target) -> Failure:
    listed = "; ".join(f"{loss.field}: {loss.reason}" for loss in losses)
    message = f"{target} cannot take all of the request, and [pool] strict is on: {listed}"
    return Failure(kind="bad_request", message=message, param=losses[0].field)
