"""`bm init`: from nothing to a tool that works, by questions or by flags. Each step can be skipped and repeated."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from bm.cli import admin, completion, render
from bm.names import Mode

if TYPE_CHECKING:
    from bm.config.paths import Paths
    from bm.providers.provider import Provider

MODES: Final[dict[Mode, str]] = {
    "fallback": "only when no Gemini account can answer: free first, paid when needed",
    "pooled": "in turn with the Gemini accounts: the load is shared",
    "exclusive": "for everything it can answer: Gemini only for the rest",
    "off": "not yet: keep the key, decide later",
}
"""The modes as the question puts them."""


class Wish(NamedTuple):
    """What the flags say."""

    yes: bool
    providers: tuple[str, ...]
    mode: Mode | None
    tools: bool
    service: bool
    verify: bool


def init(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: use what is found.")] = False,
    providers: Annotated[
        list[str] | None,
        typer.Option("--provider", help="Use this provider; may be repeated.", autocompletion=completion.providers),
    ] = None,
    mode: Annotated[Mode | None, typer.Option("--mode", help="When requests go to the new providers.")] = None,
    no_tools: Annotated[bool, typer.Option("--no-tools", help="Do not configure any tool.")] = False,
    service: Annotated[bool, typer.Option("--service", help="Start bm at login and after a crash.")] = False,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Do not test the keys.")] = False,
) -> None:
    """Set everything up: accounts, providers, daemon, tools.

    Asks step by step and can be repeated: what is set up stays as it is. With --yes, keys come from the environment
    (GEMINI_API_KEY, GROQ_API_KEY …), and every tool that is installed is configured.
    """
    from bm.cli.exits import UsageError

    paths = admin.here()
    names = tuple(admin.provider(paths, name).name for name in providers or ())
    setup = Setup(paths, Wish(yes, names, mode, not no_tools, service, not no_verify))
    try:
        setup.run()
    except EOFError:
        raise UsageError("bm init asks questions: run it on a terminal, or add --yes") from None
    if setup.failed:
        render.note(f"not done: {', '.join(setup.failed)} (bm init again goes on there)")
        raise typer.Exit(1)


class Setup:
    """The steps. `failed` are the titles of those that were not done."""

    def __init__(self, paths: Paths, wish: Wish) -> None:
        self._paths, self._wish = paths, wish
        self.failed: list[str] = []

    def run(self) -> None:
        """Take each step, and say what is set up then."""
        from bm.cli.welcome import summary

        steps = {"accounts": self._accounts, "providers": self._providers, "daemon": self._daemon, "tools": self._tools}
        for number, (title, step) in enumerate(steps.items(), 1):
            render.line(f"{number}/{len(steps)} {title}")
            self._done(title, step)
            render.line()
        found = summary(self._paths, os.environ)
        render.facts({"now": found.state, "next": found.step})

    def _done(self, title: str, step: Callable[[], None]) -> None:
        """Do one thing. What fails is reported and does not stop the rest."""
        from bm.cli.exits import message
        from bm.errors import BmError

        try:
            step()
        except (BmError, OSError) as error:
            render.error(message(error))
            self.failed.append(title)

    def _agreed(self, question: str, *, default: bool = True) -> bool:
        from bm.cli import terminal

        return default if self._wish.yes else terminal.agreed(question, default=default)

    def _accounts(self) -> None:
        """Gemini accounts: from the environment, by keys that are pasted, or by a sign-in."""
        from bm.accounts.available import key_in

        gemini = admin.provider(self._paths, "gemini")
        have = [each.name for each in admin.vault(self._paths).accounts.load().accounts if each.provider == "gemini"]
        if have:
            render.line(f"gemini has {', '.join(have)} (bm accounts add NAME adds another)")
            return
        found = key_in(os.environ, gemini)
        if found and self._agreed(f"{gemini.key_env} is set. Use this key?"):
            self._add("main", found)
        elif self._wish.yes:
            render.line(f"{gemini.key_env} is not set: no account added (bm accounts add NAME)")
        else:
            self._ask_for_account(gemini)

    def _ask_for_account(self, gemini: Provider) -> None:
        from bm.cli import terminal

        ways = (
            f"paste keys (free: {gemini.console})",
            "sign in to Google with your own OAuth client (docs/accounts.md)",
            "not now",
        )
        way = terminal.choice("How do you reach Gemini?", ways)
        if way == 1:
            from pathlib import Path

            from bm.cli.accounts import login

            login("main", client=Path(terminal.asked("Path of client_secret.json")))
        names = iter(["main", *(f"account{number}" for number in range(2, 100))])
        while way == 0 and (key := terminal.asked("Gemini key (Enter: no more)", hidden=True)):
            self._done("accounts", partial(self._add, next(names), key))

    def _add(self, name: str, key: str) -> None:
        from datetime import UTC, datetime

        from bm.accounts.account import Account
        from bm.cli.test import insist

        now = datetime.now(UTC)
        account = Account(name=name, key=key, added_at=now, renewed_at=now)
        if self._wish.verify:
            insist(self._paths, account)
        admin.change_accounts(self._paths, lambda stored: stored.add(account))
        render.line(f"{name}: added to gemini")

    def _providers(self) -> None:
        """Other providers, all in the mode that one question decides."""
        from bm.cli import terminal

        rows = admin.ask(self._paths, "GET", "/admin/providers")["providers"]
        used = {row["name"]: row["mode"] for row in rows if row["state"] == "in use" and row["name"] != "gemini"}
        if used:
            render.line(f"in use: {', '.join(f'{name} ({mode})' for name, mode in used.items())}")
        chosen = self._chosen(used)
        if not chosen:
            render.line("no provider added (bm providers lists them, bm providers use NAME adds one)")
            return
        mode = self._wish.mode
        if mode is None and not self._wish.yes:
            question = f"When should {', '.join(chosen)} answer? (bm providers mode changes it at any time)"
            mode = tuple(MODES)[terminal.choice(question, tuple(MODES.values()))]
        for name, key in chosen.items():
            self._done(name, partial(self._take, name, key, mode))

    def _take(self, name: str, key: str, mode: Mode | None) -> None:
        from bm.cli.use import take

        take(self._paths, admin.provider(self._paths, name), mode, key=key, verify=self._wish.verify)

    def _chosen(self, used: dict[str, Any]) -> dict[str, str]:
        """The providers to add, with their keys; an empty key is one that is stored or not needed."""
        from bm.accounts.available import available

        providers = [each for each in admin.providers(self._paths) if not each.pool and each.name not in used]
        names = {each.name: each for each in providers}
        chosen: dict[str, str] = {}
        for found in available(providers, os.environ):
            wanted = found.name in self._wish.providers
            offered = found.state == "ready" and not self._wish.providers
            if wanted or (offered and self._agreed(f"{found.name}: {found.key}. Use it?")):
                chosen |= self._keyed(names[found.name])
        if not self._wish.yes and not self._wish.providers:
            left = [name for name in names if name not in chosen]
            render.paragraph(f"Others: {', '.join(left)}")
            while name := self._named(left):
                chosen |= self._keyed(names[name])
        return chosen

    def _named(self, left: list[str]) -> str:
        """The next provider that the user names; empty for none."""
        from bm.cli import terminal
        from bm.config.validation import nearest

        while True:
            name = terminal.asked("Use which? (Enter: no more)")
            if not name or name in left:
                return name
            near = nearest(name, left)
            render.note(f"no provider is named {name!r}{f' ({near})' if near else ''}")

    def _keyed(self, provider: Provider) -> dict[str, str]:
        """The provider with its key; empty when no key is given."""
        from bm.accounts.available import key_in
        from bm.cli import terminal

        stored = any(each.provider == provider.name for each in admin.vault(self._paths).accounts.load().accounts)
        if provider.auth == "none" or stored:
            return {provider.name: ""}
        key = key_in(os.environ, provider)
        if not key and not self._wish.yes:
            key = terminal.asked(f"Key for {provider.name} ({provider.console or 'Enter: none'})", hidden=True)
        if not key:
            render.note(f"{provider.name}: no key, left out ({provider.key_env} is not set)")
        return {provider.name: key} if key else {}

    def _daemon(self) -> None:
        """Start it, now or at each login."""
        from bm.cli.daemon import start
        from bm.cli.service import install, possible

        service = "Start bm at each login and after a crash, as a service?"
        if self._wish.service or (possible(self._paths) and self._agreed(service, default=False)):
            self._done("service", install)
        elif daemon := admin.running(self._paths):
            render.line(f"bm is running at {daemon.url}")
        if admin.running(self._paths) is None and self._agreed("Start bm now?"):
            start()

    def _tools(self) -> None:
        """Configure those that are installed and do not use bm yet."""
        from bm.cli.clients import set_up, statuses

        found = [each for each in statuses(self._paths) if each.program]
        for each in found:
            if each.state in ("yes", "by hand"):
                render.line(f"{each.title} uses bm")
            elif self._wish.tools and self._agreed(f"{each.title} is installed. Configure it to use bm?"):
                self._done(each.tool, partial(set_up, self._paths, each.tool))
        if not found:
            render.line("none of the tools that bm knows is installed (bm setup lists them)")
