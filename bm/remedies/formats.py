"""The form of the answer in a wire body: a weaker one that a model takes, and the schema in words."""

from __future__ import annotations

import re
from typing import Any

from bm.chat.parts import Json
from bm.names import ProtocolName
from bm.protocols.json_schema.repair import rewritten
from bm.protocols.json_schema.subsets import closed_schema, saying
from bm.protocols.parameters import json_in_words
from bm.protocols.reading import object_of, string_of
from bm.remedies.remedy import Remedy
from bm.remedies.turns import messages_of, tell, tell_in_input, text_of

_SCHEMA_NAMES = ("responseJsonSchema", "responseSchema", "_responseJsonSchema")


def weaken(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Ask for JSON instead of a schema, and then for nothing; what is asked for no longer is said in words.

    `values` holds what the model does not take: `schema`, `json` or both.
    """
    schema, kind = _asked(body, protocol)
    if kind not in remedy.values:
        return False
    keeps_json = kind == "schema" and "json" not in remedy.values and protocol != "anthropic"
    _set(body, protocol, keeps_json)
    tell(body, protocol, json_in_words(schema))
    return True


def _asked(body: Json, protocol: ProtocolName) -> tuple[Any, str]:
    """The schema of the answer, and whether a schema or just JSON is asked for."""
    if protocol == "gemini":
        config = object_of(body.get("generationConfig"))
        schema = next((config[name] for name in _SCHEMA_NAMES if name in config), None)
        plain = config.get("responseMimeType") == "application/json"
        return schema, "schema" if schema is not None else "json" if plain else ""
    form = _form(body, protocol)
    if form.get("type") == "json_schema":
        return object_of(form.get("json_schema") or form).get("schema"), "schema"
    return None, "json" if form.get("type") == "json_object" else ""


def _form(body: Json, protocol: ProtocolName) -> Json:
    if protocol == "openai-chat":
        return object_of(body.get("response_format"))
    above = "text" if protocol == "openai-responses" else "output_config"
    return object_of(object_of(body.get(above)).get("format") or body.get("output_format"))


def _set(body: Json, protocol: ProtocolName, keeps_json: bool) -> None:
    if protocol == "gemini":
        config = object_of(body.get("generationConfig"))
        for name in (*_SCHEMA_NAMES, *(() if keeps_json else ("responseMimeType",))):
            config.pop(name, None)
    elif protocol == "openai-chat":
        body["response_format"] = {"type": "json_object"}
        if not keeps_json:
            del body["response_format"]
    else:
        above = object_of(body.get("text" if protocol == "openai-responses" else "output_config"))
        above.pop("format", None)
        body.pop("output_format", None)
        if keeps_json:
            above["format"] = {"type": "json_object"}
        elif not above:
            body.pop("text" if protocol == "openai-responses" else "output_config", None)


def say_json(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Say the word that a model wants to hear before it answers with JSON."""
    said = (
        *map(text_of, messages_of(body)),
        text_of({"content": body.get("systemInstruction")}),
        str(body.get("input")),
    )
    if _asked(body, protocol)[1] != "json" or "json" in "".join(said).lower():
        return False
    tell_in_input(body, protocol, "Answer with JSON.")
    return True


def name_format(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Give the form of the answer a name, of letters that are taken."""
    form = _form(body, protocol)
    named = object_of(form.get("json_schema")) if protocol == "openai-chat" else form
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", string_of(named.get("name")))[:64] or "answer"
    if not named or name == named.get("name"):
        return False
    named["name"] = name
    return True


def describe_keywords(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Move keywords of the answer's schema that are not taken into descriptions, and close every object."""
    schema, kind = _asked(body, protocol)
    if kind != "schema" or not isinstance(schema, dict):
        return False

    def described(node: Json) -> Json:
        return saying(node, {name: node.pop(name) for name in remedy.values if name in node})

    new = rewritten(schema, described)
    if protocol == "anthropic":
        new = closed_schema(new)
    if new == schema:
        return False
    schema.clear()
    schema |= new
    return True
