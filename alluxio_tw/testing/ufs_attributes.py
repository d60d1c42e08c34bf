"""
Attributes: what is said of an object beside its bytes.
"""

from __future__ import annotations

import attrs

from alluxio_tw.errors import ObjectChanged
from alluxio_tw.iobjects import NO_ATTRIBUTES, Attributes
from alluxio_tw.iufs import ListQuery
from alluxio_tw.testing.ufs_case import UFSCase
from alluxio_tw.testing.ufs_objects import ETAG, OTHER, get, put


class AttributesContract(UFSCase):
    """What a writer says of an object is told again."""

    async def test_attributes(self) -> None:
        """What a writer says about an object is told by whoever reads it."""
        if not self.ufs.capabilities.attributes:
            self.skipTest("it keeps no attributes")
        said = self.some_attributes()
        made = await put(self.ufs, "key", b"data", OTHER, said)
        self.assert_said(made, said, OTHER)
        found = await self.ufs.status("key")
        self.assertEqual(found, made)
        if "tags" in self.keeps and self.tags_in_order:
            self.assertEqual(list(found.attributes.tags), list(said.tags))
        (entry,) = (await self.ufs.list(ListQuery())).entries
        kind = found.attributes.headers.get("x-amz-storage-class", "")
        self.assertEqual((entry.etag, entry.storage_class), (made.etag, kind))

    async def test_attributes_replaced(self) -> None:
        """A new version has none of the old one's attributes."""
        await put(self.ufs, "key", b"data", OTHER, self.some_attributes())
        await put(self.ufs, "key", b"atad", ETAG)
        self.assert_said(await self.ufs.status("key"), NO_ATTRIBUTES, ETAG)

    async def test_many_attributes(self) -> None:
        """Attributes at the storage's limits are kept."""
        if not self.ufs.capabilities.attributes:
            self.skipTest("it keeps no attributes")
        if self.metadata_limit is None:
            said = Attributes(
                user={f"name-{n}": "v" * 500 for n in range(40)},
                tags={f"{n}" * 60: "ü" * 256 for n in range(10)},
                part_sizes=tuple(range(5 << 20, (5 << 20) + 10_000)),
            )
        else:
            each = self.metadata_limit // 20 - len("name-nn")
            said = Attributes(
                user={f"name-{n}": "v" * each for n in range(20)},
                tags={f"{n}" * 30: "ü" * 30 for n in range(10)},
            )
        made = await put(self.ufs, "key", b"data", attributes=said)
        self.assert_said(await self.ufs.status("key"), said)
        less = await self.ufs.describe("key", made, self.some_attributes())
        self.assertEqual((await self.ufs.status("key")), less)
        if self.clears:
            await self.ufs.describe("key", less, said)
            self.assert_said(await self.ufs.status("key"), said)
        await put(self.ufs, "key", b"more")
        self.assert_said(await self.ufs.status("key"), NO_ATTRIBUTES)

    async def test_describe(self) -> None:
        """Attributes are replaced; bytes, ETag, time and version are not."""
        if not self.ufs.capabilities.attributes:
            self.skipTest("it keeps no attributes")
        old = await put(self.ufs, "key", b"data", OTHER)
        if "tags" in self.keeps:
            tagged = attrs.evolve(old.attributes, tags={"one": "1", "two": "é /+="})
            new = await self.ufs.describe("key", old, tagged)
            found = await self.ufs.status("key")
            self.assertEqual(found, new)
            self.assert_said(found, tagged)
            # Tags leave everything else as it was, everywhere.
            self.assertEqual(attrs.evolve(found, attributes=old.attributes), old)
            before = found
        else:
            before = old
        new = await self.ufs.describe("key", before, self.some_attributes())
        found = await self.ufs.status("key")
        self.assertEqual(found, new)
        self.assert_said(found, self.some_attributes())
        self.assertEqual((found.etag, found.size), (old.etag, old.size))
        if not self.rewrites:
            self.assertEqual(
                (found.version, found.modified), (old.version, old.modified)
            )
        self.assertEqual(await get(self.ufs, "key"), b"data")
        glance = self.ufs.glance("key")
        if glance is not None:
            self.assert_said(glance.status, self.some_attributes())
            glance.close()
        bare = await self.ufs.describe("key", found, NO_ATTRIBUTES)
        if self.clears:
            self.assert_said(bare, NO_ATTRIBUTES)
        self.assertEqual(await self.ufs.status("key"), bare)
        await put(self.ufs, "key", b"changed")
        await self.fails(self.ufs.describe("key", old, NO_ATTRIBUTES), ObjectChanged)
