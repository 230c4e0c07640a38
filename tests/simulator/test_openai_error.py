"""The official SDK knows each error by its class."""

from __future__ import annotations

import openai
import pytest

from bm.simulator import Simulator


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (503, openai.InternalServerError),
    ],
)
def test_the_sdk_raises(sim: Simulator, status: int, kind: type[openai.APIStatusError]) -> None:
    client = openai.OpenAI(api_key="k", base_url=f"{sim.url}/v1", max_retries=0)
    with client, pytest.raises(kind) as caught:
        client.chat.completions.create(model=f"sim-{status}", messages=[{"role": "user", "content": "hello"}])
    assert caught.value.type is not None
    assert caught.value.request_id == "req_sim00000001"
