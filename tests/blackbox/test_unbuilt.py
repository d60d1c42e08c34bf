"""
What is not built yet says so.
"""

from __future__ import annotations

import re

from alluxio_tw.s3 import routing
from alluxio_tw.s3.path import Kind
from alluxio_tw.web.operations import OPERATIONS
from tests.blackbox.case import BlackboxCase


class UnbuiltTests(BlackboxCase):
    """
    Operations that the routing table knows and nothing serves.
    """

    def test_unbuilt(self) -> None:
        """Every operation that is not built answers 501, and touches nothing."""
        s3, bucket = self.s3(), self.bucket()
        s3.put_object(Bucket=bucket, Key="a", Body=b"x", Tagging="t=1")
        before = s3.head_object(Bucket=bucket, Key="a")
        asked = 0
        for kind, lines in routing._TABLE:
            path = {
                Kind.SERVICE: "/",
                Kind.BUCKET: f"/{bucket}",
                Kind.OBJECT: f"/{bucket}/a",
            }[kind]
            for method, subresource, condition, name, (_, takes_body) in lines:
                if name in OPERATIONS or name == "PostObject":
                    continue
                query = [subresource] if subresource else []
                headers = {}
                if condition.startswith("+"):
                    query.append(re.sub(r"^\+([^=]+)$", r"\1=x", condition).lstrip("+"))
                elif condition == "copy":
                    headers["x-amz-copy-source"] = f"{bucket}/a"
                target = path + ("?" + "&".join(query) if query else "")
                wire = self.wire()
                body = b"<X/>" if takes_body else b""
                answer = wire.ask(method, target, body, **headers)
                self.assertEqual(
                    (answer.status, answer.code), (501, "NotImplemented"), name
                )
                asked += 1
        self.assertGreater(asked, 30)
        after = s3.head_object(Bucket=bucket, Key="a")
        for field in ("ETag", "LastModified", "TagCount", "ContentType"):
            self.assertEqual(after[field], before[field])
        s3.head_bucket(Bucket=bucket)

    def test_headers(self) -> None:
        """A header that asks for encryption, a lock or a grant is never just ignored."""
        bucket = self.bucket()
        wire = self.wire()
        for header, value, code in (
            ("x-amz-server-side-encryption", "AES256", "NotImplemented"),
            ("x-amz-server-side-encryption", "aws:kms", "NotImplemented"),
            (
                "x-amz-server-side-encryption-customer-algorithm",
                "AES256",
                "NotImplemented",
            ),
            ("x-amz-object-lock-mode", "GOVERNANCE", "NotImplemented"),
            ("x-amz-acl", "public-read", "AccessControlListNotSupported"),
            ("x-amz-grant-read", "id=x", "AccessControlListNotSupported"),
        ):
            answer = wire.ask("PUT", f"/{bucket}/a", b"x", **{header: value})
            self.assertEqual(answer.code, code, header)
        answer = wire.ask("PUT", f"/{bucket}/a", b"x", **{"x-amz-acl": "private"})
        self.assertEqual(answer.status, 200)
