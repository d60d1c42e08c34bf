"""
The table of permissions.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.s3.path import Kind
from alluxio_tw.s3.permissions import (
    ACTIONS,
    BUCKET_ACTIONS,
    HIDES_ABSENCE,
    NEEDS,
    OBJECT_ACTIONS,
    OWN,
    POLICY_ACTIONS,
    READING,
    VERSIONED,
    WRITING,
    On,
)
from alluxio_tw.s3.routing import OPERATIONS


class PermissionTests(SynchronousTestCase):
    """
    That it says something sound of everything.
    """

    def test_total(self) -> None:
        """Every operation that there is has its line, and no other."""
        self.assertEqual(set(NEEDS), set(OPERATIONS))

    def test_places(self) -> None:
        """What is done to a bucket needs permissions on it, likewise of objects."""
        for name, needs in NEEDS.items():
            kind = OPERATIONS[name].kind
            for need in needs:
                if need.on is On.OBJECT or need.on is On.SOURCE:
                    self.assertIs(kind, Kind.OBJECT, name)
                elif need.on in (On.BUCKET, On.EACH, On.FORM):
                    self.assertIs(kind, Kind.BUCKET, name)

    def test_levels(self) -> None:
        """No action is on buckets and on objects."""
        self.assertEqual(BUCKET_ACTIONS & OBJECT_ACTIONS, frozenset())

    def test_sets(self) -> None:
        """The sets name actions and operations that there are."""
        for actions in (POLICY_ACTIONS, READING, WRITING):
            self.assertLessEqual(actions, ACTIONS)
        for names in (HIDES_ABSENCE, OWN, VERSIONED):
            self.assertLessEqual(names, set(OPERATIONS))
        self.assertEqual(READING & WRITING, frozenset())
        self.assertNotIn("CopyObject", OWN)
        self.assertNotIn("DeleteObjects", OWN)
        self.assertNotIn("PutObject", VERSIONED)

    def test_writing(self) -> None:
        """Nothing that changes something is done with permissions to read."""
        for name, needs in NEEDS.items():
            if OPERATIONS[name].writes and needs:
                own = {need.action for need in needs if need.on is not On.SOURCE}
                self.assertFalse(own <= READING, name)

    def test_headers(self) -> None:
        """Tags and ACLs that come with an object need permissions of their own."""
        [plain] = [n for n in NEEDS["PutObject"] if n.applies({})]
        self.assertEqual(plain.action, "s3:PutObject")
        tagged = [
            n.action for n in NEEDS["PutObject"] if n.applies({b"x-amz-tagging": b""})
        ]
        self.assertEqual(tagged, ["s3:PutObject", "s3:PutObjectTagging"])

    def test_versions(self) -> None:
        """Who names a version needs the permission for versions."""
        [need] = NEEDS["GetObject"]
        self.assertEqual(need.action_of({}), "s3:GetObject")
        self.assertEqual(need.action_of({"versionId": "null"}), "s3:GetObjectVersion")
