"""The package as it is published: what an index shows of it, and what it installs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import bm
from tests.rules.source import ROOT

SOURCES = ("bm", "deploy", "docs", "README.md", "LICENSE", "pyproject.toml")
REPOSITORY = "https://git.example/bm"


def built(folder: Path, repository: str = "") -> zipfile.ZipFile:
    """The wheel of this checkout, with the address of its repository."""
    sources = folder / "sources"
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        sources.mkdir(exist_ok=True)
        copy(ROOT / name, sources / name)
    project = sources / "pyproject.toml"
    project.write_text(project.read_text().replace('repository = ""', f'repository = "{repository}"'))
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=sources, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return zipfile.ZipFile(wheel)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return built(tmp_path_factory.mktemp("wheel"), REPOSITORY)


def text_of(wheel: zipfile.ZipFile, name: str) -> str:
    (found,) = [each for each in wheel.namelist() if each.endswith(name)]
    return wheel.read(found).decode()


def test_every_link_of_the_readme_leads_somewhere_from_an_index(wheel: zipfile.ZipFile) -> None:
    readme = Parser().parsestr(text_of(wheel, "METADATA")).get_payload()
    targets = re.findall(r"\]\(([^)\s]+)\)", str(readme))
    prefix = re.compile(rf"{re.escape(REPOSITORY)}/(blob|raw)/v{re.escape(bm.__version__)}/")
    own = [target for target in targets if target.startswith(REPOSITORY)]
    assert [target for target in targets if not target.startswith("https://")] == []
    assert own and [target for target in own if not (ROOT / prefix.sub("", target).partition("#")[0]).is_file()] == []
    assert all("/raw/" in target for target in own if target.endswith((".png", ".svg", ".jpg")))


def test_the_index_shows_the_pages_of_the_project(wheel: zipfile.ZipFile) -> None:
    shown = Parser().parsestr(text_of(wheel, "METADATA"))
    urls = dict(each.split(", ") for each in shown.get_all("Project-URL") or ())
    assert urls.keys() == {"Homepage", "Documentation", "Changelog", "Issues"}
    assert all(url.startswith(REPOSITORY) for url in urls.values())


def test_the_wheel_holds_the_program_and_its_manual_page_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    assert text_of(wheel, "data/share/man/man1/bm.1").startswith(".TH BM 1")
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    release = f"better_manager-{bm.__version__}"
    assert tops == {"bm", f"{release}.dist-info", f"{release}.data"}
    assert [name for name in wheel.namelist() if "__pycache__" in name or name.endswith(".pyc")] == []
    assert "bm = bm.cli:main" in text_of(wheel, "entry_points.txt")


def test_without_an_address_no_address_is_invented(tmp_path: Path) -> None:
    assert Parser().parsestr(text_of(built(tmp_path), "METADATA")).get_all("Project-URL") is None
