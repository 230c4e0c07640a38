"""`bm` alone: what it is, its state in a line, and the next step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from bm.cli import admin, render

if TYPE_CHECKING:
    from bm.cli.doctor import Finding
    from bm.config.paths import Paths


class Summary(NamedTuple):
    """The state of this home, and what to type next."""

    state: str
    step: str


def welcome(paths: Paths, environ: Mapping[str, str]) -> None:
    """Print the page."""
    from bm import __version__

    found = summary(paths, environ)
    render.line(f"bm {__version__}: a local gateway between your coding tools and your models")
    render.line()
    render.facts({"now": found.state, "next": found.step})
    render.line()
    render.line("bm help lists all commands; bm help COMMAND shows what one does, with examples.")


def summary(paths: Paths, environ: Mapping[str, str]) -> Summary:
    """The first problem and its remedy; without one, what runs and how to use it."""
    from bm.cli.doctor import examine

    if fresh(paths):
        return Summary(
            "nothing is set up yet", "bm init, which asks for all that is needed (bm demo shows it without a key)"
        )
    findings = examine(paths, environ)
    failed = next((each for each in findings if each.result == "failed"), None)
    if failed is not None and failed.check == "keys" and failed.remedy:
        return Summary("there is no account yet", "bm init")
    if failed is not None:
        # Some errors of files and ports end with their remedy.
        detail, has_remedy, remedy = failed.detail.rpartition(" (")
        if failed.remedy or not has_remedy:
            return Summary(failed.detail, failed.remedy or "bm doctor")
        return Summary(detail, remedy.removesuffix(")"))
    daemon = admin.running(paths)
    if daemon is None:
        return Summary("set up, but not running", "bm start, or bm run claude, which starts it")
    status = admin.ask_daemon(paths, daemon, "GET", "/admin/status")
    providers = admin.ask_daemon(paths, daemon, "GET", "/admin/providers")["providers"]
    return Summary(f"running at {daemon.url}; {_figures(status, providers)}", _use(findings))


def fresh(paths: Paths) -> bool:
    """Whether this home holds neither accounts nor settings."""
    from bm.accounts.credentials import load
    from bm.errors import AccountError

    try:
        return not paths.config.exists() and not load(paths.accounts).accounts
    except AccountError:
        return False


def _figures(status: dict[str, Any], providers: list[dict[str, Any]]) -> str:
    from bm.cli.daemon import providers_in_words

    accounts = [f"{count} {state}" for state, count in status["accounts"].items() if count]
    requests = status["requests"]
    counted = f"{requests['total']} requests, {requests['failed']} failed" if requests["total"] else "no requests yet"
    parts = (f"accounts: {', '.join(accounts) or 'none'}", providers_in_words(providers), counted)
    return "; ".join(filter(None, parts))


def _use(findings: list[Finding]) -> str:
    """How to use it: through the tools that are set up, or one of all."""
    tools = [each.detail.partition(" is ")[0] for each in findings if each.check == "tools" and each.result == "ok"]
    if tools:
        return f"use {', '.join(tools)} as always; bm top shows what happens"
    return "bm run claude (or codex, gemini, opencode, aider, qwen, llm)"
