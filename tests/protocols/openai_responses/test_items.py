from __future__ import annotations

import json
from typing import Any

import pytest

from bm.chat.parts import Media, Opaque, Text, ToolCall, ToolResult
from bm.errors import RequestError
from bm.protocols.compaction import compaction_item
from bm.protocols.openai_responses.codec import CODEC
from bm.protocols.openai_responses.items import (
    continued,
    decode_call,
    decode_output,
    decode_result,
    encode_call,
    encode_result,
    input_items,
    native_item,
    of_vendor,
    output_items,
    result_parts,
)
from bm.protocols.openai_responses.tools import by_name
from tests.protocols.openai_responses.samples import answer, call_part, ids, request, wire

TOOLS = by_name(
    request(
        tools=[
            {"type": "function", "name": "look"},
            {"type": "custom", "name": "patch"},
            {"type": "namespace", "name": "agents", "tools": [{"type": "function", "name": "close"}]},
            {"type": "apply_patch"},
            {"type": "shell"},
            {"type": "local_shell"},
        ]
    )
)
CREATE = {"type": "create_file", "path": "a.txt", "diff": "+a"}


def native(name: str, arguments: dict[str, Any]) -> ToolCall:
    return ToolCall("c", name, arguments, json.dumps(arguments, separators=(",", ":")))


CALLS = [
    (
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": '{"x": 1.0}'},
        ToolCall("c", "look", {"x": 1.0}, '{"x": 1.0}'),
    ),
    (
        {"type": "function_call", "call_id": "c", "name": "close", "namespace": "agents", "arguments": "{}"},
        ToolCall("c", "agents__close", {}, "{}"),
    ),
    (
        {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "*** Begin"},
        ToolCall("c", "patch", {"input": "*** Begin"}, "*** Begin", kind="custom"),
    ),
    (
        {"type": "apply_patch_call", "call_id": "c", "operation": CREATE, "status": "completed"},
        native("apply_patch", {"operation": CREATE}),
    ),
    (
        {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"], "timeout_ms": 5}, "status": "completed"},
        native("shell", {"commands": ["ls"], "timeout_ms": 5}),
    ),
    (
        {
            "type": "local_shell_call",
            "call_id": "c",
            "action": {"type": "exec", "command": ["ls", "-l"], "env": {"A": "b"}},
            "status": "completed",
        },
        native("local_shell", {"command": ["ls", "-l"], "env": {"A": "b"}}),
    ),
]


@pytest.mark.parametrize(("item", "call"), CALLS)
def test_a_call_is_the_same_in_both_directions(item: dict[str, Any], call: ToolCall) -> None:
    assert decode_call(item, "input[0]") == call
    assert encode_call(call, "c", TOOLS) == item


@pytest.mark.parametrize(
    ("item", "arguments"),
    [
        ({"arguments": ""}, {}),
        ({"arguments": "[1]"}, {"input": "[1]"}),
        ({"arguments": "{bro"}, {"input": "{bro"}),
        ({"arguments": {"x": 1}}, {"x": 1}),
        ({}, {}),
    ],
)
def test_arguments_that_are_no_object_become_a_member_of_one(item: dict[str, Any], arguments: dict[str, Any]) -> None:
    call = decode_call({"type": "function_call", "call_id": "c", "name": "look", **item}, "input[0]")
    assert call is not None and call.arguments == arguments


@pytest.mark.parametrize(
    ("item", "place"),
    [
        ({"type": "function_call", "name": "look"}, "at.call_id"),
        ({"type": "function_call", "call_id": "c"}, "at.name"),
        ({"type": "function_call", "call_id": "c", "name": "look", "arguments": 5}, "at.arguments"),
        ({"type": "custom_tool_call", "call_id": "c", "name": "patch"}, "at.input"),
        ({"type": "shell_call", "call_id": "c"}, "at.action"),
    ],
)
def test_a_fault_in_a_call_is_named_with_its_place(item: dict[str, Any], place: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_call(item, "at")
    assert caught.value.failure.param == place


def test_what_openai_ran_itself_is_no_call() -> None:
    assert decode_call({"type": "web_search_call", "id": "ws_1"}, "x") is None
    hosted = {"type": "shell_call", "call_id": "c", "environment": {"type": "container_reference"}}
    assert decode_call(hosted, "x") is None


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("apply_patch", {"operation": {"type": "rename_file", "path": "a"}}),
        ("apply_patch", {"operation": {"type": "create_file"}}),
        ("shell", {"commands": "ls"}),
        ("shell", {"commands": [1]}),
        ("local_shell", {}),
        ("", {"commands": ["ls"]}),
    ],
)
def test_arguments_that_a_built_in_tool_cannot_take_make_no_item(name: str, arguments: dict[str, Any]) -> None:
    assert native_item(name, arguments) is None


def test_deleting_a_file_needs_no_diff_and_creating_one_does() -> None:
    deleted = native_item("apply_patch", {"operation": {"type": "delete_file", "path": "a", "diff": "x"}})
    created = native_item("apply_patch", {"operation": {"type": "create_file", "path": "a"}})
    assert deleted is not None and deleted["operation"] == {"type": "delete_file", "path": "a"}
    assert created is not None and created["operation"] == {"type": "create_file", "path": "a", "diff": ""}


def test_a_local_command_without_an_environment_has_an_empty_one() -> None:
    item = native_item("local_shell", {"command": ["ls"], "env": "x", "user": "you", "timeout_ms": "soon"})
    assert item is not None and item["action"] == {"type": "exec", "command": ["ls"], "env": {}, "user": "you"}


SHELL_OUTPUT = {"stdout": "a\n", "stderr": "b\n", "outcome": {"type": "exit", "exit_code": 2}}


@pytest.mark.parametrize(
    ("item", "result"),
    [
        ({"type": "function_call_output", "call_id": "c", "output": "seen"}, ToolResult("c", (Text("seen"),))),
        ({"type": "function_call_output", "call_id": "c", "output": []}, ToolResult("c", ())),
        (
            {
                "type": "function_call_output",
                "call_id": "c",
                "output": [{"type": "input_image", "image_url": "data:image/png;base64,QQ=="}],
            },
            ToolResult("c", (Media("image", mime="image/png", data="QQ=="),)),
        ),
        (
            {"type": "custom_tool_call_output", "call_id": "c", "output": "done"},
            ToolResult("c", (Text("done"),), kind="custom"),
        ),
        (
            {"type": "apply_patch_call_output", "call_id": "c", "status": "failed", "output": "no such file"},
            ToolResult("c", (Text("no such file"),), is_error=True, name="apply_patch"),
        ),
        (
            {"type": "apply_patch_call_output", "call_id": "c", "status": "completed"},
            ToolResult("c", (Text("done"),), name="apply_patch"),
        ),
        (
            {"type": "local_shell_call_output", "id": "c", "output": "a"},
            ToolResult("c", (Text("a"),), name="local_shell"),
        ),
        (
            {"type": "shell_call_output", "call_id": "c", "output": [SHELL_OUTPUT]},
            ToolResult(
                "c",
                (Opaque("openai-responses", "shell_output", SHELL_OUTPUT, summary="a\nb\n(exit code 2)"),),
                name="shell",
            ),
        ),
    ],
)
def test_answers_to_calls_are_read(item: dict[str, Any], result: ToolResult) -> None:
    assert decode_result(item, "input[0]") == result


def test_a_command_that_timed_out_is_marked() -> None:
    chunk = {"stdout": "", "stderr": "", "outcome": {"type": "timeout"}}
    result = decode_result({"type": "shell_call_output", "call_id": "c", "output": [chunk]}, "x")
    assert result is not None and result_parts(result) == [Text("(timed out)")]


def test_other_items_answer_nothing_and_an_answer_needs_its_call() -> None:
    assert decode_result({"type": "message"}, "x") is None
    with pytest.raises(RequestError) as caught:
        decode_result({"type": "function_call_output", "output": "a"}, "at")
    assert caught.value.failure.param == "at.call_id"


def answered(kind: str) -> dict[str, Any]:
    return {"type": kind, "call_id": "c"}


BOOM = ToolResult("c", (Text("boom"),), is_error=True)


@pytest.mark.parametrize(
    ("result", "output", "call", "item"),
    [
        (BOOM, "boom", None, {"type": "function_call_output", "call_id": "c", "output": "Error: boom"}),
        (BOOM, "Error 5", None, {"type": "function_call_output", "call_id": "c", "output": "Error 5"}),
        (
            BOOM,
            [{"type": "input_text", "text": "boom"}],
            answered("function_call"),
            {
                "type": "function_call_output",
                "call_id": "c",
                "output": [{"type": "input_text", "text": "Error:"}, {"type": "input_text", "text": "boom"}],
            },
        ),
        (
            ToolResult("c", (Text("ok"),)),
            "ok",
            answered("custom_tool_call"),
            {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
        ),
        (
            ToolResult("c", (Text("ok"),), kind="custom"),
            "ok",
            None,
            {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
        ),
        (
            BOOM,
            "boom",
            answered("apply_patch_call"),
            {"type": "apply_patch_call_output", "call_id": "c", "status": "failed", "output": "boom"},
        ),
        (BOOM, "boom", answered("local_shell_call"), {"type": "local_shell_call_output", "id": "c", "output": "boom"}),
        (
            BOOM,
            "boom",
            answered("shell_call"),
            {
                "type": "shell_call_output",
                "call_id": "c",
                "output": [{"stdout": "boom", "stderr": "", "outcome": {"type": "exit", "exit_code": 1}}],
            },
        ),
    ],
)
def test_an_answer_fits_the_item_that_called(result: ToolResult, output: Any, call: Any, item: object) -> None:
    assert encode_result(result, output, call) == item


def test_the_output_of_a_shell_goes_back_as_it_came() -> None:
    item = {"type": "shell_call_output", "call_id": "c", "output": [SHELL_OUTPUT]}
    result = decode_result(item, "x")
    assert result is not None and encode_result(result, "", answered("shell_call")) == item


def test_an_item_of_an_answer_is_its_parts() -> None:
    content = [{"type": "output_text", "text": "a", "annotations": []}, {"type": "refusal", "refusal": "no"}]
    assert [
        type(part).__name__ for part in decode_output({"type": "message", "role": "assistant", "content": content}, "x")
    ] == ["Text", "Refusal"]
    assert decode_output({"type": "reasoning", "summary": []}, "x") == ()
    assert decode_output({"type": "mcp_call", "id": "m"}, "x") == (
        Opaque("openai-responses", "mcp_call", {"type": "mcp_call", "id": "m"}),
    )


EARLIER = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": "{}"}
ANSWERED = {"type": "function_call_output", "call_id": "call_1", "output": "seen"}


def test_a_plain_string_is_one_message_of_the_user() -> None:
    assert input_items({"input": "Hi"}) == [{"type": "message", "role": "user", "content": "Hi"}]
    assert input_items({"input": [EARLIER]}) == [EARLIER]
    assert input_items({}) == []


def test_earlier_items_come_first_and_the_reference_is_removed() -> None:
    body = {"model": "m", "previous_response_id": "resp_1", "input": [ANSWERED]}
    earlier = [{"role": "user", "content": "Look."}, EARLIER]
    assert continued(body, earlier) == {"model": "m", "input": [*earlier, ANSWERED]}
    assert "previous_response_id" in body


def test_a_reference_to_an_earlier_item_is_resolved() -> None:
    for reference in ({"type": "item_reference", "id": "fc_1"}, {"id": "fc_1"}):
        assert continued({"input": [reference, ANSWERED]}, [EARLIER])["input"] == [EARLIER, EARLIER, ANSWERED]


@pytest.mark.parametrize("named", ["fc_2", "", None, 1, [1], {"id": "fc_1"}])
def test_a_reference_to_nothing_known_stays_as_it_is(named: Any) -> None:
    for unknown in ({"type": "item_reference", "id": named}, {"id": named}):
        assert continued({"input": [unknown]}, [EARLIER])["input"] == [EARLIER, unknown]


def test_an_answer_can_be_continued_from() -> None:
    asked = {"model": "m", "input": "Look."}
    first = CODEC.encode_response(answer(call_part(0, "look", '{"at":1}')), request(), ids(), model="m")
    earlier = input_items(asked) + output_items(wire(first))
    again = CODEC.decode_request(continued({"model": "m", "previous_response_id": "r", "input": [ANSWERED]}, earlier))
    assert [turn.role for turn in again.turns] == ["user", "assistant", "user"]


def test_an_answer_without_output_has_no_items() -> None:
    assert output_items({"output": None}) == []


TASK = {"type": "input_text", "text": "Say banana."}
SECRET = {"type": "encrypted_content", "encrypted_content": "gAAAA"}
FROM = {"author": "/lead", "recipient": "/lead/child"}


@pytest.mark.parametrize(
    ("kind", "item", "summary"),
    [
        ("agent_message", {**FROM, "content": [TASK]}, "Message from /lead to /lead/child:\n\nSay banana."),
        ("agent_message", {"content": [TASK]}, "Message from an agent to you:\n\nSay banana."),
        ("agent_message", {"content": []}, ""),
        ("code_interpreter_call", {"code": "1", "outputs": [{"logs": "2"}]}, "```\n1\n```\n```\n2\n```"),
        ("file_search_call", {"results": [{"filename": "a", "text": "b"}]}, "Found in files:\n\na:\nb"),
        ("file_search_call", {"results": None}, ""),
        ("mcp_call", {"server_label": "s", "name": "n", "arguments": "{}", "output": "o"}, "Called s.n with {}:\no"),
        ("mcp_call", {"server_label": "s", "name": "n", "error": {"code": 1}}, 'Called s.n with :\nError: {"code":1}'),
        ("mcp_approval_request", {"server_label": "s", "name": "n", "arguments": "{}"}, "May s.n be called with {}?"),
        ("mcp_approval_response", {"approve": False, "reason": "No."}, "The call is refused. No."),
        ("program", {"code": "1"}, "```\n1\n```"),
        ("program_output", {"result": "2"}, "2"),
        ("mcp_list_tools", {"tools": []}, ""),
        ("new_item", {"text": "a"}, ""),
    ],
)
def test_what_an_item_says_in_words(kind: str, item: dict[str, Any], summary: str) -> None:
    part = of_vendor(kind, item)
    assert (part.summary, part.raw, part.lost) == (summary, item, "")


def test_what_is_encrypted_is_named_as_lost() -> None:
    part = of_vendor("agent_message", {**FROM, "content": [TASK, SECRET]})
    assert "Say banana." in part.summary and "gAAAA" not in part.summary and part.lost
    assert part.summary.endswith("[encrypted: it cannot be read here]")
    alone = of_vendor("agent_message", {**FROM, "content": [SECRET]})
    assert "encrypted" in alone.summary and alone.lost
    assert of_vendor("compaction", {"encrypted_content": "gAAAA"}).lost


@pytest.mark.parametrize("text", ["Say banana.", "x" * 63, "Read /a/b-c_d and go on.\n" * 9])
def test_a_task_that_codex_takes_for_encrypted_is_read_where_it_is_plain_text(text: str) -> None:
    plain = {"type": "encrypted_content", "encrypted_content": text}
    part = of_vendor("agent_message", {"type": "agent_message", **FROM, "content": [TASK, plain]})
    assert part.summary.endswith(text) and not part.lost
    assert part.raw["content"] == [TASK, {"type": "input_text", "text": text}]


def test_a_summary_of_bms_is_not_lost() -> None:
    part = of_vendor("compaction", compaction_item("We went.", "cmp_1"))
    assert part.summary.endswith("We went.") and not part.lost
