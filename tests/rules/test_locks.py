"""The locks agree: what bm itself and a team need is a part of what the tests need, with the same pins and hashes."""

from __future__ import annotations

import re
import tomllib

from tests.rules.source import ROOT

ALL = ROOT / "requirements.lock"
OWN = ROOT / "deploy" / "requirements.lock"
TEAM = ROOT / "deploy" / "team.lock"


def pins(text: str) -> dict[str, str]:
    """Each package of a lock with its version, its condition and its hashes."""
    entries = re.findall(r"^([\w.-]+)==((?:.*\\\n)*.*)$", text, re.MULTILINE)
    return {name: " ".join(rest.split()) for name, rest in entries}


def name_of(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found
    return re.sub(r"[._]", "-", found.group().lower())


def test_what_bm_needs_is_pinned_as_for_the_tests() -> None:
    everything = pins(ALL.read_text(encoding="utf-8"))
    own, team = pins(OWN.read_text(encoding="utf-8")), pins(TEAM.read_text(encoding="utf-8"))
    assert len(own) > 20 and own.items() < team.items()
    assert {name: pin for name, pin in team.items() if everything.get(name) != pin} == {}


def test_the_locks_hold_what_is_declared() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    own = pins(OWN.read_text(encoding="utf-8"))
    assert {name_of(text) for text in declared["project"]["dependencies"]} - own.keys() == set()
    everything = pins(ALL.read_text(encoding="utf-8"))
    assert {name_of(text) for text in declared["dependency-groups"]["dev"]} - everything.keys() == set()


def test_a_pin_is_read_with_its_hashes() -> None:
    text = "a-b==1.0 ; x \\\n    --hash=sha256:1 \\\n    --hash=sha256:2\n    # via c\nd==2\n"
    assert pins(text) == {"a-b": "1.0 ; x \\ --hash=sha256:1 \\ --hash=sha256:2", "d": "2"}
