"""Which account serves a conversation, on whatever node its next turn arrives.

The node that has served a turn claims the conversation for its account. The first claim wins: a node whose own is
refused follows the one that holds. A node may move a conversation only from the account that holds it, so of two nodes
that move it at once, one succeeds. All nodes hear of claims, and plan from what they have heard.
"""

from __future__ import annotations

import time
from collections import OrderedDict

import msgspec

from bm.accounts.affinity import Affinities
from bm.dispatch.target import AccountId
from bm.shared.news import TELL, Id, News, id_of
from bm.shared.outbox import Outbox, Urgency
from bm.shared.store import Script, Store, digest, milliseconds

CLAIM = Script(
    TELL
    + """
local held = redis.call('GET', KEYS[1])
local account = held and string.match(held, '^%S+ (.*)$')
if account and account ~= ARGV[1] and account ~= ARGV[2] then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return held
end
local id = tell(KEYS[2], ARGV[4], 'claim', ARGV[5], ARGV[2])
redis.call('SET', KEYS[1], id .. ' ' .. ARGV[2], 'PX', ARGV[3])
return id .. ' ' .. ARGV[2]
"""
)
"""Get or set, and refresh. The arguments: the account that this node knew, the one that has served, milliseconds, node,
and conversation. A claim has the id of its news, by which each node knows the later one of two."""

REFRESH = 0.25
"""Part of its time after which a claim is made again although nothing has changed."""


class _Claim(msgspec.Struct, frozen=True):
    """The latest claim that is known of a conversation, and when it was made."""

    id: Id
    account: AccountId
    at: float


class Claims:
    """Tells other nodes which accounts serve conversations here, and learns where theirs are served."""

    def __init__(self, store: Store, outbox: Outbox, news: News, affinities: Affinities) -> None:
        self._store, self._outbox, self._news, self._affinities = store, outbox, news, affinities
        self._held: OrderedDict[str, _Claim] = OrderedDict()
        news.on(
            "claim", lambda item: self._take(item.subject, item.id, item.value.encode(), time.monotonic() - item.age)
        )

    def claim(self, conversation: str, before: AccountId | None, served: AccountId) -> None:
        """This node has served a turn. `before` is the account that it knew to serve the conversation, if any."""
        held, now = self._held.get(conversation), time.monotonic()
        refreshed = held is not None and now - held.at < REFRESH * self._affinities.ttl
        if refreshed and held is not None and held.account == before == served:
            return
        keys = (self._store.key("claim", digest(conversation)), self._news.key)
        accounts, kept = (_encode(before), _encode(served)), milliseconds(self._affinities.ttl)
        command = CLAIM.command(keys, (*accounts, kept, self._news.node, conversation))
        urgency: Urgency = "soon" if held is None or held.account != served else "later"
        self._outbox.put(command, lambda answer: self._decided(conversation, answer), urgency=urgency)

    def _decided(self, conversation: str, answer: bytes) -> None:
        """The claim holds, or that of another node."""
        id, _, account = answer.partition(b" ")
        self._take(conversation, id_of(id.decode()), account, time.monotonic())

    def _take(self, conversation: str, id: Id, account: bytes, at: float) -> None:
        """Follow a claim, unless a later one is known."""
        known = self._held.get(conversation)
        if known is not None and known.id > id:
            return
        provider, name = msgspec.json.decode(account, type=tuple[str, str])
        self._affinities.learn(conversation, (provider, name), at)
        self._held[conversation] = _Claim(id, (provider, name), at)
        self._held.move_to_end(conversation)
        while len(self._held) > self._affinities.size:
            self._held.popitem(last=False)


def _encode(account_id: AccountId | None) -> bytes:
    return b"" if account_id is None else msgspec.json.encode(account_id)
