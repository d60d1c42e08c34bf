"""
The floors of the house, and what else can be said of it by reading the source.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

import alluxio_tw

ROOT = Path(alluxio_tw.__file__).parent

ROOMS = {
    "s3": 2,
    "namespace": 3,
    "cache": 3,
    "ufs": 3,
    "cluster": 3,
    "state": 3,
    "gateway": 4,
    "web": 5,
    "app": 6,
}
"""Each room and its floor; the modules beside the rooms are words and contracts."""

CONTRACT = re.compile(r"i[a-z]+")

SUITES = "testing"
"""The contract suites: they may know every room beneath the gateway; none knows them."""

LONG = 400
"""Lines of a module, above which its docstring says why, using the word C{lines}."""

NO_IO = frozenset(
    "asyncio builtins fcntl ftplib glob http httpx io lmdb mmap multiprocessing os "
    "pathlib requests select selectors shutil signal smtplib socket socketserver ssl "
    "subprocess sys tempfile threading treq twisted urllib3".split()
)
"""What the S3 language, which does no I/O, has no use for."""

NO_IO_NAMES = frozenset(("open", "print", "input", "exec", "eval", "__import__"))

VAGUE = re.compile(
    r"(?:^|_|(?<=[A-Za-z0-9]))"
    r"(Managers?|Handlers?|Processors?|Engines?|Components?|Helpers?|Utils?|Utilit\w+)"
    r"(?=$|_|[A-Z0-9])",
)
"""Names that say nothing of what a thing is."""


@attrs.frozen
class Module:
    """
    A module of the package, read but not imported.
    """

    path: Path
    name: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The room it is in; empty for words and contracts."""
        parts = self.name.split(".")
        is_package = self.path.name == "__init__.py"
        return parts[1] if len(parts) > 2 or (is_package and len(parts) == 2) else ""

    @property
    def docstring(self) -> str:
        return ast.get_docstring(self.tree) or ""

    def imports(self) -> Iterator[str]:
        """Every name that is imported, wherever in the module, in full."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield alias.name
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{self.name}: a relative import"
                for alias in node.names:
                    yield f"{node.module}.{alias.name}"


def read(root: Path) -> list[Module]:
    """Every module beneath C{root}."""
    found = []
    for path in sorted(root.rglob("*.py")):
        parts = [root.name, *path.relative_to(root).with_suffix("").parts]
        if parts[-1] == "__init__":
            parts.pop()
        text = path.read_text(encoding="utf-8")
        found.append(Module(path, ".".join(parts), ast.parse(text)))
    return found


def floor_of(room: str, module: str) -> int:
    """The floor of a module that is in C{room}."""
    if room:
        return ROOMS[room]
    return 1 if CONTRACT.fullmatch(module) else 0


def wrong_imports(module: Module) -> list[str]:
    """What it imports of ours that it should not know."""
    wrong = []
    for name in module.imports():
        parts = name.split(".")
        if parts[0] != ROOT.name or len(parts) < 2:
            continue
        room = parts[1] if parts[1] in (*ROOMS, SUITES) else ""
        if room == SUITES:
            allowed = module.room == SUITES
        elif module.room == SUITES:
            allowed = floor_of(room, parts[1]) <= 3
        elif room and room == module.room:
            allowed = True
        else:
            here = floor_of(module.room, module.name.split(".")[1])
            there = floor_of(room, parts[1])
            # Contracts, like the modules of a room, know one another.
            allowed = there < here or (not room and not module.room and there <= here)
        if not allowed:
            wrong.append(name)
    return wrong


def vague(name: str) -> bool:
    """Does a name say nothing of what it names?"""
    return VAGUE.search(name) is not None or VAGUE.search(name.title()) is not None


class ArchitectureTests(SynchronousTestCase):
    modules = read(ROOT)

    def refuse(self, wrong: list[str]) -> None:
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))

    def test_there_is_something(self) -> None:
        """The source was found."""
        self.assertGreater(len(self.modules), 50)
        self.assertIn("alluxio_tw.s3.routing", [m.name for m in self.modules])

    def test_rooms(self) -> None:
        """Every folder is a room on a floor."""
        rooms = {module.room for module in self.modules if module.room}
        self.refuse(sorted(rooms - set(ROOMS) - {SUITES}))

    def test_floors(self) -> None:
        """A module imports from lower floors or its own room, nowhere else."""
        self.refuse(
            [
                f"{module.name} imports {name}"
                for module in self.modules
                for name in wrong_imports(module)
            ]
        )

    def test_language_does_no_io(self) -> None:
        """The S3 language imports no Twisted, and nothing that reads or writes."""
        wrong = []
        for module in self.modules:
            if module.room != "s3":
                continue
            for name in module.imports():
                if name.split(".")[0] in NO_IO or name.startswith("urllib.request"):
                    wrong.append(f"{module.name} imports {name}")
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Name) and node.id in NO_IO_NAMES:
                    wrong.append(f"{module.name} uses {node.id}")
        self.refuse(wrong)

    def test_reactor(self) -> None:
        """
        Only the application imports the reactor; all else is handed it, but for the
        contract suites, which run under trial.
        """
        self.refuse(
            [
                module.name
                for module in self.modules
                for name in module.imports()
                if name.startswith("twisted.internet.reactor")
                and module.room not in ("app", SUITES)
            ]
        )

    def test_packages(self) -> None:
        """An C{__init__.py} holds a docstring and nothing else."""
        self.refuse(
            [
                module.name
                for module in self.modules
                if module.path.name == "__init__.py"
                and not (module.docstring and len(module.tree.body) == 1)
            ]
        )

    def test_docstrings(self) -> None:
        """Every module says first what it is."""
        self.refuse([m.name for m in self.modules if not m.docstring])

    def test_annotations(self) -> None:
        """Every module that has code postpones its annotations."""
        self.refuse(
            [
                module.name
                for module in self.modules
                if len(module.tree.body) > 1
                and "__future__.annotations" not in module.imports()
            ]
        )

    def test_lengths(self) -> None:
        """A module of more than 400 lines says why it has so many lines."""
        wrong = []
        for module in self.modules:
            lines = len(module.path.read_text(encoding="utf-8").splitlines())
            if lines > LONG and not re.search(r"\blines\b", module.docstring):
                wrong.append(f"{module.name} has {lines} lines")
        self.refuse(wrong)

    def test_names(self) -> None:
        """No module and no class has a name that would fit any other."""
        wrong = []
        for module in self.modules:
            if vague(module.name.rpartition(".")[2]):
                wrong.append(module.name)
            for node in ast.walk(module.tree):
                if isinstance(node, ast.ClassDef) and vague(node.name):
                    wrong.append(f"{module.name}.{node.name}")
        self.refuse(wrong)


class RulesTests(SynchronousTestCase):
    """The rules themselves: that each finds what it is to find."""

    def module(self, name: str, source: str = "") -> Module:
        path = Path("/".join(name.split("."))).with_suffix(".py")
        return Module(path, name, ast.parse(source))

    def test_floors(self) -> None:
        """What goes up, or into another room of the floor, is found."""
        for importer, name, allowed in (
            ("alluxio_tw.spans", "alluxio_tw.errors.GatewayError", True),
            ("alluxio_tw.spans", "alluxio_tw.iufs.ListQuery", False),
            ("alluxio_tw.iufs", "alluxio_tw.ibody.IBody", True),
            ("alluxio_tw.iufs", "alluxio_tw.s3.path.Root", False),
            ("alluxio_tw.s3.path", "alluxio_tw.iobjects.Status", True),
            ("alluxio_tw.s3.path", "alluxio_tw.s3.names.legal", True),
            ("alluxio_tw.cache.disk", "alluxio_tw.ufs.local.LocalUFS", False),
            ("alluxio_tw.ufs.local", "alluxio_tw.s3.tags.tags", True),
            ("alluxio_tw.ufs.local", "alluxio_tw.gateway.objects.Objects", False),
            ("alluxio_tw.web.reply", "alluxio_tw.gateway.objects.Objects", True),
            ("alluxio_tw.web.reply", "alluxio_tw.app.config.Config", False),
            ("alluxio_tw.web.reply", "alluxio_tw.testing.ufs.UFSContract", False),
            ("alluxio_tw.testing.ufs", "alluxio_tw.ufs.memory.MemoryUFS", True),
            ("alluxio_tw.testing.ufs", "alluxio_tw.gateway.objects.Objects", False),
        ):
            above, _, what = name.rpartition(".")
            module = self.module(importer, f"def f():\n from {above} import {what}")
            self.assertEqual(wrong_imports(module), [] if allowed else [name])

    def test_whole_modules(self) -> None:
        """A room that is imported whole is found as well."""
        for source in (
            "import alluxio_tw.ufs.local",
            "from alluxio_tw import ufs",
            "from alluxio_tw.ufs import local",
        ):
            module = self.module("alluxio_tw.cache.disk", source)
            self.assertEqual(len(wrong_imports(module)), 1)

    def test_names(self) -> None:
        """Vague names are found in any spelling, and others are left alone."""
        for name in (
            "CacheManager",
            "HandlerTable",
            "cache_engine",
            "utils",
            "HTTPHelper",
            "Utilities",
        ):
            self.assertTrue(vague(name), name)
        for name in ("Manage", "Engineer", "MountTable", "handled", "Process"):
            self.assertFalse(vague(name), name)
