"""An upstream as strict as the vendors: what the wall refuses is refused in its words, the rest the simulator answers.

The wall (`vendors` in the shared folder) was not written by those who wrote bm. It knows what the vendors refuse, but
cannot be scripted; the simulator can.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from bm.simulator import Simulator
from bm.simulator.rules import Rule
from tests.support.shared import SHARED

Answer = tuple[int, Mapping[str, str], bytes]
"""Status, headers with names in lower case, body."""

STEPS = 100
"""More rounds of tool results than a prompt leads to."""
_UNNAMED = ("google", "anthropic", "openai")
"""Vendors whose APIs the simulator serves without a name in the path."""
_GENERATES = re.compile(r"/(?:messages|completions|responses)$|[cC]ontent$")
_SIGNATURE = re.compile(rb'"signature": ?"([^"]+)"')
_SEALED, _FERNET = b'"encrypted_content":"', b"gAAAA"
_OF_A_CONNECTION = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "date", "server"}


def missing() -> str:
    """Why there is no wall here; "" when there is one."""
    found = SHARED is not None and (SHARED / "vendors/wall").is_dir()
    return "" if found else "no vendor wall: $BM_SHARED, or shared/ beside the checkout, holds no vendors/"


@dataclass(frozen=True)
class Asked:
    """A request for an answer: the vendor, the model, the body, and the body as text."""

    vendor: str
    model: str
    body: Mapping[str, Any]
    text: str


@dataclass
class Wall:
    """The running upstream.

    `answer` says how to answer a request that no vendor refuses; `delivered` is called before the answer is sent.
    """

    url: str
    refusals: list[str] = field(default_factory=list)
    answer: Callable[[Asked], Rule] = lambda asked: Rule()
    delivered: Callable[[], None] = lambda: None


@contextmanager
def wall() -> Iterator[Wall]:
    """Run the wall with the simulator behind it until the block ends."""
    assert SHARED is not None
    command = [sys.executable, "-B", "-m", "wall"]
    judge = subprocess.Popen(command, cwd=SHARED / "vendors", stdout=subprocess.PIPE, text=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    try:
        assert judge.stdout is not None
        where = judge.stdout.readline().split(" ")[2].removeprefix("http://")
        with Simulator() as sim:
            made = Wall(f"http://127.0.0.1:{server.server_port}")
            server.front = _Front(made, where, sim)  # type: ignore[attr-defined]
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield made
            server.shutdown()
    finally:
        server.server_close()
        judge.terminate()
        judge.wait()
        judge.stdout.close()  # type: ignore[union-attr]


class _Front:
    """Asks the wall, then the simulator, which answers one request at a time: a rule is for a certain one."""

    def __init__(self, made: Wall, judge: str, sim: Simulator) -> None:
        self._made, self._judge, self._sim = made, judge, sim
        self._lock = threading.Lock()
        self._signed: dict[bytes, bytes] = {}
        self._listed: dict[str, set[str]] = {}

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer to a request, or a refusal."""
        judged, path = _ask(self._judge, method, target, headers, body), target.partition("?")[0]
        if judged[0] >= 400:
            return self._refused(path, judged[1].get("x-wall-rule", ""), judged)
        if method != "POST" or not _GENERATES.search(path):
            return judged
        with self._lock:
            return self._answered(path, target, headers, body, judged)

    def _answered(self, path: str, target: str, headers: Mapping[str, str], body: bytes, judged: Answer) -> Answer:
        vendor, document = _vendor(path), json.loads(body)
        model = str(document.get("model", "")) or path.rpartition("/")[2].partition(":")[0]
        if not document:
            return 404, {}, b""  # bm asks a server on this machine which protocols it speaks
        if model not in self._models(vendor):
            unknown = json.dumps(_unknown(vendor, model)).encode()
            return self._refused(path, "unknown model", (404, {"content-type": "application/json"}, unknown))
        rule = self._made.answer(Asked(vendor, model, document, body.decode()))
        # A rule for a step goes before what the simulator has left of earlier ones.
        steps = (msgspec.structs.replace(rule, step=step, times=None) for step in range(STEPS))
        self._sim.script(*steps, replace=True)
        behind = target if vendor not in _UNNAMED else target.removeprefix(f"/{vendor}")
        answer = _ask(self._sim.url.removeprefix("http://"), "POST", behind, headers, self._for_simulator(body))
        if answer[0] >= 400:
            return self._refused(path, "simulator", answer)
        self._made.delivered()
        return *answer[:2], self._from_simulator(answer[2], judged[2])

    def _refused(self, path: str, rule: str, answer: Answer) -> Answer:
        said = json.loads(answer[2])
        error = said.get("error", said)
        message = error.get("message", error) if isinstance(error, dict) else error
        self._made.refusals.append(f"{_vendor(path)} ({rule}): {str(message)[:160]}")
        return answer

    def _models(self, vendor: str) -> set[str]:
        """The models that a vendor has."""
        if vendor not in self._listed:
            path = "/google/v1beta/models" if vendor == "google" else f"/{vendor}/v1/models"
            found = json.loads(_ask(self._judge, "GET", path, {}, b"")[2])
            rows = found if isinstance(found, list) else found.get("data") or found["models"]
            self._listed[vendor] = {row["id"] if "id" in row else row["name"].removeprefix("models/") for row in rows}
        return self._listed[vendor]

    def _from_simulator(self, answer: bytes, by_wall: bytes) -> bytes:
        """An answer with the wall's signature of the same request, and in OpenAI's kind of ciphertext."""
        answer = answer.replace(_SEALED, _SEALED + _FERNET)
        theirs, mine = (next(iter(_SIGNATURE.findall(each)), b"") for each in (by_wall, answer))
        if not theirs or not mine:
            return answer
        self._signed[theirs] = mine
        return answer.replace(mine, theirs)

    def _for_simulator(self, body: bytes) -> bytes:
        """A request with the signatures that the simulator has made itself: it knows no others."""
        for theirs, mine in self._signed.items():
            body = body.replace(theirs, mine)
        return body.replace(_SEALED + _FERNET, _SEALED)


def _vendor(path: str) -> str:
    return path.lstrip("/").partition("/")[0]


def _unknown(vendor: str, model: str) -> Mapping[str, Any]:
    """What a vendor says of a model that it does not have."""
    if vendor == "google":
        message = f"models/{model} is not found for API version v1beta, or is not supported for generateContent."
        return {"error": {"code": 404, "message": message, "status": "NOT_FOUND"}}
    if vendor == "anthropic":
        return {"type": "error", "error": {"type": "not_found_error", "message": f"model: {model}"}}
    message = f"The model `{model}` does not exist or you do not have access to it."
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": "model_not_found"}}


def _ask(where: str, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
    connection = http.client.HTTPConnection(where, timeout=30)
    try:
        connection.request(method, target, body, _own(headers))
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def _own(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _OF_A_CONNECTION}


class _Handler(BaseHTTPRequestHandler):
    """One request to the server whose `front` answers it."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        front: _Front = self.server.front  # type: ignore[attr-defined]
        status, headers, data = front.answer(self.command, self.path, dict(self.headers.items()), body)
        self.send_response(status)
        for name, value in _own(headers).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = _serve

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
