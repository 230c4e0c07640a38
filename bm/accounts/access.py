"""What a request carries to prove whose it is, and which door of the service it goes through."""

from __future__ import annotations

import msgspec


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """A key or an access token, ready to be sent.

    `bearer` marks an access token. `billed` is the project that pays for a user's calls (`x-goog-user-project`). With
    a `location` the request goes to Vertex AI there, under `project`.
    """

    key: str = ""
    bearer: bool = False
    project: str = ""
    location: str = ""
    billed: str = ""

    def __repr__(self) -> str:
        return f"Access(bearer={self.bearer!r}, project={self.project!r}, location={self.location!r})"
