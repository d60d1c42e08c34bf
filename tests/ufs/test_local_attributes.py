"""
What is kept with files is kept whole, and believed only if it can be true.
"""

from __future__ import annotations

import json
import os
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND, Attributes
from alluxio_tw.iufs import ListQuery
from alluxio_tw.testing.ufs import ETAG, put
from alluxio_tw.ufs.local_attributes import NAME
from tests.ufs.test_local_tree import LocalTestCase

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from("semhutckpfx"), inner, max_size=5)
    ),
    max_leaves=12,
)


class AttributesTests(LocalTestCase):
    def claim(self, path: str, said: bytes) -> None:
        os.setxattr(path, NAME, said)

    def test_hostile(self) -> None:
        """What could break a reply's header or is of the wrong kind is left out."""
        path = self.write("key", b"1234")
        facts = os.stat(path)
        self.claim(
            path,
            json.dumps(
                {
                    "s": 4,
                    "m": facts.st_mtime_ns,
                    "e": 'x"\r\nSet-Cookie: a',
                    "h": {
                        "content-type": "text/plain\r\nX: y",
                        "content-language": "de",
                        "set-cookie": "a",
                        "expires": 7,
                    },
                    "u": {"fine": "yes", "bad\n": "x", "worse": "\0"},
                    "t": ["no"],
                    "c": "no",
                    "k": "WHATEVER",
                    "p": [[5, 10**9]],
                }
            ).encode(),
        )
        status = self.successResultOf(self.ufs.status("key"))
        self.assertEqual(
            status.attributes,
            Attributes(headers={"content-language": "de"}, user={"fine": "yes"}),
        )
        self.assertRegex(status.etag, r"\A[0-9a-f-]+\Z")
        (entry,) = self.successResultOf(self.ufs.list(ListQuery())).entries
        self.assertEqual(entry.etag, status.etag)

    def test_white_space(self) -> None:
        """Tabs in headers and lines in tags are no reason to leave them out."""
        said = Attributes(user={"a": "b\tc"}, tags={"a": "b\nc\td\x7f"})
        self.successResultOf(put(self.ufs, "key", b"1234", ETAG, said))
        self.assertEqual(self.successResultOf(self.ufs.status("key")).attributes, said)

    def test_escaped_etag(self) -> None:
        """An ETag is the same in a listing as elsewhere, however it is written."""
        path = self.write("key", b"1234")
        when = os.stat(path).st_mtime_ns
        for etag in ('"\\u0041bc"', '"a\\\\b"', '"a\\"b"', '"\\n"', '"', '"abc', "7"):
            self.claim(path, b'{"s":4,"m":%d,"e":%s}' % (when, etag.encode()))
            status = self.successResultOf(self.ufs.status("key"))
            (entry,) = self.successResultOf(self.ufs.list(ListQuery())).entries
            self.assertEqual(entry.etag, status.etag, etag)

    @settings(max_examples=200, deadline=None)
    @given(JSON | st.dictionaries(st.sampled_from("semhutckpfx"), JSON))
    def test_any_json(self, said: object) -> None:
        """Nothing that a file claims keeps it from being read or listed."""
        path = self.path("key")
        if not os.path.exists(path):
            self.write("key", b"1234")
        facts = os.stat(path)
        if isinstance(said, dict):
            said = {**said, "s": 4, "m": facts.st_mtime_ns}
        self.claim(path, json.dumps(said).encode())
        status = self.successResultOf(self.ufs.status("key"))
        (entry,) = self.successResultOf(self.ufs.list(ListQuery())).entries
        self.assertEqual((entry.key, entry.etag), ("key", status.etag))

    def test_no_json(self) -> None:
        """What is no JSON is as if it were not there."""
        path = self.write("key", b"1234")
        for said in (b"", b"\xff", b"{", b"[" * 50_000, b"9" * 5000, b'{"x":1}'):
            try:
                self.claim(path, said)
            except OSError:
                continue  # more than this file system keeps
            status = self.successResultOf(self.ufs.status("key"))
            self.assertEqual(status.attributes, NO_ATTRIBUTES)

    def test_folder_claims(self) -> None:
        """A file does not become a folder object, nor a folder a file's."""
        path = self.write("a/key", b"1234")
        when = os.stat(path).st_mtime_ns
        self.claim(path, b'{"f":1,"m":%d,"s":4,"e":"abc"}' % when)
        self.assertIn("-", self.successResultOf(self.ufs.status("a/key")).etag)
        self.claim(self.path("a"), b'{"m":1,"s":4096,"e":"abc"}')
        self.assertEqual(self.listed(), ["a/key"])

    def test_copied_tree(self) -> None:
        """What copies a tree with its times and attributes copies the objects."""
        said = Attributes(user={"a": "b"})
        self.successResultOf(put(self.ufs, "key", b"1234", ETAG, said))
        facts = os.stat(self.path("key"))
        with open(self.path("copy"), "wb") as file:
            file.write(b"1234")
        self.claim(self.path("copy"), os.getxattr(self.path("key"), NAME))
        os.utime(self.path("copy"), ns=(0, facts.st_mtime_ns))
        status = self.successResultOf(self.ufs.status("copy"))
        self.assertEqual((status.etag, status.attributes), (ETAG, said))

    def test_sidecars_swept(self) -> None:
        """Sidecars of what is no more are swept; others stay."""
        self.ufs = self.mount(attributes="sidecar")
        said = Attributes(user={"a": "b"})
        for key in ("kept", "gone", "changed", "folder/", "folder2/"):
            data = b"" if key.endswith("/") else b"1234"
            self.successResultOf(put(self.ufs, key, data, ETAG, said))
        os.unlink(self.path("gone"))
        os.utime(self.path("changed"), ns=(0, 0))
        os.rmdir(self.path("folder2"))
        self.assertEqual(self.successResultOf(self.ufs.sweep(3600)), 0)
        time_passes = time.time() - 7200
        for folder, _, names in os.walk(self.path(".alluxio-tw/sidecar")):
            for name in names:
                os.utime(os.path.join(folder, name), (time_passes, time_passes))
        self.assertEqual(self.successResultOf(self.ufs.sweep(3600)), 3)
        for key in ("kept", "folder/"):
            status = self.successResultOf(self.ufs.status(key))
            self.assertEqual(status.attributes, said)

    def test_sidecars_go_with_objects(self) -> None:
        """Overwritten or deleted, an object leaves no sidecar behind."""
        self.ufs = self.mount(attributes="sidecar")

        def sidecars() -> int:
            tree = os.walk(self.path(".alluxio-tw/sidecar"))
            return sum(len(names) for _, _, names in tree)

        for n in range(5):
            self.put("key", b"x" * n)
            self.assertEqual(sidecars(), 1)
        self.put("key", b"x" * 4)
        self.assertEqual(sidecars(), 1)
        self.successResultOf(self.ufs.delete("key", NO_DEMAND))
        self.assertEqual(sidecars(), 0)
        self.put("folder/", b"")
        self.assertEqual(sidecars(), 1)
        self.successResultOf(self.ufs.delete("folder/", NO_DEMAND))
        self.assertEqual(sidecars(), 0)

    def test_first_sidecar_of_another(self) -> None:
        """A sidecar that another process made, the first of all, is found."""
        reader = self.mount(attributes="sidecar")
        self.ufs = self.mount(attributes="sidecar")
        self.put("key")
        self.assertEqual(self.successResultOf(reader.status("key")).etag, ETAG)
