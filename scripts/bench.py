"""What translation costs, pair by pair: each figure stands beside what pass-through costs in the same run.

Only the ratios mean something from one machine to the next. Nothing here touches a socket.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import msgspec

from bm import sse
from bm.chat.capabilities import Dialect
from bm.chat.events import End, Event, Finish, PartDelta, PartEnd, PartStart, Start, Usage, UsageUpdate
from bm.chat.parts import Text, ToolCall, ToolResult
from bm.chat.request import ChatRequest, Tool, Turn
from bm.gateway.continuation import Delivered
from bm.gateway.rescue import TrackingFilter
from bm.gateway.resume import ResumablePassThrough
from bm.names import PROTOCOLS, ProtocolName
from bm.protocols.codec import IdFactory
from bm.protocols.passthrough import PassThrough, ResponsePipe
from bm.protocols.registry import CODECS
from bm.protocols.sanitize import sanitize
from bm.protocols.splice import splice_model
from bm.protocols.tools import with_legal_names
from bm.protocols.translate import EventFilter, Translation
from bm.providers.capabilities import capabilities_of

MODELS: dict[ProtocolName, str] = {
    "anthropic": "claude-sonnet-4-5",
    "openai-chat": "gpt-4o",
    "openai-responses": "gpt-4o",
    "gemini": "gemini-3-flash-preview",
}
IDS = IdFactory(lambda prefix: f"{prefix}0123456789abcdef", 1_700_000_000)


def answer(deltas: int) -> list[Event]:
    """An answer in text, a word a delta, as models stream."""
    pieces: list[Event] = [PartDelta(0, f"word{number % 10} ") for number in range(deltas)]
    tail: list[Event] = [PartEnd(0), UsageUpdate(Usage(input=1000, output=deltas)), Finish("stop"), End()]
    return [Start("id", "model"), PartStart(0, "text"), *pieces, *tail]


def conversation(kilobytes: int) -> ChatRequest:
    """A coding session of about that size: turns of text, a call and its result, and a few tools."""
    schema = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    tools = tuple(Tool(f"tool_{number}", "Reads a file. " * 20, schema) for number in range(20))
    code = Text("def function(argument):\n    return argument\n" * 70)
    turns: list[Turn] = []
    for number in range(kilobytes // 4):
        call = ToolCall(f"call_{number:016d}", "tool_1", {"path": f"src/{number}.py"})
        turns.append(Turn("user", (Text("Please look at the next file and say what is wrong with it. " * 5),)))
        turns.append(Turn("assistant", (Text("I look at it. " * 10), call)))
        turns.append(Turn("user", (ToolResult(call.id, (code,)),)))
    system = (Text("Be brief. " * 200),)
    return ChatRequest(protocol="anthropic", model="m", turns=tuple(turns), system=system, tools=tools, max_tokens=4096)


def best(work: Callable[[], object], rounds: int) -> float:
    """Seconds of CPU of the median round, after one that does not count."""
    work()
    taken = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def pipe(client: ProtocolName, upstream: ProtocolName, *, rescue: bool) -> ResponsePipe:
    """A pipe as the gateway makes it, with and without what another target needs to finish the stream."""
    asked = ChatRequest(protocol=client, model=MODELS[upstream], turns=(), stream=True)
    decoder = CODECS[upstream].stream_decoder(IDS)
    encoder = CODECS[client].stream_encoder(asked, IDS, model=MODELS[upstream])
    if client != upstream:
        events = EventFilter({})
        return Translation(sse.Parser(), decoder, encoder, TrackingFilter(events, Delivered()) if rescue else events)
    if rescue:
        return ResumablePassThrough(sse.Parser(), decoder, encoder, Delivered(), lambda ids, model: encoder, IDS)
    return PassThrough(sse.Parser(), decoder, encoder)


def carry(client: ProtocolName, upstream: ProtocolName, chunks: list[bytes], *, rescue: bool = False) -> None:
    """One stream through its pipe."""
    carried = pipe(client, upstream, rescue=rescue)
    for chunk in chunks:
        carried.feed(chunk)
    carried.close()


def streams(deltas: int, rounds: int) -> None:
    """Microseconds an event for every pair, events arriving one a read."""
    print(f"\nstreams: microseconds an event, {deltas} deltas one a read, and the ratio to pass-through;")
    print("the same with what a rescue needs, and its ratio\n")
    print(f"{'client':<18}{'upstream':<18}{'us/event':>10}{'ratio':>8}{'rescue':>10}{'ratio':>8}")
    for upstream in PROTOCOLS:
        asked = ChatRequest(protocol=upstream, model="m", turns=(), stream=True)
        writer = CODECS[upstream].stream_encoder(asked, IDS, model="m")
        chunks = [chunk for chunk in map(writer.feed, answer(deltas)) if chunk]
        plain = best(partial(carry, upstream, upstream, chunks), rounds)
        for client in PROTOCOLS:
            taken = plain if client == upstream else best(partial(carry, client, upstream, chunks), rounds)
            rescued = best(partial(carry, client, upstream, chunks, rescue=True), rounds)
            print(
                f"{client:<18}{upstream:<18}{taken / deltas * 1e6:>10.2f}{taken / plain:>8.2f}"
                f"{rescued / deltas * 1e6:>10.2f}{rescued / taken:>8.2f}"
            )


def passed(client: ProtocolName, body: bytes) -> bytes:
    """A body on its way to an upstream of the client's protocol, for a model of another name."""
    return splice_model(sanitize(client, body, cache_control="keep"), "another-model")


def translated(client: ProtocolName, upstream: ProtocolName, body: bytes) -> bytes:
    """A body on its way to an upstream of another protocol."""
    accepted = capabilities_of(upstream, Dialect(), MODELS[upstream])
    decoded = CODECS[client].decode_request(msgspec.json.decode(body), model="m", stream=True)
    renamed, _ = with_legal_names(decoded, upstream)
    return msgspec.json.encode(CODECS[upstream].encode_request(renamed, accepted, model=MODELS[upstream]).body)


def requests(kilobytes: int, rounds: int) -> None:
    """Milliseconds a request for every pair."""
    made = conversation(kilobytes)
    print(
        f"\nrequests: milliseconds for about {kilobytes} kB, and the ratio to pass-through under another model name\n"
    )
    print(f"{'client':<18}{'upstream':<18}{'kB':>6}{'ms':>9}{'ratio':>8}")
    for client in PROTOCOLS:
        accepted = capabilities_of(client, Dialect(), MODELS[client])
        document = CODECS[client].encode_request(made, accepted, model=MODELS[client]).body
        body = msgspec.json.encode({"model": MODELS[client], **document})
        plain = best(partial(passed, client, body), rounds)
        for upstream in PROTOCOLS:
            taken = plain if client == upstream else best(partial(translated, client, upstream, body), rounds)
            print(f"{client:<18}{upstream:<18}{len(body) // 1000:>6}{taken * 1e3:>9.3f}{taken / plain:>8.1f}")


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deltas", type=int, default=2000)
    parser.add_argument("--kilobytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, median of {asked.rounds} rounds")
    streams(asked.deltas, asked.rounds)
    requests(asked.kilobytes, asked.rounds)


if __name__ == "__main__":
    main()
