"""Reads refusals: which member of the request they name, and which values they would take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

from bm.chat.parts import Json
from bm.errors import Failure
from bm.names import ProtocolName
from bm.protocols.context_length import answer_room
from bm.protocols.reading import array_of, objects_of
from bm.remedies.members import (
    ANSWER_LENGTHS,
    EFFORTS,
    SCALE,
    first,
    may_go,
    members,
    place,
    spots,
)
from bm.remedies.remedy import Remedy
from bm.remedies.tools import digests, functions, hosted_types
from bm.remedies.wordings import (
    AT,
    BOTH,
    CONDITION,
    EXCLUSIVE,
    LEAST,
    LENGTHS,
    MOST,
    NAMED,
    OPEN,
    OPEN_ABOVE,
    PAIR,
    THIS_SCHEMA,
    WORDS,
)

_ALIASES: Final = {"max_completion_tokens": "max_tokens", "max_tokens": "max_completion_tokens"}
_FORMS: Final = (
    "output_config.format",
    "output_format",
    "text.format",
    "generationConfig.responseJsonSchema",
    "generationConfig.responseSchema",
    "generationConfig.responseMimeType",
)
"""Members that hold the form of the answer, which is asked for in words without them."""
_SIBLINGS: Final = {
    "presence_penalty": ("frequency_penalty",),
    "frequency_penalty": ("presence_penalty",),
    "top_logprobs": ("logprobs",),
    "logprobs": ("top_logprobs",),
    "generationConfig.logprobs": ("generationConfig.responseLogprobs",),
    "generationConfig.responseLogprobs": ("generationConfig.logprobs",),
    "reasoning.effort": ("reasoning",),
}
"""What a model does not take either that does not take the first."""
_BEDROCKS: Final = {"stopSequences": "stop", "maxTokens": "max_tokens"}
"""What Bedrock calls members of Chat Completions."""
_SAMPLING: Final = frozenset({"temperature", "top_p", "top_k", "topP", "topK"})
CONSTRAINTS: Final = (
    "contains", "exclusiveMaximum", "exclusiveMinimum", "maxItems", "maxLength", "maxProperties", "maximum",
    "minItems", "minLength", "minProperties", "minimum", "multipleOf", "pattern", "patternProperties", "propertyNames",
    "uniqueItems",
)  # fmt: skip
"""What no service takes in the schema of an answer that refuses one of them."""
_ESCAPED: Final = re.compile(r'\\+"')
"""The quotes of a refusal that a gateway such as LiteLLM quotes as JSON."""
LEAST_ANSWER: Final = 16
"""The least tokens that an answer is shortened to."""


class Refusal:
    """A refusal beside the body that was refused."""

    def __init__(self, failure: Failure, body: Json, protocol: ProtocolName) -> None:
        self.failure, self.body, self.protocol = failure, body, protocol
        self.text = re.sub(r"did you mean.*", "", said(failure), flags=re.I)

    @cached_property
    def named(self) -> tuple[str, ...]:
        """The members that it names, in its order: as the parameter at fault, at its head, or in its words."""
        head = re.match(r"\W*([\w.\[\]]+): ", self.text)
        words = ["".join(groups) for groups in WORDS.findall(self.text)]
        plain = re.findall(r"[A-Za-z]+", self.text.lower())
        phrases = [f"{first}_{second}" for first, second in pairwise(plain)]
        begins = re.match(r"\W*([\w.]+) (?:must|should|is|cannot|[>=])", self.text)
        heads = [found[1] if found else "" for found in (head, begins)]
        written = (self.failure.param, *heads, *words, *phrases, *re.findall(r"\bn(?= ?=)", self.text))
        return tuple(dict.fromkeys(path for word in written if word and (path := self._place(word))))

    def _place(self, word: str) -> str:
        other = _BEDROCKS.get(word.rpartition(".")[2], word.lower())
        return place(self.body, word) or place(self.body, other)

    def value(self, path: str) -> Any:
        """The first value at a path; None where there is none."""
        return next(members(self.body, path), None)


def said(failure: Failure) -> str:
    """What a refusal says: its message, and the reason where that stands in the place of a member's name (MiMo)."""
    message = _ESCAPED.sub('"', failure.message)
    return f"{message}\n{failure.param}" if " " in failure.param else message


def betas(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """Betas that a service does not know."""
    yield Remedy("drop_values", "anthropic-beta", tuple(re.findall(r"[\w.-]+", match[1])))


def room(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """Prompt and answer together are too long, and the prompt alone is not."""
    if (found := answer_room(refusal.text)) is not None:
        yield Remedy("make_room", "", found)


def overshot(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """By how much prompt and answer together are too long."""
    path = first(refusal.body, ANSWER_LENGTHS)
    now = refusal.value(path) if path else None
    if isinstance(now, int) and (most := now - (int(match[2]) - int(match[1]))) >= LEAST_ANSWER:
        yield Remedy("clamp", path, (None, most), passing=True)


def affordable(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """The tokens that are left of a credit: true for now alone."""
    if path := first(refusal.body, ANSWER_LENGTHS):
        yield Remedy("clamp", path, (None, int(match[1])), passing=True)


def length(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """The most tokens of an answer."""
    path = first(refusal.body, ANSWER_LENGTHS)
    now = refusal.value(path) if path else None
    if not isinstance(now, int):
        return
    if (exclusive := EXCLUSIVE.search(refusal.text)) is not None:
        yield Remedy("clamp", path, (None, int(exclusive[2]) - 1))
    for pattern in LENGTHS:
        for found in pattern.finditer(refusal.text):
            most = _tokens(found[1])
            if LEAST_ANSWER <= most < now:
                yield Remedy("clamp", path, (None, most))
                return
    if refusal.protocol != "anthropic" and re.search(r"too (?:large|big|high|long)|exceed", refusal.text):
        yield Remedy("drop", path)


def _tokens(text: str) -> int:
    """A count of tokens: `16,384`, `16_384`, `32k`."""
    return int(re.sub(r"\D", "", text)) * (1024 if text.lower().endswith("k") else 1)


def effort_up_to(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """The highest effort beside thinking that is turned off."""
    if (word := match[1].lower()) in SCALE:
        yield Remedy("level", "output_config.effort", (*SCALE[2 : SCALE.index(word) + 1],), passing=True)


def least(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """Thinking cannot be turned off."""
    words = re.findall(r"\w+", refusal.text[match.end() :].lower())
    levels = [word for word in words if word in SCALE and word != "none"]
    yield Remedy("think_least", values=tuple(levels))


def refused_level(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """A level that the model does not have, where others are not listed."""
    if path := first(refusal.body, EFFORTS):
        yield Remedy("avoid", path, (match[1].lower(),), passing="used with" in match[0])


def no_effort(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """The model does not think at all, or not as a request asks for it."""
    found = (first(refusal.body, EFFORTS), "thinking", "reasoning", "generationConfig.thinkingConfig")
    yield from (Remedy("drop", path) for path in found if path and next(members(refusal.body, path), None) is not None)


def listed(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """The values that a member may have: the nearest level, or else the member's default."""
    values = [word.strip(".") for word in re.findall(r"[\w.-]+", match[1]) if word not in ("and", "or", "default")]
    levels = tuple(word for word in values if word.lower() in SCALE)
    if "tool_choice" in refusal.named:
        yield Remedy("choose_by_word")
        if {"any", "required", "REQUIRED"}.isdisjoint(values):
            yield Remedy("choose_freely")
        return
    refused = set(re.findall(r"['`\"]([\w.-]+)['`\"]", refusal.text[: match.start()]))
    if unknown := sorted(refused.intersection(map(str, array_of(refusal.body.get("include"))))):
        yield Remedy("leave_out", "include", tuple(unknown))
        return
    items = objects_of(refusal.body.get("input"))
    if refused & {"allowed_tools", "function"} or any(item.get("type") in refused for item in items):
        yield Remedy("rewrite")
        return
    if refused.intersection(hosted_types(refusal.body)) or re.search(r"\btools\W{1,5}\d+\W{1,5}type\b", refusal.text):
        yield from _without_types(refusal)
        return
    named = [path for path in refusal.named if isinstance(refusal.value(path), str)]
    if not named:
        paths = [path for name in refusal.body for path in (name, f"{name}.verbosity")]
        named = [path for path in paths if isinstance(value := refusal.value(path), str) and value in refused]
    if levels:
        path = next((path for path in named if path in EFFORTS), "") or first(refusal.body, EFFORTS)
        if path:
            yield Remedy("level", path, levels)
        return
    for path in named:
        if may_go(path) and refusal.value(path) not in values:
            yield Remedy("drop", path)


def named_member(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """A member that may only have its default."""
    passing = CONDITION.search(refusal.text) is not None
    yield from (Remedy("drop", path, passing=passing) for path in refusal.named[:1] if may_go(path))


def fraction(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """A number that has to be whole: `1000.0`."""
    yield from (Remedy("whole", path) for path in refusal.named if isinstance(refusal.value(path), float))


def most_tools(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    yield Remedy("fewer_tools", values=(int(next(filter(None, match.groups()))),))


def refused_tool(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """A kind of tool that the model does not have; Chat Completions has functions in their place."""
    yield from _without_type(next(filter(None, match.groups())))


def _without_type(kind: str) -> Iterator[Remedy]:
    if kind in ("custom", "namespace"):
        yield Remedy("speak", values=("openai-chat",))
    yield Remedy("drop_tool", values=(kind,))
    yield Remedy("rewrite")


def _without_types(refusal: Refusal) -> Iterator[Remedy]:
    """The kinds of hosted tools that a refusal quotes, else all."""
    kinds = hosted_types(refusal.body)
    quoted = [kind for kind in kinds if re.search(rf"['`\"]{kind}['`\"]", refusal.text)]
    for kind in quoted or kinds:
        yield from _without_type(kind)


def functions_only(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """A service that has functions alone."""
    yield Remedy("rewrite")
    yield from _without_types(refusal)


def other_tool_type(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """A version of one of Claude's tools that the model does not have: the one that the refusal offers, or none."""
    types = re.findall(r"\b[a-z_]+_20\d{6}\b", refusal.failure.message)
    for kind in hosted_types(refusal.body):
        if kind in types:
            stem = kind.rpartition("_")[0]
            other = next((each for each in types if each != kind and each.rpartition("_")[0] == stem), None)
            yield Remedy("replace", "tools.*.type", (kind, other)) if other else Remedy("drop_tool", values=(kind,))


_BUILT_IN: Final = {
    "search": "googleSearch",
    "code": "codeExecution",
    "url": "urlContext",
    "maps": "googleMaps",
    "file": "fileSearch",
}


def built_in_tool(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """One of Google's own tools that the model does not have."""
    if kind := next((kind for word, kind in _BUILT_IN.items() if word in match[1].lower()), ""):
        yield Remedy("drop_tool", values=(kind,))


def no_built_in_tools(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """Google's own tools beside functions."""
    yield from (Remedy("drop_tool", values=(kind,), passing=True) for kind in _BUILT_IN.values())


def exact_call_id(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    yield Remedy("shorten_call_ids", values=(int(match[1]), None))


def longest_call_id(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    yield Remedy("shorten_call_ids", values=(None, int(match[1])))


def keywords(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """Keywords that a schema may not have: those named, and the others that are refused alike."""
    yield Remedy("describe_keywords", values=tuple(sorted({*re.findall(r"\w+", match[1]), *CONSTRAINTS})))
    yield Remedy("not_strict")


def format_(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """A form of the answer that the model is not held to: first the schema goes, then the JSON."""
    passing = CONDITION.search(refusal.text) is not None or THIS_SCHEMA.search(refusal.text) is not None
    for kinds in (("schema",), ("schema", "json"), ("json",)):
        yield Remedy("weaken", values=kinds, passing=passing)


def renamed(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """A member that has another name, which the refusal tells."""
    if path := place(refusal.body, match[1]):
        yield Remedy("rename", path, (match[2].rpartition(".")[2],))


def number(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """A number outside of its range."""
    low, high = _limits(refusal.text)
    for path in (each for named in refusal.named for each in (named, *_SIBLINGS.get(named, ()))):
        now = refusal.value(path)
        if not isinstance(now, int | float) or isinstance(now, bool):
            continue
        if high is not None and now > high and may_go(path) and OPEN_ABOVE.search(refusal.text) is not None:
            yield Remedy("drop", path)
            return
        if (low is not None and now < low) or (high is not None and now > high):
            yield Remedy("clamp", path, (low, high))
            return
        if (
            may_go(path)
            and OPEN.search(refusal.text) is not None
            and (low, high) in ((None, None), (now, high), (low, now))
        ):
            yield Remedy("drop", path)
            return


def _limits(text: str) -> tuple[float | None, float | None]:
    if (exclusive := EXCLUSIVE.search(text)) is not None:
        return _number(exclusive[1]), _number(exclusive[2]) - 1
    if (both := BOTH.search(text)) is not None:
        low, high = (group for group in both.groups() if group is not None)
        return _number(low), _number(high)
    least, most = LEAST.search(text), MOST.search(text)
    return _number(least[1]) if least else None, _number(most[1]) if most else None


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)


def cut(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """A list or a text that is too long."""
    most = int(next(filter(None, match.groups())))
    for path in refusal.named:
        now = refusal.value(path)
        if may_go(path) and isinstance(now, str | list | dict) and len(now) > most:
            yield Remedy("shorten", path, (most,))
            return


def unknown(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """Members that the model does not take."""
    passing = CONDITION.search(refusal.text) is not None
    paths = [path for path in _explicit(refusal) if may_go(path)]
    if not paths:
        options = [path for path in refusal.named if may_go(path)]
        paths = options[:1]
        if re.search(r"cannot both|only one of", refusal.text, re.I):
            paths = options[1:2] or paths
        elif paths and _SAMPLING.issuperset(path.rpartition(".")[2] for path in paths):
            paths = [path for path in options if path.rpartition(".")[2] in _SAMPLING]
    for path in dict.fromkeys(each for named in paths for each in (named, *_SIBLINGS.get(named, ()))):
        above, _, last = path.rpartition(".")
        value = refusal.value(path)
        if path in EFFORTS and isinstance(value, str) and re.search(rf"\b{re.escape(value)}\b", refusal.text):
            yield Remedy("avoid", path, (value.lower(),))
        elif path in _FORMS:
            yield Remedy("weaken", values=("schema", "json"))
        elif last in _ALIASES and not above and refusal.protocol == "openai-chat":
            yield Remedy("rename", path, (_ALIASES[last],))
        else:
            yield Remedy("drop", path, passing=passing)
        if path == "reasoning" and refusal.protocol == "openai-responses":
            yield Remedy("not_encrypted")
        if path == "top_logprobs" and refusal.protocol == "openai-responses":
            yield Remedy("leave_out", "include", ("message.output_text.logprobs",))


def _explicit(refusal: Refusal) -> Iterator[str]:
    """The members that the refusal says are unknown, wherever they stand."""
    for found in AT.finditer(refusal.text):
        yield place(refusal.body, f"{found[2] or ''}.{found[1]}")
    for found in re.finditer(PAIR, refusal.text):
        yield place(refusal.body, f"{found[1]}.{found[2]}")
    for pattern in NAMED:
        for found in pattern.finditer(refusal.text):
            for name in re.findall(r"[\w.$\[\]-]+", found[1]):
                yield place(refusal.body, name) or spots(refusal.body, name) or place(refusal.body, f"top_{name}")


def schemas(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """The schema of the tool that the refusal names, else those of all tools."""
    known = digests(refusal.body)
    names = [str(function.get("name", "")) for function in functions(refusal.body)]
    quoted = set(re.findall(r"['`\"]([\w.:-]+)['`\"]", refusal.text))
    numbered = re.findall(
        r"(?:function_?declarations|tools)[.\[]+(\d+)(?!\]?\.function_?declarations)", refusal.text, re.I
    )
    chosen = {name for name in names if name in quoted} | {names[int(at)] for at in numbered if int(at) < len(names)}
    if some := sorted(known[name] for name in chosen if name in known):
        yield Remedy("simplify_schemas", values=tuple(some))
    if known:
        yield Remedy("simplify_schemas", values=tuple(sorted(set(known.values()))))
    yield Remedy("weaken", values=("schema",), passing=True)
