"""
The table of properties, the kinds of their values, and the documents made of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.app import kinds, reference, sources
from alluxio_tw.app.config import load
from alluxio_tw.app.properties import ALIASES, CHAPTERS, IGNORED, TABLE, variable
from alluxio_tw.app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


class TableTests(SynchronousTestCase):
    def test_every_default_can_be_read(self) -> None:
        """What the table gives as default is a value of its kind."""
        nothing = Settings.of([], [])
        for entry in TABLE.values():
            nothing[entry]
        self.assertEqual(nothing.read, set(TABLE))

    def test_names_are_told_apart(self) -> None:
        """No name, older name or ignored name stands for two things."""
        names = [entry.name for chapter in CHAPTERS for entry in chapter.properties]
        names += [alias for entry in TABLE.values() for alias in entry.aliases]
        names += list(IGNORED)
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(set(ALIASES) & set(TABLE), set())

    def test_variables_are_told_apart(self) -> None:
        """No environment variable stands for two properties."""
        names = [*TABLE, *ALIASES]
        self.assertEqual(len({variable(name) for name in names}), len(names))

    def test_every_property_is_asked_for(self) -> None:
        """There is no property that changes nothing."""
        config = load()
        self.assertEqual(config._settings.read, set(TABLE))

    def test_meanings_are_sentences(self) -> None:
        """Every property says what it means."""
        for entry in TABLE.values():
            self.assertTrue(entry.meaning.endswith("."), entry.name)
            self.assertEqual(entry.meaning, " ".join(entry.meaning.split()))


class DocumentTests(SynchronousTestCase):
    def test_configuration_page_agrees(self) -> None:
        """docs/configuration.md is what the table says now."""
        text = (ROOT / "docs" / "configuration.md").read_text("utf-8")
        self.assertEqual(text, reference.markdown())

    def test_example_file_agrees(self) -> None:
        """conf/alluxio-site.properties is what the table says now."""
        text = (ROOT / "conf" / "alluxio-site.properties").read_text("utf-8")
        self.assertEqual(text, reference.example())

    def test_example_file_changes_nothing(self) -> None:
        """The example file can be used as it is."""
        self.assertEqual(sources.from_text(reference.example(), "x"), [])

    def test_example_file_without_comment_signs(self) -> None:
        """Every line of the example file can be put in force, and is the default."""
        text = "\n".join(
            line.removeprefix("#")
            for line in reference.example().splitlines()
            if line.startswith("#alluxio.") and ".mount." not in line
        )
        given = sources.from_text(text, "x")
        self.assertEqual({each.name for each in given}, set(TABLE))
        written = Settings.of(given, [])
        nothing = Settings.of([], [])
        for entry in TABLE.values():
            self.assertEqual(written[entry], nothing[entry])

    def test_no_cell_breaks_the_table(self) -> None:
        """Every row of the page has four cells."""
        for line in reference.markdown().splitlines():
            if line.startswith("| `alluxio.") and line.count(" | ") > 1:
                self.assertEqual(line.replace("\\|", "").count("|"), 5, line)


class KindTests(SynchronousTestCase):
    def refused(self, kind: kinds.Kind[Any], *texts: str) -> None:
        for text in texts:
            self.assertRaises(ValueError, kind.read, text)

    def test_bool(self) -> None:
        """true and false in any case, and nothing else."""
        self.assertIs(kinds.BOOL.read("TRUE"), True)
        self.assertIs(kinds.BOOL.read("false"), False)
        self.refused(kinds.BOOL, "yes", "1", "", "tru")

    def test_port(self) -> None:
        """Ports are 0 to 65535, in ASCII digits."""
        self.assertEqual(kinds.PORT.read("65535"), 65535)
        self.refused(kinds.PORT, "65536", "-1", "8o", "", "٣", "1" * 5000, "1.0")

    def test_host(self) -> None:
        """Addresses are written in one way; names are in small letters."""
        self.assertEqual(kinds.HOST.read("[::1]"), "::1")
        self.assertEqual(kinds.HOST.read("0.0.0.0"), "0.0.0.0")
        self.assertEqual(kinds.HOST.read("LocalHost"), "localhost")
        self.refused(
            kinds.HOST, "", "1.2.3.256", "a b", "-a", "a..b", "::x", "http://a"
        )

    def test_size_bounds(self) -> None:
        """A size out of bounds is told the bounds."""
        error = self.assertRaises(ValueError, kinds.size(1024, 1 << 20).read, "2MB")
        self.assertIn("from 1KB to 1MB", str(error))

    def test_duration_bounds(self) -> None:
        """No duration here is negative."""
        self.assertEqual(kinds.duration().read("5min"), 300.0)
        self.refused(kinds.duration(), "-1", "-5s", "1y")

    def test_choice(self) -> None:
        """A synonym is the word it stands for."""
        kind = kinds.choice(("S3FIFO", "LRU"), {"fifo": "S3FIFO"})
        self.assertEqual(kind.read("fifo"), "S3FIFO")
        self.assertEqual(kind.read("lru"), "LRU")
        self.refused(kind, "MRU", "")

    def test_evictor_classes(self) -> None:
        """Alluxio's evictor classes are understood, with their package and without."""
        read = TABLE["alluxio.worker.page.store.evictor.class"].kind.read
        self.assertEqual(read("LRUCacheEvictor"), "LRU")
        self.assertEqual(
            read("alluxio.client.file.cache.evictor.LFUCacheEvictor"), "LFU"
        )

    def test_fraction(self) -> None:
        """A fraction is a plain number from nought to its bound."""
        self.assertEqual(kinds.fraction(0.9).read(".1"), 0.1)
        self.refused(kinds.fraction(0.9), "", ".", "0.95", "-0.1", "nan", "1e-1")

    def test_prefix(self) -> None:
        """A path prefix begins with a slash and does not end in one."""
        self.assertEqual(kinds.PREFIX.read("/s3/"), "/s3")
        self.assertEqual(kinds.PREFIX.read("/"), "")
        self.refused(kinds.PREFIX, "s3", "/a//b", "/a b")

    def test_lists(self) -> None:
        """A list has commas between; it is bounded."""
        kind = kinds.listed(kinds.DOMAIN, 3)
        self.assertEqual(kind.read(" A.example. ,b, "), ("a.example", "b"))
        self.assertEqual(kind.read(""), ())
        self.refused(kind, "a,b,c,d", "a,b c")

    @settings(max_examples=300, deadline=None)
    @given(st.sampled_from(sorted(TABLE)), st.text(max_size=40))
    def test_readers_fail_only_one_way(self, name: str, text: str) -> None:
        """Whatever is written, a reader gives a value or a ValueError."""
        try:
            TABLE[name].kind.read(text.strip())
        except ValueError:
            pass
