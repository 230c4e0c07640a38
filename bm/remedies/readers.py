"""Reads refusals: which member of the request they name, and which values they would take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

from bm.chat.parts import Json
from bm.chat.remedy import Remedy
from bm.errors import Failure
from bm.names import ProtocolName
from bm.protocols.errors import answer_room
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
from bm.remedies.tools import digests, functions

_NUMBER = r"(-?\d+(?:\.\d+)?)"
_QUOTE = r"['`\"]?"

ROOM: Final = r"context|max_new_tokens"
LENGTH: Final = r"max[_ ]?(?:completion|output|new)?[_ ]?tokens|(?:completion|output) tokens"
LISTED: Final = (
    r"(?:supported (?:string )?(?:values|levels)(?: are)?|must be one of|expected one of|is not one of|permitted:"
    r"|(?:must|should) be(?= ['`\"])|please use|allowed values(?: are)?|valid (?:values|options)(?: are)?)\W{1,4}"
    rf"({_QUOTE}[\w.-]+{_QUOTE}(?:[ ,|]{{1,3}}(?:(?:and|or) )?{_QUOTE}[\w.-]+{_QUOTE})*)"
)
RANGE: Final = (
    r"\brange\b|between|from -?\d|less than|greater than|[<>]=|at most|at least|minimum|maximum"
    r"|must (?:not exceed|be in)"
)
UNKNOWN: Final = (
    r"un(?:supported|known|recognized|expected)|not (?:supported|allowed|permitted|enabled|accepted|available)|extra"
    r"|deprecated|does not (?:support|accept|take)|must be unset|may only be set|cannot both|only one of"
    r"|extra_forbidden"
)
SCHEMA: Final = r"schema|function_?declarations?|tools?\[|tools\.\d+|\bparameters\b|too many states"
SYSTEM: Final = (
    r"role\W{1,3}system\W{1,3}(?:is not supported|must precede)|unexpected role\W{1,3}system|valid role: user, model"
    r"|system messages? (?:must be|should be|are only|is only|can only).{0,40}(?:beginning|first|start)"
)
PREFILL: Final = (
    r"assistant message prefill|ending with a model turn|prefill is (?:incompatible|not supported)"
    r"|must end with a user|last message (?:must|should|cannot)|cannot continue (?:the )?(?:final|last)"
    r"|expected last role user"
)
UNPAIRED: Final = (
    r"tool_use. ids were found without|must be followed by tool messages|no tool (?:output|call) found for"
    r"|unexpected .{0,3}tool_use_id|must be a response to a prec"
    r"|number of function (?:response parts|calls and responses)"
)
EMPTY: Final = (
    r"must have (?:either )?content or tool_calls|text content blocks must"
    r"|content (?:must be|is) (?:non-?empty|required)"
    r"|message content type: <nil>|non-empty content"
)
FORMAT: Final = (
    r"(?:response_?format|json_?schema|json_?object|structured outputs?|response_?schema|output_format"
    r"|output_config\.format|text\.format)"
    r".{0,160}(?:support|unavailable|not available|not enabled|must be|invalid|unknown variant|should)"
    r"|(?:support|unavailable|invalid|unknown).{0,80}(?:response_?format|json_?schema|structured output)"
)
_CONDITION: Final = re.compile(
    r"\b(?:when|while|if|unless|both|combined|together|only one)\b|with (?:tools|function)", re.I
)
_THIS_SCHEMA: Final = re.compile(
    r"schema\S*: |invalid (?:json )?schema|propert(?:y|ies)|keyword|too (?:many|complex|deep)", re.I
)
"""What is said of one schema, and not of schemas altogether."""
_PAIR: Final = r"['\"]?([\w.\[\]]+)['\"]? ?: property ['\"]([\w.]+)['\"] is unsupported"
_NAMED: Final = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        r"property ['\"]([\w.\[\]]+)['\"] is unsupported",
        r"([\w.\[\]$-]+): Extra inputs",
        r"Extra inputs are not permitted, field: ['\"]([^'\"]+)['\"]",
        r"(?:unsupported|unknown|unrecognized|unexpected|additional)(?: request| keyword)? "
        rf"(?:parameter|argument|field|property|key)s?(?: supplied)?:? {_QUOTE}([\w.\[\]]+(?:, [\w.\[\]]+)*)",
        rf"support (?:the )?(?:parameter|argument|field) {_QUOTE}([\w.\[\]]+)",
        r"\(['\"](\w+)['\"](?:, ['\"]\w+['\"])* (?:was|were) unexpected\)",
    )
)
_AT: Final = re.compile(r"Unknown name \"([^\"]+)\"(?: at '([^']*)')?", re.I)
_WORDS: Final = re.compile(
    r"['`\"]([\w.$\[\]-]+)['`\"]|\b([a-z]+(?:_[a-z]+)+|[a-z]+[A-Z]\w*|temperature|seed|logprobs)\b"
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
    "reasoning.effort": ("reasoning",),
}
"""What a model does not take either that does not take the first."""
_MOST: Final = re.compile(
    r"(?:less than or equal to|<=|at most|maximum(?: value)?(?: of| is)?|no more than|(?:not|cannot) exceed|up to) "
    rf"{_QUOTE}{_NUMBER}",
    re.I,
)
_LEAST: Final = re.compile(
    rf"(?:greater than or equal to|>=|at least|minimum(?: value)?(?: of| is)?|no less than) {_QUOTE}{_NUMBER}", re.I
)
_BOTH: Final = re.compile(
    rf"(?:range|from)\b[^\d\[(-]{{0,30}}[\[(]?{_NUMBER}(?:\.\.|, ?| to | - ){_NUMBER}"
    rf"|between {_NUMBER} and {_NUMBER}"
    rf"|[\[(]{_NUMBER}, ?{_NUMBER}[\])]",
    re.I,
)
_EXCLUSIVE: Final = re.compile(rf"from {_NUMBER} \(inclusive\) to {_NUMBER} \(exclusive\)", re.I)
_LENGTHS: Final = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        r"\[\s*\d+\s*,\s*(\d[\d,]*)\s*\]",
        r"> (\d[\d,]*)",
        r"(?:at most|less than or equal to|<=|up to|limited to|(?:not|cannot) exceed|between \d+ and) "
        rf"{_QUOTE}(\d[\d,]*)",
        r"(?:maximum|limit|max)\b[^\d]{0,60}?(\d[\d,]*)",
    )
)


class Refusal:
    """A refusal beside the body that was refused."""

    def __init__(self, failure: Failure, body: Json, protocol: ProtocolName) -> None:
        self.failure, self.body, self.protocol = failure, body, protocol
        self.text = re.sub(r"did you mean.*", "", failure.message, flags=re.I)

    @cached_property
    def named(self) -> tuple[str, ...]:
        """The members that it names, in its order: as the parameter at fault, at its head, or in its words."""
        head = re.match(r"\W*([\w.\[\]]+): ", self.text)
        words = ["".join(groups) for groups in _WORDS.findall(self.text)]
        plain = re.findall(r"[A-Za-z]+", self.text.lower())
        phrases = [f"{first}_{second}" for first, second in pairwise(plain)]
        written = (self.failure.param, head.group(1) if head else "", *words, *phrases)
        return tuple(dict.fromkeys(path for word in written if word and (path := place(self.body, word))))

    def value(self, path: str) -> Any:
        """The first value at a path; None where there is none."""
        return next(members(self.body, path), None)


def betas(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """Betas that a service does not know."""
    yield Remedy("drop_values", "anthropic-beta", tuple(re.findall(r"[\w.-]+", match[1])))


def room(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """Prompt and answer together are too long, and the prompt alone is not."""
    if (found := answer_room(refusal.text)) is not None:
        yield Remedy("make_room", "", found)


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
    if (exclusive := _EXCLUSIVE.search(refusal.text)) is not None:
        yield Remedy("clamp", path, (None, int(exclusive[2]) - 1))
    for pattern in _LENGTHS:
        for found in pattern.finditer(refusal.text):
            most = int(found[1].replace(",", ""))
            if 16 <= most < now:
                yield Remedy("clamp", path, (None, most))
                return


def effort_up_to(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """The highest effort beside thinking that is turned off."""
    if (word := match[1].lower()) in SCALE:
        yield Remedy("level", "output_config.effort", (*SCALE[2 : SCALE.index(word) + 1],), passing=True)


def least(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """Thinking cannot be turned off."""
    levels = [word for word in re.findall(r"\w+", refusal.text[match.end() :].lower()) if word in SCALE]
    yield Remedy("think_least", values=tuple(levels))


def refused_level(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """A level that the model does not have, where others are not listed."""
    if path := first(refusal.body, EFFORTS):
        yield Remedy("avoid", path, (match[1].lower(),))


def listed(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """The values that a member may have: the nearest level, or else the member's default."""
    values = [word.strip(".") for word in re.findall(r"[\w.-]+", match[1]) if word not in ("and", "or")]
    levels = tuple(word for word in values if word.lower() in SCALE)
    named = [path for path in refusal.named if isinstance(refusal.value(path), str)]
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
    passing = _CONDITION.search(refusal.text) is not None
    yield from (Remedy("drop", path, passing=passing) for path in refusal.named[:1] if may_go(path))


def most_tools(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    yield Remedy("fewer_tools", values=(int(match[1]),))


def refused_tool(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """A kind of tool that the model does not have; Chat Completions has functions in their place."""
    kind = next(filter(None, match.groups()))
    if kind in ("custom", "namespace"):
        yield Remedy("speak", values=("openai-chat",))
    yield Remedy("drop_tool", values=(kind,))
    yield Remedy("rewrite")


def exact_call_id(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    yield Remedy("shorten_call_ids", values=(int(match[1]), None))


def longest_call_id(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    yield Remedy("shorten_call_ids", values=(None, int(match[1])))


def keywords(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """Keywords that the answer's schema may not have."""
    yield Remedy("describe_keywords", values=tuple(sorted(re.findall(r"\w+", match[1]))))


def format_(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """A form of the answer that the model is not held to: first the schema goes, then the JSON."""
    passing = _CONDITION.search(refusal.text) is not None or _THIS_SCHEMA.search(refusal.text) is not None
    for kinds in (("schema",), ("schema", "json"), ("json",)):
        yield Remedy("weaken", values=kinds, passing=passing)


def renamed(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """A member that has another name, which the refusal tells."""
    if path := place(refusal.body, match[1]):
        yield Remedy("rename", path, (match[2].rpartition(".")[2],))


def number(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """A number outside of its range."""
    low, high = _limits(refusal.text)
    if low is None and high is None:
        return
    for path in refusal.named:
        now = refusal.value(path)
        if not isinstance(now, int | float) or isinstance(now, bool):
            continue
        if (low is not None and now < low) or (high is not None and now > high):
            yield Remedy("clamp", path, (low, high))
            return


def _limits(text: str) -> tuple[float | None, float | None]:
    if (exclusive := _EXCLUSIVE.search(text)) is not None:
        return _number(exclusive[1]), _number(exclusive[2]) - 1
    if (both := _BOTH.search(text)) is not None:
        low, high = (group for group in both.groups() if group is not None)
        return _number(low), _number(high)
    least, most = _LEAST.search(text), _MOST.search(text)
    return _number(least[1]) if least else None, _number(most[1]) if most else None


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)


def cut(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """A list or a text that is too long."""
    most = int(match[1])
    for path in refusal.named:
        now = refusal.value(path)
        if may_go(path) and isinstance(now, str | list) and len(now) > most:
            yield Remedy("shorten", path, (most,))
            return


def unknown(refusal: Refusal, match: re.Match[str]) -> Iterator[Remedy]:
    """Members that the model does not take."""
    passing = _CONDITION.search(refusal.text) is not None
    paths = [path for path in _explicit(refusal) if may_go(path)]
    if not paths:
        options = [path for path in refusal.named if may_go(path)]
        paths = options[1:2] if re.search(r"cannot both|only one of", refusal.text, re.I) else options[:1]
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


def _explicit(refusal: Refusal) -> Iterator[str]:
    """The members that the refusal says are unknown, wherever they stand."""
    for found in _AT.finditer(refusal.text):
        yield place(refusal.body, f"{found[2] or ''}.{found[1]}")
    for found in re.finditer(_PAIR, refusal.text):
        yield place(refusal.body, f"{found[1]}.{found[2]}")
    for pattern in _NAMED:
        for found in pattern.finditer(refusal.text):
            for name in found[1].split(", "):
                yield place(refusal.body, name) or spots(refusal.body, name)


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
