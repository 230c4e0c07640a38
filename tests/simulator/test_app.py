"""Keys, quotas, the control paths, and requests without a handler."""

from __future__ import annotations

import httpx
import pytest

from bm.simulator import Quota, Rule, Simulator
from bm.simulator.app import App
from bm.simulator.faults import Refused
from bm.simulator.request import Request
from bm.simulator.rules import Script
from tests.simulator.streams import APIS, ask, body_of, path_of


@pytest.mark.parametrize("api", APIS)
def test_any_key_is_good_unless_keys_are_named(sim: Simulator, http: httpx.Client, api: str) -> None:
    assert ask(http, api).status_code == 200
    sim.script(keys=("another",))
    assert ask(http, api).status_code == (400 if api == "gemini" else 401)


@pytest.mark.parametrize(("api", "status"), [("anthropic", 401), ("openai-chat", 401), ("gemini", 403)])
def test_no_key_is_refused(sim: Simulator, api: str, status: int) -> None:
    answer = httpx.post(f"{sim.url}{path_of(api)}", json=body_of(api), headers={"anthropic-version": "2023-06-01"})
    assert answer.status_code == status


def test_a_quota_is_of_one_account(sim: Simulator, http: httpx.Client) -> None:
    sim.script(quotas={"key-one": Quota(2, window=60)})
    assert [ask(http, "gemini").status_code for _ in range(3)] == [200, 200, 429]
    http.headers["x-api-key"] = "key-two"
    assert ask(http, "gemini").status_code == 200


def test_an_exceeded_quota_says_truly_when_it_is_renewed(sim: Simulator, http: httpx.Client) -> None:
    sim.script(quotas={"key-one": Quota(1, window=60)})
    ask(http, "gemini")
    error = ask(http, "gemini").json()["error"]
    delay = float(error["details"][1]["retryDelay"].removesuffix("s"))
    assert 0 < delay <= 60
    assert error["details"][0]["violations"][0]["quotaValue"] == "1"


def test_a_refused_request_uses_up_no_quota(sim: Simulator, http: httpx.Client) -> None:
    sim.script(quotas={"key-one": Quota(1)})
    assert http.post("/v1/messages", json={"model": "claude-haiku-4-5"}).status_code == 400
    assert ask(http, "anthropic").status_code == 200
    answer = ask(http, "anthropic")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60


def test_a_quota_may_be_of_tokens_too(sim: Simulator, http: httpx.Client) -> None:
    tokens = ask(http, "gemini", stream=False).json()["usageMetadata"]["promptTokenCount"]
    sim.script(quotas={"key-one": Quota(9, tokens=2 * tokens)})
    assert [ask(http, "gemini", stream=False).status_code for _ in range(3)] == [200, 200, 429]
    (violation,) = ask(http, "gemini", stream=False).json()["error"]["details"][0]["violations"]
    assert violation["quotaId"] == "GenerateContentInputTokensPerModelPerMinute-FreeTier"
    assert violation["quotaValue"] == str(2 * tokens)


def test_a_quota_is_renewed_after_its_window() -> None:
    clock = [0.0]
    app = App(lambda: clock[0])
    app.apply(Script(quotas={"k": Quota(1, window=30)}))
    request = Request(
        number=1, method="POST", path="", query={}, headers={}, body={}, api="gemini", operation="generate",
        prefix="", model="m", verb="", key="k", stream=False,
    )  # fmt: skip
    app.spend(request)
    clock[0] = 29.5
    with pytest.raises(Refused) as caught:
        app.spend(request)
    assert caught.value.trouble.retry_info == "0.500000s"
    clock[0] = 30.0
    app.spend(request)


def test_the_control_paths_do_over_http_what_python_does(http: httpx.Client) -> None:
    assert http.post("/__sim/script", json={"rules": [{"status": 503}]}).json() == {"ok": True}
    assert [ask(http, "gemini").status_code for _ in range(2)] == [503, 200]
    assert [record["status"] for record in http.get("/__sim/log").json()] == [503, 200]
    assert http.post("/__sim/reset").json() == {"ok": True}
    assert http.get("/__sim/log").json() == []


def test_a_wrong_script_is_refused_with_the_reason(http: httpx.Client) -> None:
    answer = http.post("/__sim/script", json={"rules": [{"stauts": 503}]})
    assert answer.status_code == 400
    assert "stauts" in answer.json()["error"]


def test_an_unknown_control_path_names_the_known_ones(http: httpx.Client) -> None:
    answer = http.get("/__sim/nothing")
    assert (answer.status_code, "/__sim/script" in answer.text) == (404, True)


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/nothing"), ("GET", "/v1/messages"), ("DELETE", "/x")])
def test_a_path_that_is_nobodys_is_404(sim: Simulator, http: httpx.Client, method: str, path: str) -> None:
    assert http.request(method, path).status_code == 404
    assert sim.log()[0].status == 404


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("body", [b"{", b"[]", b""])
def test_what_is_no_json_object_is_400(http: httpx.Client, api: str, body: bytes) -> None:
    assert http.post(path_of(api), content=body).status_code == 400


def test_a_refusal_is_in_the_log(sim: Simulator, http: httpx.Client) -> None:
    http.post("/v1/messages", json={"model": "claude-haiku-4-5", "messages": []})
    assert sim.log()[0].refusal == "max_tokens: Field required"


def test_a_refused_request_uses_up_no_rule(sim: Simulator, http: httpx.Client) -> None:
    sim.script(Rule(status=500))
    http.post("/v1/messages", json={"model": "claude-haiku-4-5"})
    assert ask(http, "anthropic").status_code == 500
