"""What the package says of itself at an index: its URLs, and the README with links that lead somewhere from there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(!?\[[^\]]*\]\()(?!https?:|#|mailto:)([^)\s]+)(\))")


def absolute(text: str, repository: str, released: str) -> str:
    """The text with its relative links pointing into the repository as it was when the version was released."""

    def link(found: re.Match[str]) -> str:
        kind = "raw" if found[1].startswith("!") else "blob"
        return f"{found[1]}{repository}/{kind}/v{released}/{found[2]}{found[3]}"

    return _LINK.sub(link, text)


def urls(repository: str) -> dict[str, str]:
    """The pages that an index links to."""
    return {
        "Homepage": repository,
        "Documentation": f"{repository}/tree/main/docs",
        "Changelog": f"{repository}/blob/main/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }


def version(root: Path) -> str:
    """The version that bm has; hatchling finds it only after the other fields."""
    found = re.search(
        r'^__version__ = "(.+)"$', (root / "bm" / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE
    )
    if not found:
        raise ValueError("bm/__init__.py has no __version__")
    return found[1]


class Metadata(MetadataHookInterface):
    """Hatchling's hook. While no repository is named, there are no URLs, and links stay as they are."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the dynamic fields."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        repository = self.config["repository"].rstrip("/")
        if repository:
            text = absolute(text, repository, version(Path(self.root)))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["urls"] = urls(repository) if repository else {}
