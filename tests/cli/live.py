"""Rows as `/admin/live` has them."""

from __future__ import annotations

from typing import Any

AT = 1_700_000_000.0


def account(name: str = "main", **fields: Any) -> dict[str, Any]:
    row = {"name": name, "provider": "gemini", "state": "usable", "reason": "", "cooldowns": [], "quotas": []}
    return row | {"requests_today": 3, "failures_today": 1, "last_used": AT - 5, "last_error": ""} | fields


def request(number: int = 1, **fields: Any) -> dict[str, Any]:
    row = {"id": f"req_{number}", "at": AT + number, "protocol": "anthropic", "operation": "generate", "model": "opus"}
    row |= {"provider": "gemini", "account": "main", "upstream_model": "gemini-3.1-pro", "status": 200, "attempts": 1}
    row |= {"finish": "stop", "failure": "", "first_content": 0.5, "took": 2.0, "cost": 0.25}
    return row | {"input": 900, "cache_read": 100, "cache_write": 0, "output": 50} | fields


def node(name: str, **fields: Any) -> dict[str, Any]:
    row = {"name": name, "version": "1.2.3", "url": f"http://{name}:8094", "since": AT, "seen": 0.0, "here": True}
    return row | {"clock": 0.0, "requests": {"active": 2, "total": 9, "failed": 1}} | fields


def live(**fields: Any) -> dict[str, Any]:
    status = {
        "version": "1.2.3",
        "uptime": 70.0,
        "accounts": {"usable": 1, "cooling down": 0, "disabled": 0, "off": 0},
        "requests": {"active": 2, "total": 9, "failed": 1},
        "config": {"error": None, "warnings": []},
    }
    recent = {"seconds": 60.0, "requests": 6, "failures": 1, "input": 6000, "output": 600}
    found = {"at": AT, "status": status, "not_ready": None, "accounts": [account()], "providers": [], "under_way": []}
    return found | {"traffic": {"recent": recent}, "today": {"cost": 1.5, "requests": 9}} | fields
