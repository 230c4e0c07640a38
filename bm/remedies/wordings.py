"""The words in which refusals say things of one kind, in all services, as regular expressions."""

from __future__ import annotations

import re
from typing import Final

_NUMBER = r"(-?\d+(?:\.\d+)?)"
_QUOTE = r"['`\"]?"
_NAME = rf"{_QUOTE}[\w.\[\]]+{_QUOTE}"
_COUNT = r"(\d[\d,_]*k?\b)"

STREAM: Final = r"only supports? stream|(?:stream must be|must have stream ?=) ?(?:set to )?true"
NO_STREAM: Final = (
    r"verified to stream this model|'stream' does not support true|not support streaming|streaming is not supported"
    r"|unsupported for streaming"
)
ROOM: Final = r"context|max_new_tokens"
LENGTH: Final = (
    r"max[_ ]?(?:completion|output|new)?[_ ]?tokens|(?:completion|output) tokens|maximum (?:output )?tokens you"
)
OVERSHOT: Final = r"token limit: ?(\d+) \(requested: ?(\d+)\)"
LISTED: Final = (
    r"(?:supported (?:string )?(?:values|levels|types|options)(?: are)?|must be one of|expected one of|is not one of"
    r"|permitted:|(?:must|should) be(?= \[?['`\"])|please use|allowed(?= ?:)"
    r"|(?:allowed|accepted) (?:string )?values(?: are)?"
    r"|allowed string values for \S+ are|valid (?:values|options|levels)(?: are)?|choose (?:from|one of)|仅支持"
    r"|only (?:accepts|supports|allows)(?: string)?(?: \w+ values)?(?= ?[('`\"\[]|\W+\w+(?:, | \||/))"
    r"|expected(?= ?(?:string: |['`\"]\w+['`\"] ?\|)))\W{1,4}"
    rf"({_QUOTE}[\w.-]+{_QUOTE}(?: \(default\))?"
    rf"(?:(?: ?[,|/、] ?(?:(?:and|or) )?| (?:and|or) ){_QUOTE}[\w.-]+{_QUOTE}(?: \(default\))?)*)"
)
RANGE: Final = (
    r"\brange\b|between|within|from -?\d|less than|greater than|[<>]=|must be [<>]|at most|at least|minimum|maximum"
    r"|must not exceed|(?:must|should) be in\b|max allowed|strictly positive|取值范围|区间"
)
CUT: Final = (
    r"(?:maximum length|at most|maximum(?: number of items| supported)? is|no more than|up to|only supports?"
    r"|less than or equal to) (\d+)|<= ?(\d+) (?:items|characters)|(\d+) (?:items|elements|entries) or fewer"
    r"|最多(?:支持)? ?(\d+)"
)
TOOLS: Final = (
    r"\btools?\b(?![\[.]).{0,60}(?:maximum (?:number of items is|length|is)|at most|limit(?:ed)? (?:is|to|of)|up to"
    r"|exceeded:|no more than) (\d+)|function_declarations: at most (\d+)"
)
UNKNOWN: Final = (
    r"un(?:supported|known|recognized|expected)|not (?:supported|allowed|permitted|enabled|accepted|available)|extra"
    r"|deprecated|(?:does not|doesn't) (?:support|accept|take)|must be unset|may only be set|cannot both|only one of"
    r"|extra_forbidden|should not exist"
)
SCHEMA: Final = (
    r"schema|function_?declarations?|tools?\[|tools\.\d+|\bparameters\b|too many states|grammar|unimplemented keys"
    r"|object fields require|invalid fields"
)
SYSTEM: Final = (
    r"role\W{1,3}system\W{1,3}(?:is not supported|must precede)|unexpected role\W{1,3}system|valid role: user, model"
    r"|system messages? (?:must be|should be|are only|is only|can only).{0,40}(?:beginning|first|start)"
    r"|invalid (?:message )?role: system|invalid chat setting|role: input should be .user"
    r"|(?:only one|multiple|single) system messages?"
)
DEVELOPER: Final = (
    r"\bdeveloper\b.{0,80}(?:is not one of|not supported|unknown|unexpected|invalid|found using 'role')"
    r"|(?:unknown variant|unexpected role|invalid role|role. does not support).{0,20}developer"
    r"|unexpected message role|incorrect role information"
)
PREFILL: Final = (
    r"assistant message prefill|ending with a model turn|prefill is (?:incompatible|not supported)|pre-filling"
    r"|must end with a user|requests? ends? with a user role|last message (?:of \w+ )?(?:must|should|cannot)"
    r"|last message is from the assistant|cannot continue (?:the )?(?:final|last)|expected last role user"
)
ALTERNATE: Final = (
    r"roles? must alternate|should alternate|alternate between user|alternate user/assistant|alternate user and"
    r"|(?:consecutive|successive) (?:user|assistant)|2 or more assistant messages"
)
UNPAIRED: Final = (
    r"tool_use. ids (?:were found without|must be unique)|must be followed by tool messages"
    r"|no tool (?:output|call) found for|unexpected .{0,3}tool_use_id|must be a response to a prec"
    r"|number of function (?:response parts|calls and responses)|must have a single result"
    r"|tool (?:call )?result.{0,40}(?:not found|not follow|not match)|tool call and result not match"
    r"|tool_call_id.{0,40}is not found|tool.?call id .{0,60}duplicated|no previous assistant message with a tool call"
    r"|toolResult blocks at|response turn comes immediately after|function_response\.name"
)
EMPTY: Final = (
    r"must have (?:either )?content or tool_calls|text content blocks must|empty text blocks"
    r"|content (?:must be|is) (?:non-?empty|required)|at least one content element|must not be empty"
    r"|(?:content|toolResult) cannot be empty|(?:content|text) is empty"
    r"|content' field that is not empty|ContentBlock .{0,60}is blank"
    r"|(?:string|array) to have >=1|: empty string\. Expected|should not be empty"
    r"|message content type: <nil>|non-empty content|must have a text parameter"
    r"|must have one initialized field"
)
PLAIN: Final = (
    r"must have string content|missing field .content|content field is (?:a )?required"
    r"|can only concatenate str \(not \"list\"\)"
    r"|content\S*:? .{0,60}(?:should be a valid string|must be a string|expected (?:a )?string|null)"
    r"|output\S*:? .{0,60}(?:expected (?:a )?string|should be .input text)"
    r"|cannot unmarshal array into Go struct field \S*content|invalid type: sequence, expected a string"
)
FORMAT: Final = (
    r"(?:response_?format|json_?schema|json_?object|json mode|structured outputs?|response_?schema|output_format"
    r"|output_config\.format|text\.format)"
    r".{0,160}(?:support|unavailable|not available|not enabled|must be|invalid|unknown variant|should)"
    r"|(?:support|unavailable|invalid|unknown).{0,80}(?:response_?format|json_?schema|structured output)"
)
FORMAT_WITH_TOOLS: Final = (
    r"(?:json mode|response mime type|response[_ ]format).{0,80}(?:tool|function)|function calling with a response"
    r"|(?:tool|function).{0,60}(?:response mime type|response[_ ]format)|grammar constraints with tools"
)

CONDITION: Final = re.compile(
    r"\b(?:when|while|if|unless|both|combined|together|only one)\b|with (?:tools|function)", re.I
)
THIS_SCHEMA: Final = re.compile(
    r"schema\S*: |invalid (?:json )?schema|propert(?:y|ies)|keyword|too (?:many|complex|deep)", re.I
)
"""What is said of one schema, and not of schemas altogether."""
PAIR: Final = r"['\"]?([\w.\[\]]+)['\"]? ?: property ['\"]([\w.]+)['\"] is unsupported"
NAMED: Final = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        r"property ['\"]([\w.\[\]]+)['\"] is unsupported",
        r"([\w.\[\]$-]+): Extra inputs",
        r"-> ([\w.]+)\s+Extra inputs",
        r"Extra inputs are not permitted, field: ['\"]([^'\"]+)['\"]",
        r"extraneous key \[(\w+)\]",
        r"property (\w+) should not exist",
        r"(?:unsupported|unknown|unrecognized|unexpected|additional)(?: request| keyword)? "
        r"(?:parameter|argument|field|property|key)(?:s|\(s\))?(?: supplied| in object)?:? "
        rf"({_NAME}(?:, {_NAME})*)",
        rf"(?:argument|parameter) not supported(?: on this model)?: ({_NAME})",
        rf"support (?:the )?(?:parameter|argument|field)s?:? [\[{{]?({_QUOTE}\w[\w.]*{_QUOTE}(?:, ['\"]\w+['\"])*)",
        r"\((['\"]\w+['\"](?:, ['\"]\w+['\"])*) (?:was|were) unexpected\)",
    )
)
"""How members are named that are unknown: their names, with commas between several."""
AT: Final = re.compile(r"Unknown name \"([^\"]+)\"(?: at '([^']*)')?", re.I)
WORDS: Final = re.compile(
    r"['`\"]([\w.$\[\]-]+)['`\"]|\b([a-z]+(?:_[a-z]+)+|[a-z]+[A-Z]\w*|(?i:temperature|seed|logprobs|stop|thinking))\b"
)
MOST: Final = re.compile(
    r"(?:(?:less than or equal to|at most|maximum(?: value)?(?: of| is)?|no more than|(?:not|cannot) exceed|up to"
    rf"|max allowed:) |<= ?){_QUOTE}{_NUMBER}",
    re.I,
)
LEAST: Final = re.compile(
    rf"(?:(?:greater than or equal to|at least|minimum(?: value)?(?: of| is)?|no less than) |>= ?){_QUOTE}{_NUMBER}",
    re.I,
)
BOTH: Final = re.compile(
    rf"(?:range|from|within)\b[^\d\[(-]{{0,30}}[\[(]?{_NUMBER}(?:\.\.|, ?| to | - ){_NUMBER}"
    rf"|between {_NUMBER} and {_NUMBER}"
    rf"|[\[(]{_NUMBER}, ?{_NUMBER}[\])]",
    re.I,
)
EXCLUSIVE: Final = re.compile(rf"from {_NUMBER} \(inclusive\) to {_NUMBER} \(exclusive\)", re.I)
OPEN: Final = re.compile(r"(?:greater|less) than (?!or)|strictly positive|[<>] ?-?\d|\(-?\d|\d\)", re.I)
"""What is said of a range whose ends are not part of it."""
OPEN_ABOVE: Final = re.compile(r"[\[(] ?-?[\d.]+ ?, ?-?[\d.]+ ?\)")
"""A range whose upper end is not part of it."""
LENGTHS: Final = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        rf"[\[(]\s*\d+\s*,\s*{_COUNT}\s*\]",
        rf"> {_COUNT}",
        r"(?:at most|less than or equal to|<=|up to|limited to|limit of|(?:not|cannot) exceed|between \d+ and) "
        rf"{_QUOTE}{_COUNT}",
        rf"(?:maximum|limit|max)\b[^\d]{{0,60}}?{_COUNT}",
    )
)
