"""
Tests of L{alluxio_tw.namespace.explanation}.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import InvalidArgument, NoSuchBucket
from alluxio_tw.iufs import Capabilities
from alluxio_tw.namespace.explanation import Worth, explain
from alluxio_tw.namespace.mount import Mount
from alluxio_tw.namespace.mounts import MountTable
from alluxio_tw.namespace.rulesdocument import read_rules
from tests.namespace.doubles import FolderStorage

WORTH = Worth(1 << 20, 16)

FAR = Capabilities(near=False)


class ExplainTests(SynchronousTestCase):
    def lines(
        self, path: str, options: dict[str, str] | None = None, **sections: Any
    ) -> dict[str, tuple[str, str]]:
        given = options or {}
        ufs: Any = FolderStorage(capabilities=FAR)
        near: Any = FolderStorage()
        table = MountTable.of(
            [
                Mount.of("/far", "s3://far?secret_key=hidden", given, given, ufs),
                Mount.of("/near", "file:///near", {}, {}, near),
            ],
            Clock(),
        )
        document = json.dumps({"apiVersion": 1, **sections}).encode()
        table.rules = read_rules(document) or None
        found = explain(table, path, WORTH)
        self.assertNotIn("hidden", repr(found))
        json.dumps(found.document())
        return {line.name: (line.value, line.origin) for line in found.lines}

    def test_defaults(self) -> None:
        """Without rules and options, defaults and properties are what counts."""
        self.assertEqual(
            self.lines("/far/k"),
            {
                "cached": ("yes", "default"),
                "freshness": ("max-age 1min", "default"),
                "negativeAge": ("1s", "default"),
                "staleIfError": ("0ms", "default"),
                "pages": ("kept", "default"),
                "pageSize": ("1MB", "alluxio.worker.page.store.page.size"),
                "tier": ("MEM and DISK", "default"),
                "readAhead": (
                    "16 pages of 1MB",
                    "alluxio.worker.page.store.readahead.pages.max",
                ),
                "hedgeAfter": ("off", "default"),
            },
        )

    def test_options(self) -> None:
        """What a mount's option says is told as such."""
        found = self.lines(
            "/far/k", {"max-age": "5s", "stale-if-error": "1h", "hedge-after": "p95"}
        )
        self.assertEqual(found["freshness"], ("max-age 5s", "mount option max-age"))
        self.assertEqual(found["staleIfError"], ("1h", "mount option stale-if-error"))
        self.assertEqual(found["hedgeAfter"], ("p95", "mount option hedge-after"))
        found = self.lines("/far/k", {"freshness": "immutable"})
        self.assertEqual(found["freshness"], ("immutable", "mount option freshness"))

    def test_near(self) -> None:
        """Of a mount that is not cached there is little to say."""
        found = self.lines("/near/k", metadata={"immutable": [".*"]})
        self.assertEqual(
            found,
            {"cached": ("no", "default: the storage is near; rules do not count")},
        )

    def test_rules(self) -> None:
        """What a rule says is told with its place and pattern."""
        found = self.lines(
            "/far/t/k",
            {"freshness": "immutable"},
            metadata={"maxAge": {".*/t/.*": "500ms", ".*": "9s"}},
            data={"maxAge": {".*/t/.*": "1h"}},
            rules=[{"pattern": ".*/t/.*", "pageSize": "4MB", "readAhead": "off"}],
        )
        origin = "rule metadata.maxAge .*/t/.*"
        self.assertEqual(found["freshness"], ("max-age 500ms", origin))
        self.assertEqual(found["negativeAge"], ("500ms", origin))
        self.assertEqual(found["pageSize"], ("4MB", "rule rules[0] .*/t/.*"))
        self.assertEqual(found["readAhead"], ("off", "rule rules[0] .*/t/.*"))
        found = self.lines("/far/k", data={"maxAge": {".*/k": "5s"}})
        self.assertEqual(found["freshness"], ("max-age 5s", "rule data.maxAge .*/k"))

    def test_skipped(self) -> None:
        """Of what is not kept, nothing is told of how it is kept."""
        found = self.lines("/far/k", data={"skipCache": [".*"]})
        self.assertEqual(found["pages"], ("not kept", "rule data.skipCache[0] .*"))
        self.assertNotIn("pageSize", found)
        both = {"skipCache": [".*"]}
        found = self.lines("/far/k", data=both, metadata=both)
        self.assertEqual(found["cached"][0], "no")
        self.assertEqual(
            found["cached"][1],
            "rule data.skipCache[0] .* and rule metadata.skipCache[0] .*",
        )

    def test_default_type(self) -> None:
        """A defaultType is told where it counts."""
        found = self.lines("/far/k", metadata={"defaultType": "immutable"})
        self.assertEqual(found["freshness"], ("immutable", "rule metadata.defaultType"))

    def test_wrong(self) -> None:
        """What is no path of an object is refused."""
        for path in ("far/k", "/far", "/far/", "", "/", "/far/\udcff"):
            self.assertRaises(InvalidArgument, self.lines, path)
        self.assertRaises(NoSuchBucket, self.lines, "/none/k")
        self.assertEqual(self.lines("s3://far/k"), self.lines("/far/k"))
