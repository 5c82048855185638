"""The guide is true: reference pages say what is declared, links and pictures are there, commands are understood."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
import yaml
from PIL import Image

import genesis_core
from genesis_core.cli.main import COMMANDS, group
from genesis_core.cli.settings_command import find_field
from genesis_core.training.finetune_settings import FinetuneSettings
from genesis_core.training.pretrain_settings import PretrainSettings

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs"
PAGES = sorted(DOCS.glob("*.md"))
# Pages at the top are read on the repository's own site, where links go to files.
READ = [*PAGES, REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"]
WRITTEN = ("cli.md", "settings.md")

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")
_PROGRAM = "napari-genesis"
# Launchers of several processes, before the command line that each of them runs.
_STARTED_BY = re.compile(rf"^(?:torchrun .*-m genesis_core|srun .*?{_PROGRAM}) ")


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _without_code(text: str) -> str:
    text = _FENCE.sub("", text)
    text = re.sub(r"^(?: {4}|\t).*$", "", text, flags=re.MULTILINE)
    return _INLINE_CODE.sub("", text)


def _slugs(text: str) -> set[str]:
    """Return the anchors that MkDocs makes of a page's headings."""
    from markdown.extensions.toc import slugify, unique

    used: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", _FENCE.sub("", text), flags=re.MULTILINE):
        unique(slugify(heading.replace("`", ""), "-"), used)
    return used


def _navigation() -> Iterator[str]:
    def walk(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        for inner in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
            yield from walk(inner)

    # Icons and anchors of MkDocs' own need no tags here: the file holds plain values alone.
    yield from walk(yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])


def _command_lines() -> Iterator[tuple[str, str]]:
    """Yield page and line of every command of ours in the guide, in blocks and in sentences."""
    for page in READ:
        if page.name in WRITTEN:
            continue
        text = page.read_text(encoding="utf-8")
        blocks = "\n".join(part for _, _, part in _FENCE.findall(text))
        blocks += "\n" + "\n".join(re.findall(r"^(?: {4,}|\t)(.+)$", _FENCE.sub("", text), flags=re.MULTILINE))
        for line in blocks.splitlines():
            line = _STARTED_BY.sub(f"{_PROGRAM} ", line.strip())
            if re.match(rf"(exec +)?{_PROGRAM} ", line.strip()):
                yield page.name, line.strip().removeprefix("exec ").strip()
        for code in _INLINE_CODE.findall(_FENCE.sub("", text)):
            if code.startswith(f"{_PROGRAM} "):
                yield page.name, code


def _parse(words: list[str]) -> None:
    """Read a command line with the program's own parser; run nothing. Raises click.UsageError."""
    context = click.Context(group, info_name=_PROGRAM, help_option_names=["-h", "--help"])
    command: click.Command | None = group
    while isinstance(command, click.Group):
        if not words:
            raise click.UsageError("which command?")
        if words[0].startswith("-"):
            break
        found = command.get_command(context, words[0])
        if found is None:
            raise click.UsageError(f"no command {words[0]}")
        context = click.Context(found, parent=context, info_name=words[0], help_option_names=["-h", "--help"])
        command, words = found, words[1:]
    words = [word for word in words if word not in ("--help", "--version")]
    # Alone, they print and exit.
    if words and command is not None:
        command.parse_args(context, words)


COMMAND_LINES = sorted(set(_command_lines()))


@pytest.mark.parametrize(("name", "written"), [("settings.md", "settings_page"), ("cli.md", "command_page")])
def test_reference_pages_are_up_to_date(name: str, written: str) -> None:
    module = _load("write_reference")
    assert (DOCS / name).read_text(encoding="utf-8") == getattr(module, written)(), "run: make docs"


@pytest.mark.parametrize("page", READ, ids=lambda page: page.name)
def test_every_link_and_picture_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for is_picture, target in _LINK.findall(_without_code(text)):
        if re.match(r"https?://|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name) if name else page
        assert file.exists(), f"{page.name}: {target}"
        if is_picture:
            with Image.open(file) as picture:
                assert min(picture.size) > 50, f"{page.name}: {target}"
        if anchor:
            assert anchor in _slugs(file.read_text(encoding="utf-8")), f"{page.name}: {target}"


def test_no_picture_lies_about_unused() -> None:
    shown = {Path(target).name for page in READ for _, target in _LINK.findall(page.read_text(encoding="utf-8"))}
    assert not {path.name for path in (DOCS / "images").iterdir()} - shown


def test_every_page_is_in_the_navigation_once() -> None:
    assert sorted(_navigation()) == [page.name for page in PAGES]


def test_the_guide_has_command_lines() -> None:
    commands = {line.split()[1] for _, line in COMMAND_LINES}
    assert commands >= set(COMMANDS)


@pytest.mark.parametrize(("page", "line"), COMMAND_LINES)
def test_every_command_line_is_understood(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    try:
        _parse(words)
    except click.UsageError as problem:
        pytest.fail(f"{page}: {line}\n{problem.format_message()}")


@pytest.mark.parametrize("page", READ, ids=lambda page: page.name)
def test_every_setting_that_is_named_exists(page: Path) -> None:
    for key in re.findall(r"--set ([\w.]+)=", page.read_text(encoding="utf-8")):
        known = []
        for model in (PretrainSettings, FinetuneSettings):
            with contextlib.suppress(KeyError, TypeError):
                known.append(find_field(model, key))
        assert known or key.lower() == "key", f"{page.name}: --set {key}"


def test_a_wrong_command_line_would_be_found() -> None:
    with pytest.raises(click.UsageError):
        _parse(["pretrain", "scans/", "--no-such-option"])
    with pytest.raises(click.UsageError):
        _parse(["no-such-command"])


@pytest.mark.parametrize("page", READ, ids=lambda page: page.name)
def test_python_on_the_pages_names_what_there_is(page: Path) -> None:
    for _, language, code in _FENCE.findall(page.read_text(encoding="utf-8")):
        if language != "python":
            continue
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "gc":
                assert hasattr(genesis_core, node.attr), f"{page.name}: gc.{node.attr}"


def test_pictures_of_docks_are_cut_out_of_windows_of_one_size_only() -> None:
    take = _load("take_pictures")
    window = Image.new("RGB", (1280, 800), "black")
    window.paste("white", (1000, 100, 1100, 120))
    cut = take.dock(window)
    assert cut.width == 1280 - 918
    assert cut.height < 100
    with pytest.raises(ValueError, match="1280"):
        take.dock(Image.new("RGB", (1920, 1080)))


def test_the_site_is_built_without_a_warning_and_fetches_nothing(tmp_path: Path) -> None:
    pytest.importorskip("material")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    build(load_config(str(REPOSITORY / "mkdocs.yml"), strict=True, site_dir=str(tmp_path)))
    for page in PAGES:
        html = (tmp_path / page.with_suffix(".html").name).read_text(encoding="utf-8")
        assert not re.findall(
            r'<(?:script|img|iframe)[^>]*src="https?:|<link[^>]*rel="stylesheet"[^>]*href="https?:', html
        )
