"""Values that several tests of this room start from."""

from __future__ import annotations

from pathlib import Path

from bm.config.paths import Paths, make_folders
from bm.gateway.call import Call, Conversation
from bm.gateway.settings import Settings, read_settings


def settings(home: Path, text: str = "") -> Settings:
    """The settings of a configuration file with this text."""
    paths = Paths.under(home)
    make_folders(paths)
    paths.config.write_text(text)
    return read_settings(paths, {})


def call(conversation: str = "", *, continues: bool = False, body: bytes = b"{}") -> Call:
    """A request of an Anthropic client."""
    return Call(
        id="req_1",
        protocol="anthropic",
        operation="generate",
        headers=[],
        body=body,
        model="opus",
        stream=True,
        conversation=Conversation(conversation, continues),
    )
