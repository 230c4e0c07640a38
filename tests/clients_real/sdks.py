"""One of the official Python SDKs against bm: `sdks.py NAME ORIGIN KEY`, run by the interpreter that has them.

Prints a line of JSON for each feature: its name, what arrived, and the error if there was one. The tools come first:
the upstream answers its first request with calls. Where an SDK reads the variables of `bm env`, nothing else is given.
"""

# mypy: ignore-errors
# The SDKs are another environment's, in other versions than those that are installed for the tests.

import base64
import json
import sys
from pathlib import Path

NAME, ORIGIN, KEY = sys.argv[1:4]
WORD = "BM-PONG-42"
PICTURE = base64.b64encode(Path("picture.png").read_bytes()).decode()
PARAMETERS = {"type": "object", "properties": {"words": {"type": "string"}}, "required": ["words"]}
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string", "enum": [WORD]}},
    "required": ["answer"],
    "additionalProperties": False,
}
RESULT = "ran-42"


class Anthropic:
    """Messages."""

    def __init__(self):
        import anthropic

        self.client = anthropic.Anthropic()
        self.common = {"model": "claude-sonnet-4-5", "max_tokens": 2000}

    def say(self, content=WORD, **options):
        said = [{"role": "user", "content": content}]
        answer = self.client.messages.create(messages=said, **self.common, **options)
        return "".join(block.text for block in answer.content if block.type == "text")

    def text(self):
        return self.say()

    def stream(self):
        said = [{"role": "user", "content": WORD}]
        with self.client.messages.stream(messages=said, **self.common) as stream:
            text = "".join(stream.text_stream)
            assert stream.get_final_message().stop_reason == "end_turn"
        return text

    def tools(self):
        tools = [{"name": "run", "description": "Run it", "input_schema": PARAMETERS}]
        thinking = {"type": "enabled", "budget_tokens": 1024}
        messages = [{"role": "user", "content": "run it"}]
        for _ in range(3):
            with self.client.messages.stream(
                messages=messages, tools=tools, thinking=thinking, **self.common
            ) as stream:
                answer = stream.get_final_message()
            if answer.stop_reason != "tool_use":
                return "".join(block.text for block in answer.content if block.type == "text")
            calls = [block for block in answer.content if block.type == "tool_use"]
            results = [{"type": "tool_result", "tool_use_id": each.id, "content": RESULT} for each in calls]
            messages += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
        return ""

    def image(self):
        source = {"type": "base64", "media_type": "image/png", "data": PICTURE}
        return self.say([{"type": "image", "source": source}, {"type": "text", "text": WORD}])

    def structured(self):
        return self.say("answer", output_config={"format": {"type": "json_schema", "schema": SCHEMA}})


class Chat:
    """Chat Completions, by the SDK of OpenAI and those made after it."""

    def __init__(self, client, model):
        self.client, self.model = client, model

    def say(self, content=WORD, **options):
        said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]
        answer = self.client.chat.completions.create(model=self.model, messages=said, **options)
        return answer.choices[0].message.content

    def text(self):
        return self.say()

    def stream(self):
        said = [{"role": "user", "content": WORD}]
        chunks = self.client.chat.completions.create(model=self.model, messages=said, stream=True)
        choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
        assert choices[-1].finish_reason in ("stop", "eos"), choices[-1]
        return "".join(choice.delta.content or "" for choice in choices)

    def tools(self):
        function = {"name": "run", "description": "Run it", "parameters": PARAMETERS}
        messages = [{"role": "user", "content": "run it"}]
        for _ in range(3):
            answer = self.client.chat.completions.create(
                model=self.model, messages=messages, tools=[{"type": "function", "function": function}]
            )
            message = answer.choices[0].message
            if not message.tool_calls:
                return message.content
            calls = [
                {
                    "id": each.id,
                    "type": "function",
                    "function": {"name": each.function.name, "arguments": each.function.arguments},
                }
                for each in message.tool_calls
            ]
            messages.append({"role": "assistant", "content": message.content, "tool_calls": calls})
            messages += [{"role": "tool", "tool_call_id": each["id"], "content": RESULT} for each in calls]
        return ""

    def image(self):
        url = {"url": f"data:image/png;base64,{PICTURE}"}
        return self.say([{"type": "text", "text": WORD}, {"type": "image_url", "image_url": url}])

    def structured(self):
        wanted = {"name": "answer", "schema": SCHEMA, "strict": True}
        return self.say("answer", response_format={"type": "json_schema", "json_schema": wanted})


class Responses:
    """Responses, by the SDK of OpenAI."""

    def __init__(self):
        import openai

        self.client = openai.OpenAI()

    def say(self, content=WORD, **options):
        said = [{"role": "user", "content": content}]
        return self.client.responses.create(model="gpt-5", input=said, **options).output_text

    def text(self):
        return self.say()

    def stream(self):
        with self.client.responses.stream(model="gpt-5", input=WORD) as stream:
            return stream.get_final_response().output_text

    def tools(self):
        tool = {"type": "function", "name": "run", "description": "Run it", "parameters": PARAMETERS, "strict": False}
        said = [{"role": "user", "content": "run it"}]
        for _ in range(3):
            with self.client.responses.stream(
                model="gpt-5", input=said, tools=[tool], include=["reasoning.encrypted_content"], store=False
            ) as stream:
                answer = stream.get_final_response()
            calls = [item for item in answer.output if item.type == "function_call"]
            if not calls:
                return answer.output_text
            said += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in answer.output]
            said += [{"type": "function_call_output", "call_id": each.call_id, "output": RESULT} for each in calls]
        return ""

    def image(self):
        url = f"data:image/png;base64,{PICTURE}"
        return self.say(
            [{"type": "input_text", "text": WORD}, {"type": "input_image", "image_url": url, "detail": "low"}]
        )

    def structured(self):
        wanted = {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}
        return self.say("answer", text={"format": wanted})


class GenAI:
    """generateContent."""

    def __init__(self):
        from google import genai

        self.client = genai.Client()
        self.model = "gemini-2.5-flash"

    def say(self, contents=WORD, **config):
        return self.client.models.generate_content(model=self.model, contents=contents, config=config or None).text

    def text(self):
        return self.say()

    def stream(self):
        chunks = list(self.client.models.generate_content_stream(model=self.model, contents=WORD))
        assert chunks[-1].candidates[0].finish_reason == "STOP"
        return "".join(chunk.text or "" for chunk in chunks)

    def tools(self):
        def run(words: str) -> str:
            """Run it"""
            return RESULT

        return self.say("run it", tools=[run])

    def image(self):
        from google.genai import types

        return self.say([types.Part.from_bytes(data=base64.b64decode(PICTURE), mime_type="image/png"), WORD])

    def structured(self):
        return self.say("answer", response_mime_type="application/json", response_json_schema=SCHEMA)


def openai():
    import openai

    return Chat(openai.OpenAI(), "gpt-4o")


def groq():
    import groq

    return Chat(groq.Groq(), "meta-llama/llama-4-maverick-17b-128e-instruct")


def together():
    import together

    return Chat(together.Together(base_url=ORIGIN, api_key=KEY), "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8")


SDKS = {
    "anthropic": Anthropic,
    "openai": openai,
    "responses": Responses,
    "genai": GenAI,
    "groq": groq,
    "together": together,
}


def main():
    sdk = SDKS[NAME]()
    for feature in ("tools", "text", "stream", "image", "structured"):
        try:
            line = {"feature": feature, "said": getattr(sdk, feature)(), "error": ""}
        except Exception as error:  # noqa: BLE001 - whatever an SDK raises is what is reported
            line = {"feature": feature, "said": "", "error": f"{type(error).__name__}: {error}"[:400]}
        print(json.dumps(line), flush=True)


main()
