"""The simulated sign-in: what Google would refuse is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from google.auth import crypt, jwt

from bm.simulator import OAuth, Simulator
from bm.simulator.oauth import GOOGLE_TOKEN, Authority, Code
from tests.support.google import ROBOT, key_pair

NOW = 1_800_000_000.0
OWN = "http://127.0.0.1:1/oauth/token"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
"""The example of RFC 7636, appendix B."""
ASKED = {
    "response_type": "code",
    "client_id": "c",
    "redirect_uri": "http://127.0.0.1:5000",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "scope": "one two",
    "state": "s",
}


@pytest.fixture
def authority() -> Authority:
    return Authority(lambda: NOW)


def code(authority: Authority) -> str:
    status, place = authority.consent(ASKED)
    assert status == 302
    return dict(httpx.QueryParams(place.partition("?")[2]))["code"]


def form(authority: Authority, **other: str) -> dict[str, str]:
    whole = {
        "grant_type": "authorization_code",
        "code": code(authority),
        "client_id": "c",
        "client_secret": "s",
        "redirect_uri": ASKED["redirect_uri"],
        "code_verifier": VERIFIER,
    }
    return whole | other


def signed_in(authority: Authority) -> dict[str, Any]:
    status, answer = authority.token(form(authority), OWN)
    assert status == 200, answer
    return answer


def test_consent_leads_back_with_code_and_state(authority: Authority) -> None:
    _, place = authority.consent(ASKED)
    query = httpx.QueryParams(place.partition("?")[2])
    assert place.startswith("http://127.0.0.1:5000?")
    assert (query["state"], query["scope"], query["code"] != "") == ("s", "one two", True)


def test_refused_consent(authority: Authority) -> None:
    authority.apply(OAuth(deny=True))
    _, place = authority.consent(ASKED)
    assert "error=access_denied" in place and "code=" not in place


@pytest.mark.parametrize(
    "other",
    [
        {"redirect_uri": "http://elsewhere.example/"},
        {"code_challenge_method": "plain"},
        {"code_challenge": ""},
        {"response_type": "token"},
        {"client_id": ""},
    ],
)
def test_what_consent_is_not_asked_for(authority: Authority, other: dict[str, str]) -> None:
    assert authority.consent(ASKED | other)[0] == 400


@pytest.mark.parametrize(
    ("other", "error"),
    [
        ({"code_verifier": "another"}, "invalid_grant"),
        ({"code": "another"}, "invalid_grant"),
        ({"client_id": "another"}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:6000"}, "redirect_uri_mismatch"),
        ({"client_secret": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_a_code_is_for_one_client_one_redirect_and_one_verifier(
    authority: Authority, other: dict[str, str], error: str
) -> None:
    status, answer = authority.token(form(authority, **other), OWN)
    assert (status, answer["error"]) == (400, error)


def test_a_code_serves_once(authority: Authority) -> None:
    asked = form(authority)
    assert [authority.token(asked, OWN)[0] for _ in range(2)] == [200, 400]
    assert Code("c", "r", "x", "s") == Code("c", "r", "x", "s")


@pytest.mark.parametrize("rotate", [False, True])
def test_a_refresh_token_is_replaced_only_where_it_rotates(authority: Authority, rotate: bool) -> None:
    old = signed_in(authority)["refresh_token"]
    authority.apply(OAuth(rotate=rotate))
    asked = {"grant_type": "refresh_token", "refresh_token": old, "client_id": "c"}
    _, answer = authority.token(asked, OWN)
    assert authority.admits(answer["access_token"])
    assert ("refresh_token" in answer) is rotate
    assert authority.token(asked, OWN)[0] == (400 if rotate else 200)


def test_a_refresh_token_is_its_clients(authority: Authority) -> None:
    asked = {"grant_type": "refresh_token", "refresh_token": signed_in(authority)["refresh_token"]}
    assert authority.token(asked | {"client_id": "another"}, OWN)[0] == 400


def test_revoking_and_ending(authority: Authority) -> None:
    tokens = signed_in(authority)
    asked = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": "c"}
    authority.apply(OAuth(expire=True))
    assert not authority.admits(tokens["access_token"])
    assert authority.token(asked, OWN)[0] == 200
    authority.apply(OAuth(revoke=True))
    assert authority.token(asked, OWN)[1]["error"] == "invalid_grant"


def test_an_access_token_ends(authority: Authority) -> None:
    authority.apply(OAuth(expires_in=0))
    assert not authority.admits(signed_in(authority)["access_token"])


def assertion(**other: Any) -> dict[str, str]:
    claims = {"iss": ROBOT, "aud": GOOGLE_TOKEN, "iat": NOW, "exp": NOW + 3600, "scope": "one"} | other
    signer = crypt.RSASigner.from_string(key_pair()[0])  # type: ignore[no-untyped-call]
    made = jwt.encode(signer, claims).decode()  # type: ignore[no-untyped-call]
    return {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": made}


@pytest.mark.parametrize(
    ("other", "status"),
    [
        ({}, 200),
        ({"aud": OWN}, 200),
        ({"aud": "https://elsewhere.example"}, 400),
        ({"iss": "another@example.com"}, 400),
        ({"iat": NOW - 301, "exp": NOW + 100}, 400),
        ({"iat": NOW + 301}, 400),
        ({"exp": NOW + 3601}, 400),
    ],
)
def test_a_service_accounts_assertion(authority: Authority, other: dict[str, Any], status: int) -> None:
    authority.apply(OAuth(accounts={ROBOT: key_pair()[1]}))
    assert authority.token(assertion(**other), OWN)[0] == status


def test_a_signature_of_another_key_is_refused(authority: Authority) -> None:
    authority.apply(OAuth(accounts={ROBOT: key_pair()[1]}))
    asked = assertion()
    head, body, signature = asked["assertion"].split(".")
    broken = "A" if signature[0] != "A" else "B"
    assert authority.token(asked | {"assertion": f"{head}.{body}.{broken}{signature[1:]}"}, OWN)[0] == 400
    assert authority.token(asked | {"assertion": "no.jwt"}, OWN)[0] == 400


@pytest.mark.parametrize(("fault", "status"), [("unavailable", 503), ("invalid_client", 401), ("invalid_grant", 400)])
def test_faults(sim: Simulator, fault: str, status: int) -> None:
    sim.script(oauth=OAuth(fault=fault))  # type: ignore[arg-type]
    assert httpx.post(f"{sim.url}/oauth/token", data={}, trust_env=False).status_code == status


def test_down_is_a_broken_connection(sim: Simulator) -> None:
    sim.script(oauth=OAuth(fault="down"))
    with pytest.raises(httpx.TransportError):
        httpx.post(f"{sim.url}/oauth/token", data={}, trust_env=False)


def test_over_http_nothing_secret_is_in_the_log(sim: Simulator) -> None:
    back = httpx.get(f"{sim.url}/oauth/consent", params=ASKED, trust_env=False)
    code_ = dict(httpx.QueryParams(back.headers["location"].partition("?")[2]))["code"]
    asked = {"grant_type": "authorization_code", "code": code_, "client_id": "c", "client_secret": "planted"}
    more = {"redirect_uri": ASKED["redirect_uri"], "code_verifier": VERIFIER}
    answer = httpx.post(f"{sim.url}/oauth/token", data=asked | more, trust_env=False)
    assert answer.json()["token_type"] == "Bearer" and answer.headers["date"]
    assert [each.status for each in sim.log()] == [302, 200]
    for secret in ("planted", code_, answer.json()["refresh_token"], answer.json()["access_token"], VERIFIER):
        assert secret not in str(sim.log())


VERTEX = "/v1beta1/projects/project-one/locations/us/publishers/google/models"
SAY = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}


def call(sim: Simulator, path: str, token: str, body: Any = None, **headers: str) -> httpx.Response:
    sent = {"authorization": f"Bearer {token}"} | {name.replace("_", "-"): text for name, text in headers.items()}
    method = "GET" if body is None else "POST"
    return httpx.request(method, sim.url + path, headers=sent, json=body, trust_env=False)


def test_vertex_takes_tokens_of_its_own_and_no_keys(sim: Simulator) -> None:
    sim.script(oauth=OAuth(projects=("project-one",)))
    token = httpx.post(f"{sim.url}/oauth/token", data=assertion(iat=live(), exp=live() + 60), trust_env=False)
    good = token.json()["access_token"]
    path = f"{VERTEX}/gemini-2.5-flash:generateContent"
    assert call(sim, path, good, SAY).status_code == 200
    assert call(sim, path, "sim-access-another", SAY).status_code == 401
    assert httpx.post(sim.url + path, headers={"x-goog-api-key": "k"}, json=SAY, trust_env=False).status_code == 401
    other = path.replace("project-one", "project-two")
    refused = call(sim, other, good, SAY)
    assert refused.status_code == 403 and "project-two" in refused.text
    assert call(sim, "/v1beta/models/g:generateContent", good, SAY, x_goog_user_project="two").status_code == 403


def live() -> float:
    import time

    return int(time.time())


def test_vertex_lists_models_and_counts_in_its_own_form(sim: Simulator) -> None:
    listed = call(sim, "/v1beta1/publishers/google/models", "any").json()
    assert listed["publisherModels"][0]["name"].startswith("publishers/google/models/gemini")
    path = f"{VERTEX}/gemini-2.5-flash:countTokens"
    assert call(sim, path, "any", SAY).json()["totalTokens"] > 0
    assert call(sim, path, "any", {"generateContentRequest": SAY}).status_code == 400
