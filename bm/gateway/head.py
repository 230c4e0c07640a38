"""What must be known of a body to route it; the rest stays bytes."""

from __future__ import annotations

import msgspec

from bm.errors import Failure, RequestError


class Head(msgspec.Struct, frozen=True):
    """A body's model, whether the answer is to be streamed, and the members that name or begin a conversation.

    One look at the body finds them all, which matters: a coding agent's has hundreds of kilobytes.
    """

    model: str = ""
    stream: bool | None = False
    prompt_cache_key: msgspec.Raw = msgspec.Raw()
    metadata: msgspec.Raw = msgspec.Raw()
    system: msgspec.Raw = msgspec.Raw()
    instructions: msgspec.Raw = msgspec.Raw()
    systemInstruction: msgspec.Raw = msgspec.Raw()
    system_instruction: msgspec.Raw = msgspec.Raw()
    messages: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    contents: msgspec.Raw = msgspec.Raw()


def read_head(body: bytes, *, needs_model: bool) -> Head:
    """The head of a request.

    Raises:
        RequestError: the body is not a JSON object or is nested beyond reason, a member has the wrong type, or the
            model is missing.
    """
    try:
        head = msgspec.json.decode(body, type=Head)
    except msgspec.ValidationError as error:
        raise RequestError(_invalid(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(Failure(kind="bad_request", message=f"the body is not valid JSON: {error}")) from error
    except RecursionError as error:
        raise RequestError(Failure(kind="bad_request", message="the body is nested too deeply")) from error
    if needs_model and not head.model.strip():
        message = "the request names no model: give `model`, for example a name that `bm models` lists"
        raise RequestError(Failure(kind="bad_request", message=message, param="model"))
    return head


def _invalid(text: str) -> Failure:
    """msgspec's `Expected `str`, got `int` - at `$.model`` in the words of a request."""
    problem, _, place = text.partition(" - at `$")
    param = place.rstrip("`").lstrip(".")
    where = f"`{param}`: " if param else "the body: "
    return Failure(kind="bad_request", message=where + problem[:1].lower() + problem[1:], param=param)
