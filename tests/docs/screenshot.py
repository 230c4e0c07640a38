"""Draw docs/images/dashboard.png anew: `python -m tests.docs.screenshot`. Needs Chromium."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from pathlib import Path

import httpx

from bm.accounts.account import Account
from bm.accounts.credentials import update
from bm.simulator import Rule, Simulator
from bm.simulator.rules import Usage
from tests.rules.source import ROOT
from tests.server.signed_in import new_code
from tests.support.browser import browser
from tests.support.daemon import Daemon, daemon

IMAGE = ROOT / "docs" / "images" / "dashboard.png"
WIDTH, HEIGHT = 1440, 900
AGENTS = ("claude-cli/2.1.3 (external, cli)", "codex_cli_rs/0.60.1", "GeminiCLI/0.20.0", "opencode/1.0.5")
MODELS = ("opus", "sonnet", "haiku", "groq:openai/gpt-oss-120b", "sonnet")
CONFIG = """\
[gemini]
base_url = "{url}"
[providers.groq]
enabled = true
mode = "pooled"
base_url = "{url}/groq/openai/v1"
protocols = ["anthropic", "openai-chat", "openai-responses", "gemini"]
[providers.anthropic]
enabled = true
mode = "fallback"
base_url = "{url}"
"""


def busy(running: Daemon, simulator: Simulator) -> None:
    """A morning's requests: several tools and models, an account at its limit, and one failure."""
    quota = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
    simulator.script(Rule(api="gemini", status=429, message="Quota exceeded", quota_ids=(quota,), limit=20))
    with httpx.Client(base_url=running.url, headers=running.headers, timeout=20, trust_env=False) as http:
        http.post("/admin/reload")
        for number, agent, model in zip(range(36), itertools.cycle(AGENTS), itertools.cycle(MODELS), strict=False):
            used = Usage(input=9_000 + 1_700 * number, cached=7_000 + 1_500 * number, output=300 + 45 * number)
            simulator.script(Rule(usage=used, first_token_delay=0.1 + number % 5 * 0.06))
            body = {"model": model, "max_tokens": 900, "messages": [{"role": "user", "content": f"step {number}"}]}
            http.post("/v1/messages", json=body, headers={"user-agent": agent})


async def draw(running: Daemon, folder: Path) -> bytes:
    """The overview on a light desktop."""
    async with browser(folder) as tab:
        await tab.size(WIDTH, HEIGHT)
        await tab.open(f"{running.url}/#code={new_code(running)}")
        await asyncio.sleep(3)
        return await tab.picture()


def main() -> None:
    """Write the file."""
    with tempfile.TemporaryDirectory() as folder, Simulator() as simulator:
        keys = {"work": "work-key", "home": "home-key", "lab": "lab-key"}
        with daemon(Path(folder), CONFIG.format(url=simulator.url), keys, learn_models=True) as running:
            for provider in ("groq", "anthropic"):
                account = Account(name="main", provider=provider, key=f"{provider}-key")
                update(running.paths.accounts, lambda stored, account=account: stored.add(account))  # type: ignore[misc]
            busy(running, simulator)
            picture = asyncio.run(draw(running, Path(folder, "browser")))
    IMAGE.parent.mkdir(exist_ok=True)
    IMAGE.write_bytes(picture)


if __name__ == "__main__":
    main()
