"""The request for one target, and what its response is read by."""

from __future__ import annotations

import msgspec

from bm.chat.request import Loss
from bm.dispatch.target import Target
from bm.gateway.continuation import Way
from bm.names import ProtocolName
from bm.protocols import embeddings
from bm.protocols.codec import Codec
from bm.protocols.property_keys import Keys
from bm.remedies.apply import loss_of, treated, without_values
from bm.remedies.fields import client_field
from bm.remedies.remedy import Remedy
from bm.upstream.client import UpstreamRequest


class UpstreamCall(msgspec.Struct, frozen=True):
    """The request for one target, and what its answer is read by.

    `names` maps the tool names that the model knows to the client's; None where bytes pass through. `keys` does so for
    the names of arguments that were changed. `embedding` is set where embeddings are translated; `further` are the
    requests for the texts that `request` has no room for. `remedies` have changed the request. `continues` is how it
    asks for the rest of a response that was cut.
    """

    target: Target
    request: UpstreamRequest
    codec: Codec
    losses: tuple[Loss, ...] = ()
    names: dict[str, str] | None = None
    embedding: embeddings.EmbedRequest | None = None
    further: tuple[UpstreamRequest, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    keys: Keys = {}
    continues: Way = "restart"

    @property
    def passes_through(self) -> bool:
        """Whether the answer's bytes go to the client unchanged."""
        return self.names is None and self.embedding is None

    @property
    def renames(self) -> bool:
        """Whether the model knows a tool or an argument by another name than the client."""
        return bool(self.keys) or any(known != own for known, own in (self.names or {}).items())

    def changed(self, remedies: tuple[Remedy, ...], client: ProtocolName, *, strict: bool) -> UpstreamCall:
        """The request after the remedies for its target. In strict mode nothing may be lost by them.

        What is lost is named as the client calls it.
        """
        if strict:
            remedies = tuple(remedy for remedy in remedies if loss_of(remedy) is None)
        if not remedies:
            return self
        body, effective = treated(self.request.body, remedies, self.target.protocol)
        headers, dropped = without_values(self.request.headers, remedies)
        effective = (*effective, *dropped)
        lost = [
            Loss(client_field(loss.field, self.target.protocol, client), loss.reason)
            for remedy in effective
            if (loss := loss_of(remedy)) is not None
        ]
        request = msgspec.structs.replace(self.request, body=body, headers=headers)
        return msgspec.structs.replace(self, request=request, losses=(*self.losses, *lost), remedies=effective)
