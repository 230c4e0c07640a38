"""Look for known weaknesses of the pinned packages, once a day, where a package index answers.

Exits with 1 if there are any. Where no index answers, it says so and exits with 0.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

VERSION = "2.10.1"
"""Of pip-audit, which has an environment of its own."""
PLACE = Path(".venv", "audit")
DONE = Path(".venv", "audited")
"""What was said of which packages; it holds for a day."""
LOCK = Path("requirements.lock")
DAY = 86_400


def said() -> list[str]:
    """What is to be said of the packages of `requirements.lock`: nothing if none has a known weakness."""
    program = PLACE / "bin" / "pip-audit"
    if not program.is_file():
        venv.create(PLACE)
        uv = [Path(sys.executable).with_name("uv"), "pip", "install", "--python", PLACE, f"pip-audit=={VERSION}"]
        patience = {**os.environ, "UV_HTTP_TIMEOUT": "5", "UV_HTTP_RETRIES": "0"}
        if subprocess.run(uv, env=patience, capture_output=True, check=False).returncode:
            return ["skipped, pip-audit cannot be installed from here"]
    command = [program, "--requirement", LOCK, "--require-hashes", "--disable-pip", "--timeout", "5", "--format=json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(ran.stdout)["dependencies"]
    except (ValueError, KeyError):
        return [f"skipped, no index answers: {(ran.stderr.strip().splitlines() or ['no reason given'])[-1][:200]}"]
    if all("skip_reason" in package for package in packages):
        return ["skipped, the index does not know the packages"]
    return [
        f"{package['name']}: {weakness['id']}, corrected in {', '.join(weakness['fix_versions']) or 'no version yet'}"
        for package in packages
        for weakness in package.get("vulns", ())
    ]


def main() -> int:
    """Say it; 1 if there is a weakness."""
    lock = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    kept = json.loads(DONE.read_text(encoding="utf-8")) if DONE.is_file() else {}
    if kept.get("lock") != lock or time.time() - kept["at"] > DAY:
        kept = {"lock": lock, "at": time.time(), "said": said()}
        DONE.write_text(json.dumps(kept), encoding="utf-8")
    for line in kept["said"]:
        print(f"audit: {line}", file=sys.stderr)
    return int(any(not line.startswith("skipped") for line in kept["said"]))


if __name__ == "__main__":
    sys.exit(main())
