"""
Tests of L{alluxio_tw.namespace.entries}.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from alluxio_tw.errors import InvalidArgument, Overloaded
from alluxio_tw.istate import IState
from alluxio_tw.namespace.entries import (
    ATTEMPTS,
    LARGEST,
    OVERRULED,
    STATE,
    MountEntries,
    MountEntry,
    chosen,
)
from alluxio_tw.state.memory import MemoryState


@implementer(IState)
class Contended(MemoryState):
    """
    A state where somebody else writes just before us, so many times.
    """

    left: int = 0

    def put(
        self, name: str, value: bytes, expected: str | None = None
    ) -> Deferred[str | None]:
        if expected and self.left:
            self.left -= 1
            super().put(name, self._held[name].value)
        done: Deferred[str | None] = super().put(name, value, expected)
        return done


class EntriesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.state = Contended()
        self.entries = MountEntries(self.state)

    def add(self, path: str, **options: str) -> str:
        entry = MountEntry(path, f"s3://b{path}", options, created=7)
        return self.successResultOf(self.entries.add(entry))

    def test_kept(self) -> None:
        """What is written is read as it was, by path, the root as well."""
        revisions = {path: self.add(path, k="v") for path in ("/b/c", "/", "/a")}
        found = self.successResultOf(self.entries.every())
        self.assertEqual(
            found,
            [
                MountEntry(
                    path,
                    f"s3://b{path}",
                    {"k": "v"},
                    STATE,
                    created=7,
                    revision=revisions[path],
                )
                for path in ("/", "/a", "/b/c")
            ],
        )
        self.assertEqual(self.successResultOf(self.entries.get("/a")), found[1])

    def test_twice(self) -> None:
        """A path is written once; what is there is changed or removed."""
        self.add("/a")
        failure = self.failureResultOf(
            self.entries.add(MountEntry("/a", "s3://other")), InvalidArgument
        )
        self.assertIn("update", failure.value.message)

    def test_none(self) -> None:
        """What is not there can be neither read, changed nor removed."""
        for work in (
            self.entries.get("/a"),
            self.entries.change("/a", lambda entry: entry),
            self.entries.remove("/a"),
        ):
            self.failureResultOf(work, InvalidArgument)

    def test_change(self) -> None:
        """A change is made of what is there, though somebody else writes meanwhile."""
        self.add("/a")

        def other(entry: MountEntry) -> MountEntry:
            return attrs.evolve(entry, uri="s3://other")

        self.state.left = 3
        revision = self.successResultOf(self.entries.change("/a", other))
        found = self.successResultOf(self.entries.get("/a"))
        self.assertEqual((found.uri, found.revision), ("s3://other", revision))
        self.state.left = ATTEMPTS
        self.failureResultOf(self.entries.change("/a", other), Overloaded)

    def test_limits(self) -> None:
        """What is too large for the state is refused with what to do."""
        large = MountEntry("/a", "s3://b", {"ca": "x" * LARGEST})
        failure = self.failureResultOf(self.entries.add(large), InvalidArgument)
        self.assertIn("into a file", failure.value.message)
        far = MountEntry("/a" + "/b" * 200, "s3://b")
        self.failureResultOf(self.entries.add(far), InvalidArgument)

    def test_unreadable(self) -> None:
        """What cannot be read is there, without a URI, and hides nothing else."""
        self.add("/b")
        for number, value in enumerate((b"", b"[]", b'{"uri": "x"}', b"\xff")):
            self.successResultOf(self.state.put(f"mounts/a{number}", value))
        found = self.successResultOf(self.entries.every())
        self.assertEqual([entry.uri for entry in found], [""] * 4 + ["s3://b/b"])

    def test_secrets(self) -> None:
        """No repr shows a secret."""
        entry = MountEntry("/a", "s3://me:hush@b?secret=hush", {"secret": "hush"})
        self.assertNotIn("hush", repr(entry))


class ChosenTests(SynchronousTestCase):
    def choose(
        self, configured: list[str], written: list[str], lenient: bool = False
    ) -> tuple[list[str], dict[str, str]]:
        wanted, left_out = chosen(
            [
                MountEntry(path.rstrip("?"), "c:", fallback=path.endswith("?"))
                for path in configured
            ],
            [MountEntry(path, "w:", origin=STATE) for path in written],
            lenient,
        )
        return (
            sorted(f"{each.uri}{path}" for path, each in wanted.items()),
            {entry.path: why for entry, why in left_out},
        )

    def test_both(self) -> None:
        """The configuration's counts, but for what nobody wrote."""
        self.assertEqual(
            self.choose(["/?", "/a"], ["/", "/a", "/b"]),
            (["c:/a", "w:/", "w:/b"], {"/a": OVERRULED}),
        )

    def test_above(self) -> None:
        """Nothing is mounted where no bucket would be."""
        wanted, left_out = self.choose(["/a"], ["/a/x", "/b/x"])
        self.assertEqual((wanted, list(left_out)), (["c:/a", "w:/a/x"], ["/b/x"]))
        self.assertEqual(self.choose(["/"], ["/b/x"])[0], ["c:/", "w:/b/x"])

    def test_configured_without(self) -> None:
        """What is configured so is for the table to refuse, unless it was well once."""
        self.assertEqual(self.choose(["/b/x"], []), (["c:/b/x"], {}))
        wanted, left_out = self.choose(["/b/x"], [], True)
        self.assertEqual((wanted, list(left_out)), ([], ["/b/x"]))
