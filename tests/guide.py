"""
The guide for authors of drivers, taken apart.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import attrs

from tests.blackbox.daemon import ROOT

GUIDE = os.path.join("docs", "writing-a-ufs-driver.md")

_BLOCK = re.compile(
    r"(?:<!-- (?P<note>[^\n]*?) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@attrs.frozen
class Block:
    """
    A block of code.

    :ivar note: the comment right above it: where it is from, or C{run: NAME}.
    """

    note: str
    kind: str
    text: str


def text() -> str:
    """The guide."""
    with open(os.path.join(ROOT, GUIDE), encoding="utf-8") as file:
        return file.read()


def blocks() -> list[Block]:
    """Every block of code in it."""
    found = _BLOCK.finditer(text())
    return [Block(each["note"] or "", each["kind"], each["text"]) for each in found]


def commands(name: str) -> list[str]:
    """The commands of the block C{run: NAME}."""
    (block,) = [each for each in blocks() if each.note == f"run: {name}"]
    return block.text.splitlines()


def rows(title: str) -> Iterator[list[str]]:
    """The cells of the table whose first column has this title."""
    table = re.search(
        rf"^\| {re.escape(title)} \|[^\n]*\n\|[-| ]+\n((?:\|[^\n]*\n)+)",
        text(),
        re.MULTILINE,
    )
    assert table is not None, title
    for line in table[1].splitlines():
        yield [cell.strip().strip("`") for cell in line.strip("|").split("|")]
