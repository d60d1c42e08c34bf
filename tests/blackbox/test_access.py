"""
Who may do what, asked of a daemon that checks signatures.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

from alluxio_tw.s3 import routing
from alluxio_tw.s3.path import Kind
from alluxio_tw.s3.permissions import NEEDS, On
from tests.blackbox import clients
from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import set_up
from tests.blackbox.wire import Answer

FOLDER = tempfile.mkdtemp(prefix="access-")
atexit.register(shutil.rmtree, FOLDER, True)
KEYS = os.path.join(FOLDER, "keys")
USERS = ("owner", "other", "third", "admin")
with open(os.open(KEYS, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
    for user in USERS:
        file.write(f"AK{user.upper()} secret-of-{user} {user}\n")

SIGNED = set_up(
    "alluxio.worker.s3.authentication.type=SIGV4",
    f"alluxio.worker.s3.access.keys.path={KEYS}",
    "alluxio.worker.s3.administrators=admin",
    mounts=("mounted={here}/mounted",),
)

_numbers = itertools.count(1)

Request = tuple[str, str, bytes, Mapping[str, str]]
"""Method, target, body, headers."""


def statement(
    actions: Any,
    resources: Any,
    principal: Any = "*",
    effect: str = "Allow",
    **more: Any,
) -> dict[str, Any]:
    """A statement of a policy, about paths in S3."""
    listed = [resources] if isinstance(resources, str) else resources
    return {
        "Effect": effect,
        "Principal": principal,
        "Action": actions,
        "Resource": [f"arn:aws:s3:::{each}" for each in listed],
        **more,
    }


def policy(*statements: Mapping[str, Any]) -> str:
    """A policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


class AccessCase(BlackboxCase):
    """
    Three users and an administrator, and requests that they sign.
    """

    setting = SIGNED

    def as_user(self, user: str) -> Any:
        """A boto3 client; of nobody if C{user} is empty."""
        boto3 = clients.module("boto3")
        from botocore import UNSIGNED
        from botocore.config import Config

        memo = f"{self.daemon.pid} {user}"
        if memo not in _clients:
            _clients[memo] = boto3.session.Session(
                aws_access_key_id=f"AK{user.upper()}",
                aws_secret_access_key=f"secret-of-{user}",
                region_name="us-east-1",
            ).client(
                "s3",
                endpoint_url=self.daemon.url,
                config=Config(
                    retries={"total_max_attempts": 1},
                    s3={"addressing_style": "path"},
                    signature_version="s3v4" if user else UNSIGNED,
                ),
            )
        return _clients[memo]

    def bucket(self, user: str = "owner") -> str:
        """A new bucket of a user's."""
        name = f"access-{next(_numbers)}"
        self.as_user(user).create_bucket(Bucket=name)
        return name

    def ask(
        self,
        user: str,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] = {},
    ) -> Answer:
        """A bare request, signed by a user, or by nobody."""
        wire = self.wire()
        given = {"host": wire.host, **headers}
        if user:
            from botocore.auth import S3SigV4Auth
            from botocore.awsrequest import AWSRequest
            from botocore.credentials import Credentials

            request = AWSRequest(
                method, f"http://{wire.host}{target}", headers=given, data=body
            )
            request.context["client_config"] = None
            S3SigV4Auth(
                Credentials(f"AK{user.upper()}", f"secret-of-{user}"), "s3", "us-east-1"
            ).add_auth(request)
            given = dict(request.headers.items())
        given = {k: v for k, v in given.items() if k.lower() != "host"}
        try:
            return wire.ask(method, target, body, **given)
        finally:
            wire.close()


_clients: dict[str, Any] = {}


class OwnerTests(AccessCase):
    """
    Without a policy.
    """

    def test_private(self) -> None:
        """What a user makes is theirs alone, and the administrators'."""
        bucket = self.bucket()
        mine, theirs = self.as_user("owner"), self.as_user("other")
        mine.put_object(Bucket=bucket, Key="a", Body=b"x")
        for call, given in (
            (theirs.get_object, {"Key": "a"}),
            (theirs.get_object, {"Key": "none"}),
            (theirs.put_object, {"Key": "a", "Body": b"y"}),
            (theirs.delete_object, {"Key": "a"}),
            (theirs.list_objects_v2, {}),
            (theirs.get_bucket_policy, {}),
            (theirs.create_multipart_upload, {"Key": "a"}),
            (self.as_user("").get_object, {"Key": "a"}),
            (self.as_user("").list_objects_v2, {}),
        ):
            self.refused("AccessDenied", 403, call, Bucket=bucket, **given)
        self.refused("403", 403, theirs.head_object, Bucket=bucket, Key="a")
        admin = self.as_user("admin")
        self.assertEqual(admin.get_object(Bucket=bucket, Key="a")["Body"].read(), b"x")
        self.assertEqual(admin.get_bucket_acl(Bucket=bucket)["Owner"]["ID"], "owner")

    def test_no_such_bucket(self) -> None:
        """That there is no such bucket is told to everybody."""
        for user in ("owner", "other", ""):
            s3 = self.as_user(user)
            answer = self.refused(
                "NoSuchBucket", 404, s3.get_object, Bucket="none-such", Key="a"
            )
            self.assertEqual(
                answer["Error"]["Message"], "The specified bucket does not exist"
            )
            self.refused("NoSuchBucket", 404, s3.list_objects_v2, Bucket="none-such")

    def test_listed(self) -> None:
        """A user's list of buckets has their own and those that are for all."""
        mine, theirs = self.bucket("owner"), self.bucket("other")
        for user, shown, hidden in (("owner", mine, theirs), ("other", theirs, mine)):
            answer = self.as_user(user).list_buckets()
            names = [each["Name"] for each in answer["Buckets"]]
            self.assertIn(shown, names)
            self.assertIn("mounted", names)
            self.assertNotIn(hidden, names)
            self.assertEqual(answer["Owner"]["ID"], user)
        names = [b["Name"] for b in self.as_user("admin").list_buckets()["Buckets"]]
        self.assertLessEqual({mine, theirs}, set(names))
        self.refused("AccessDenied", 403, self.as_user("").list_buckets)

    def test_made_again(self) -> None:
        """A bucket of another's is taken; one's own is made again without harm."""
        bucket = self.bucket("owner")
        self.as_user("owner").create_bucket(Bucket=bucket)
        self.refused(
            "BucketAlreadyExists",
            409,
            self.as_user("other").create_bucket,
            Bucket=bucket,
        )
        self.refused(
            "AccessDenied", 403, self.as_user("").create_bucket, Bucket="anonymous-made"
        )

    def test_mounted(self) -> None:
        """A bucket that was mounted is for everybody who has an access key."""
        s3 = self.as_user("other")
        s3.put_object(Bucket="mounted", Key="a", Body=b"x")
        self.assertEqual(
            self.as_user("third").get_object(Bucket="mounted", Key="a")["Body"].read(),
            b"x",
        )
        self.refused(
            "AccessDenied", 403, self.as_user("").get_object, Bucket="mounted", Key="a"
        )
        self.refused(
            "AccessDenied",
            403,
            s3.put_bucket_policy,
            Bucket="mounted",
            Policy=policy(statement("s3:GetObject", "mounted/*")),
        )
        self.as_user("admin").put_bucket_policy(
            Bucket="mounted",
            Policy=policy(statement("s3:GetObject", "mounted/public/*")),
        )
        s3.put_object(Bucket="mounted", Key="public/a", Body=b"y")
        got = self.as_user("").get_object(Bucket="mounted", Key="public/a")
        self.assertEqual(got["Body"].read(), b"y")
        self.as_user("admin").delete_bucket_policy(Bucket="mounted")
        self.refused(
            "AccessDenied",
            403,
            self.as_user("").get_object,
            Bucket="mounted",
            Key="public/a",
        )

    def test_expected_owner(self) -> None:
        """A request for a bucket of somebody else's than the client believes is refused."""
        bucket, s3 = self.bucket(), self.as_user("owner")
        s3.put_object(Bucket=bucket, Key="a", Body=b"x", ExpectedBucketOwner="owner")
        for call, given in (
            (s3.get_object, {"Key": "a"}),
            (s3.put_object, {"Key": "b"}),
            (s3.list_objects_v2, {}),
            (s3.delete_object, {"Key": "a"}),
        ):
            self.refused(
                "AccessDenied",
                403,
                call,
                Bucket=bucket,
                ExpectedBucketOwner="111122223333",
                **given,
            )
        self.refused(
            "AccessDenied",
            403,
            s3.copy_object,
            Bucket=bucket,
            Key="b",
            CopySource=f"{bucket}/a",
            ExpectedSourceBucketOwner="111122223333",
        )


class TableTests(AccessCase):
    """
    The table of permissions, line by line.
    """

    def requests(self, bucket: str) -> dict[str, Request]:
        """A request for each operation."""
        paths = {
            Kind.SERVICE: "/",
            Kind.BUCKET: f"/{bucket}",
            Kind.OBJECT: f"/{bucket}/a",
        }
        found: dict[str, Request] = {}
        for kind, lines in routing._TABLE:
            for method, subresource, condition, name, (_, takes_body) in lines:
                query = [subresource] if subresource else []
                headers: dict[str, str] = {}
                if condition.startswith("+"):
                    query.append(re.sub(r"^\+([^=]+)$", r"\1=x", condition).lstrip("+"))
                elif condition == "copy":
                    headers["x-amz-copy-source"] = f"{bucket}-source/a"
                if subresource == "uploadId":
                    query = ["uploadId=none"]
                    if name in ("UploadPart", "UploadPartCopy"):
                        query.append("partNumber=1")
                if name == "GetObjectAttributes":
                    headers["x-amz-object-attributes"] = "ETag"
                target = paths[kind] + ("?" + "&".join(query) if query else "")
                body = b"<X/>" if takes_body and name != "CreateBucket" else b""
                found[name] = method, target, body, headers
        return found

    def test_whole(self) -> None:
        """
        Each operation is refused to who lacks one of its permissions, whoever they
        are, and to nobody else.
        """
        bucket = self.bucket()
        owner = self.as_user("owner")
        source = f"{bucket}-source"
        owner.create_bucket(Bucket=source)
        for name in (bucket, source):
            owner.put_object(Bucket=name, Key="a", Body=b"x")
        requests = self.requests(bucket)
        self.assertEqual(set(NEEDS) - set(requests), {"WriteGetObjectResponse"})
        # What ends the others' bucket, policy or object comes last.
        order = sorted(requests, key=lambda n: (n.startswith("Delete"), n))
        walked = 0
        for name in order:
            needs = [need for need in NEEDS[name] if not need.headers]
            on_service = any(need.on is On.SERVICE for need in needs)
            if not needs or any(need.on is On.FORM for need in needs):
                # Judged by what they carry; see the tests of those.
                continue
            if name == "DeleteObjects":
                continue

            denied = partial(self.denied, requests[name])
            self.assertTrue(denied(""), f"{name}: nobody")
            if on_service:
                self.assertFalse(denied("other"), f"{name}: other")
                continue
            self.assertTrue(denied("other"), f"{name}: other")
            grants = [
                (
                    need.action,
                    {
                        On.BUCKET: bucket,
                        On.OBJECT: f"{bucket}/a",
                        On.SOURCE: f"{source}/a",
                    }[need.on],
                )
                for need in needs
            ]
            # The source of a copy has a policy of its own.
            for left_out in range(len(grants)):
                self.grant(bucket, source, grants[:left_out] + grants[left_out + 1 :])
                self.assertTrue(denied("other"), f"{name}: without {grants[left_out]}")
            self.grant(bucket, source, grants)
            # Who is let in by a policy does not rule over it: 405.
            self.assertFalse(denied("other"), f"{name}: granted")
            self.grant(bucket, source, [])
            if not name.startswith(("Delete", "Put")):
                self.assertFalse(denied("owner"), f"{name}: owner")
            walked += 1
        self.assertGreater(walked, 90)

    def denied(self, request: Request, user: str) -> bool:
        """Is a request denied to a user?"""
        answer = self.ask(user, *request)
        self.assertLess(answer.status, 502, request)
        return answer.status == 403 and answer.code in ("AccessDenied", "")

    def grant(self, bucket: str, source: str, grants: list[tuple[str, str]]) -> None:
        owner = self.as_user("owner")
        for name in (bucket, source):
            given = [
                statement(action, path, {"AWS": "other"})
                for action, path in grants
                if path.partition("/")[0] == name
            ]
            if given:
                owner.put_bucket_policy(Bucket=name, Policy=policy(*given))
            else:
                owner.delete_bucket_policy(Bucket=name)

    def test_delete_objects(self) -> None:
        """Of many objects to delete, each is judged, and told of, by itself."""
        bucket, owner = self.bucket(), self.as_user("owner")
        for key in ("mine/a", "yours/a"):
            owner.put_object(Bucket=bucket, Key=key, Body=b"")
        owner.put_bucket_policy(
            Bucket=bucket,
            Policy=policy(
                statement("s3:DeleteObject", f"{bucket}/yours/*", {"AWS": "other"})
            ),
        )
        answer = self.as_user("other").delete_objects(
            Bucket=bucket,
            Delete={"Objects": [{"Key": "mine/a"}, {"Key": "yours/a"}]},
        )
        self.assertEqual([each["Key"] for each in answer["Deleted"]], ["yours/a"])
        [error] = answer["Errors"]
        self.assertEqual(
            (error["Key"], error["Code"], error["Message"]),
            ("mine/a", "AccessDenied", "Access Denied"),
        )
        keys = [
            each["Key"] for each in owner.list_objects_v2(Bucket=bucket)["Contents"]
        ]
        self.assertEqual(keys, ["mine/a"])


class PolicyTests(AccessCase):
    """
    Bucket policies.
    """

    def test_kept(self) -> None:
        """A policy comes back as it was put, until it is deleted."""
        bucket, s3 = self.bucket(), self.as_user("owner")
        answer = self.refused(
            "NoSuchBucketPolicy", 404, s3.get_bucket_policy, Bucket=bucket
        )
        self.assertEqual(answer["Error"]["BucketName"], bucket)
        self.refused(
            "NoSuchBucketPolicy", 404, s3.get_bucket_policy_status, Bucket=bucket
        )
        text = policy(statement("s3:GetObject", f"{bucket}/*"))
        put = s3.put_bucket_policy(Bucket=bucket, Policy=text)
        self.assertEqual(put["ResponseMetadata"]["HTTPStatusCode"], 204)
        self.assertEqual(s3.get_bucket_policy(Bucket=bucket)["Policy"], text)
        status = s3.get_bucket_policy_status(Bucket=bucket)
        self.assertTrue(status["PolicyStatus"]["IsPublic"])
        for _ in range(2):
            s3.delete_bucket_policy(Bucket=bucket)
        self.refused("NoSuchBucketPolicy", 404, s3.get_bucket_policy, Bucket=bucket)

    def test_anonymous(self) -> None:
        """What a policy gives to everybody, who has no access key may do."""
        bucket, s3, nobody = self.bucket(), self.as_user("owner"), self.as_user("")
        s3.put_object(Bucket=bucket, Key="public/a", Body=b"x")
        s3.put_object(Bucket=bucket, Key="private", Body=b"x")
        s3.put_bucket_policy(
            Bucket=bucket,
            Policy=policy(
                statement("s3:GetObject", f"{bucket}/public/*"),
                statement("s3:PutObject", f"{bucket}/inbox/*"),
            ),
        )
        for _ in range(2):
            got = nobody.get_object(Bucket=bucket, Key="public/a")
            self.assertEqual(got["Body"].read(), b"x")
        nobody.put_object(Bucket=bucket, Key="inbox/a", Body=b"y")
        self.assertEqual(
            s3.get_object(Bucket=bucket, Key="inbox/a")["Body"].read(), b"y"
        )
        for key in ("private", "inbox/a", "public/none"):
            self.refused("AccessDenied", 403, nobody.get_object, Bucket=bucket, Key=key)
        self.refused("AccessDenied", 403, nobody.list_objects_v2, Bucket=bucket)

    def test_absence(self) -> None:
        """That there is no such key is told to who may list the bucket."""
        bucket, s3, other = self.bucket(), self.as_user("owner"), self.as_user("other")
        reads = statement("s3:GetObject*", f"{bucket}/*")
        s3.put_bucket_policy(Bucket=bucket, Policy=policy(reads))
        self.refused("AccessDenied", 403, other.get_object, Bucket=bucket, Key="no")
        self.refused("403", 403, other.head_object, Bucket=bucket, Key="no")
        s3.put_bucket_policy(
            Bucket=bucket, Policy=policy(reads, statement("s3:ListBucket", bucket))
        )
        self.refused("NoSuchKey", 404, other.get_object, Bucket=bucket, Key="no")
        self.refused("404", 404, other.head_object, Bucket=bucket, Key="no")

    def test_deny(self) -> None:
        """What is denied is denied to the owner too, all but the way back."""
        bucket, s3 = self.bucket(), self.as_user("owner")
        s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        s3.put_bucket_policy(
            Bucket=bucket,
            Policy=policy(
                statement("s3:*", [bucket, f"{bucket}/*"]),
                statement("s3:*", [bucket, f"{bucket}/*"], effect="Deny"),
            ),
        )
        for user in ("owner", "admin", "other", ""):
            self.refused(
                "AccessDenied",
                403,
                self.as_user(user).get_object,
                Bucket=bucket,
                Key="a",
            )
        s3.get_bucket_policy(Bucket=bucket)
        s3.delete_bucket_policy(Bucket=bucket)
        self.assertEqual(s3.get_object(Bucket=bucket, Key="a")["Body"].read(), b"x")

    def test_ruling(self) -> None:
        """Who is let in by a policy may not change it."""
        bucket, s3, other = self.bucket(), self.as_user("owner"), self.as_user("other")
        s3.put_bucket_policy(
            Bucket=bucket, Policy=policy(statement("s3:*", bucket, {"AWS": "other"}))
        )
        self.refused("MethodNotAllowed", 405, other.delete_bucket_policy, Bucket=bucket)
        other.get_bucket_versioning(Bucket=bucket)

    def test_prefix(self) -> None:
        """A condition on the prefix lets list what begins so."""
        bucket, s3, other = self.bucket(), self.as_user("owner"), self.as_user("other")
        s3.put_bucket_policy(
            Bucket=bucket,
            Policy=policy(
                statement(
                    "s3:ListBucket",
                    bucket,
                    {"AWS": "arn:aws:iam::123456789012:user/other"},
                    Condition={"StringLike": {"s3:prefix": "${aws:username}/*"}},
                )
            ),
        )
        other.list_objects_v2(Bucket=bucket, Prefix="other/a")
        for given in ({}, {"Prefix": "owner/"}, {"Prefix": "*/"}):
            self.refused(
                "AccessDenied", 403, other.list_objects_v2, Bucket=bucket, **given
            )

    def test_address(self) -> None:
        """A condition on the address tells clients apart by where they are."""
        bucket, s3, other = self.bucket(), self.as_user("owner"), self.as_user("other")
        s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        for networks, allowed in ((["127.0.0.0/8"], True), (["10.0.0.0/8"], False)):
            s3.put_bucket_policy(
                Bucket=bucket,
                Policy=policy(
                    statement(
                        "s3:GetObject",
                        f"{bucket}/*",
                        Condition={"IpAddress": {"aws:SourceIp": networks}},
                    )
                ),
            )
            status = s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]
            self.assertFalse(status["IsPublic"])
            if allowed:
                other.get_object(Bucket=bucket, Key="a")
            else:
                self.refused(
                    "AccessDenied", 403, other.get_object, Bucket=bucket, Key="a"
                )

    def test_secure(self) -> None:
        """A condition may demand TLS."""
        bucket, s3 = self.bucket(), self.as_user("owner")
        s3.put_bucket_policy(
            Bucket=bucket,
            Policy=policy(
                statement(
                    "s3:PutObject",
                    f"{bucket}/*",
                    effect="Deny",
                    Condition={"Bool": {"aws:SecureTransport": "false"}},
                )
            ),
        )
        self.refused("AccessDenied", 403, s3.put_object, Bucket=bucket, Key="a")

    def test_tags(self) -> None:
        """Conditions on the tags that are there, and on those that shall be."""
        bucket, s3, other = self.bucket(), self.as_user("owner"), self.as_user("other")
        for key, tags in (("a", "level=public"), ("b", "level=secret"), ("c", "")):
            s3.put_object(Bucket=bucket, Key=key, Body=b"x", Tagging=tags)
        s3.put_bucket_policy(
            Bucket=bucket,
            Policy=policy(
                statement(
                    ["s3:GetObject", "s3:GetObjectTagging"],
                    f"{bucket}/*",
                    Condition={
                        "StringEquals": {"s3:ExistingObjectTag/level": "public"}
                    },
                ),
                statement(
                    ["s3:PutObject", "s3:PutObjectTagging"],
                    f"{bucket}/*",
                    Condition={"StringEquals": {"s3:RequestObjectTag/level": "public"}},
                ),
            ),
        )
        other.get_object(Bucket=bucket, Key="a")
        other.get_object_tagging(Bucket=bucket, Key="a")
        for key in ("b", "c", "none"):
            self.refused("AccessDenied", 403, other.get_object, Bucket=bucket, Key=key)
        other.put_object(Bucket=bucket, Key="d", Body=b"", Tagging="level=public")
        self.refused(
            "AccessDenied",
            403,
            other.put_object,
            Bucket=bucket,
            Key="d",
            Tagging="level=secret",
        )
        for level, code in (("public", ""), ("secret", "AccessDenied")):
            given = {
                "Bucket": bucket,
                "Key": "d",
                "Tagging": {"TagSet": [{"Key": "level", "Value": level}]},
            }
            if code:
                self.refused(code, 403, other.put_object_tagging, **given)
            else:
                other.put_object_tagging(**given)

    def test_tags_of_copies(self) -> None:
        """Who may not read the tags of an object does not get them by a copy."""
        bucket, s3, other = self.bucket(), self.as_user("owner"), self.as_user("other")
        s3.put_object(Bucket=bucket, Key="a", Body=b"x", Tagging="t=1")
        s3.put_object(Bucket=bucket, Key="b", Body=b"x")
        s3.put_bucket_policy(
            Bucket=bucket, Policy=policy(statement("s3:GetObject", f"{bucket}/*"))
        )
        target = self.bucket("other")
        other.copy_object(Bucket=target, Key="b", CopySource=f"{bucket}/b")
        self.refused(
            "AccessDenied",
            403,
            other.copy_object,
            Bucket=target,
            Key="a",
            CopySource=f"{bucket}/a",
        )
        other.copy_object(
            Bucket=target, Key="a", CopySource=f"{bucket}/a", TaggingDirective="REPLACE"
        )

    def test_copy_source(self) -> None:
        """A condition on the source of a copy."""
        bucket, s3, other = self.bucket(), self.as_user("owner"), self.as_user("other")
        source = self.bucket("other")
        for key in ("good/a", "bad/a"):
            other.put_object(Bucket=source, Key=key, Body=b"x")
        s3.put_bucket_policy(
            Bucket=bucket,
            Policy=policy(
                statement(
                    "s3:PutObject",
                    f"{bucket}/*",
                    Condition={
                        "StringLike": {"s3:x-amz-copy-source": f"{source}/good/*"}
                    },
                )
            ),
        )
        other.copy_object(Bucket=bucket, Key="a", CopySource=f"{source}/good/a")
        self.refused(
            "AccessDenied",
            403,
            other.copy_object,
            Bucket=bucket,
            Key="a",
            CopySource=f"{source}/bad/a",
        )
        self.refused("AccessDenied", 403, other.put_object, Bucket=bucket, Key="a")

    def test_malformed(self) -> None:
        """A policy that cannot be judged is refused, in AWS's words."""
        bucket, s3 = self.bucket(), self.as_user("owner")
        good = statement("s3:GetObject", f"{bucket}/*")
        for text, message in (
            ("", "Policies must be valid JSON and the first byte must be '{'"),
            ("{", "This policy contains invalid Json"),
            (policy({**good, "Effect": "Alow"}), "Invalid effect: Alow"),
            (policy({**good, "Action": "s3:Nothing"}), "Policy has invalid action"),
            (
                policy({**good, "Resource": "arn:aws:s3:::another/*"}),
                "Policy has invalid resource",
            ),
            (
                policy({**good, "Resource": f"arn:aws:s3:::{bucket}"}),
                "Action does not apply to any resource(s) in statement",
            ),
        ):
            if not text:
                continue
            answer = self.refused(
                "MalformedPolicy", 400, s3.put_bucket_policy, Bucket=bucket, Policy=text
            )
            self.assertEqual(answer["Error"]["Message"], message)
        self.refused("NoSuchBucketPolicy", 404, s3.get_bucket_policy, Bucket=bucket)

    def test_again(self) -> None:
        """A bucket that is made anew has nothing of the one before."""
        bucket, s3 = self.bucket(), self.as_user("owner")
        s3.put_bucket_policy(
            Bucket=bucket,
            Policy=policy(statement("s3:*", [bucket, f"{bucket}/*"], {"AWS": "other"})),
        )
        self.as_user("other").list_objects_v2(Bucket=bucket)
        s3.delete_bucket(Bucket=bucket)
        self.as_user("third").create_bucket(Bucket=bucket)
        for user in ("owner", "other"):
            self.refused(
                "AccessDenied", 403, self.as_user(user).list_objects_v2, Bucket=bucket
            )


class ConfigurationTests(AccessCase):
    """
    Versioning, ACL, attributes.
    """

    def test_versioning(self) -> None:
        """The status of versioning is kept; an object has one version, null."""
        bucket, s3 = self.bucket(), self.as_user("owner")
        self.assertNotIn("Status", s3.get_bucket_versioning(Bucket=bucket))
        for status in ("Enabled", "Suspended"):
            s3.put_bucket_versioning(
                Bucket=bucket, VersioningConfiguration={"Status": status}
            )
            self.assertEqual(s3.get_bucket_versioning(Bucket=bucket)["Status"], status)
        s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        [version] = s3.list_object_versions(Bucket=bucket)["Versions"]
        self.assertEqual((version["Key"], version["VersionId"]), ("a", "null"))
        s3.get_object(Bucket=bucket, Key="a", VersionId="null")
        self.refused(
            "NoSuchVersion", 404, s3.get_object, Bucket=bucket, Key="a", VersionId="x"
        )
        for method, target in (
            ("GET", f"/{bucket}?versionId=null"),
            ("PUT", f"/{bucket}/a?versionId=null"),
        ):
            answer = self.ask("owner", method, target)
            self.assertEqual((answer.status, answer.code), (400, "InvalidArgument"))
            self.assertIn(b"This operation does not accept a version-id.", answer.body)

    def test_acl(self) -> None:
        """The owner may do everything; an ACL that lets in others is refused."""
        bucket, s3 = self.bucket(), self.as_user("owner")
        s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        for got in (
            s3.get_bucket_acl(Bucket=bucket),
            s3.get_object_acl(Bucket=bucket, Key="a"),
        ):
            [grant] = got["Grants"]
            self.assertEqual(grant["Permission"], "FULL_CONTROL")
            self.assertEqual(grant["Grantee"]["ID"], got["Owner"]["ID"])
            same = {"Owner": got["Owner"], "Grants": got["Grants"]}
            s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy=same)
        s3.put_bucket_acl(Bucket=bucket, ACL="private")
        s3.put_object_acl(Bucket=bucket, Key="a", ACL="bucket-owner-full-control")
        for acl in ("public-read", "public-read-write", "authenticated-read"):
            self.refused(
                "AccessControlListNotSupported",
                400,
                s3.put_bucket_acl,
                Bucket=bucket,
                ACL=acl,
            )
            self.refused(
                "AccessControlListNotSupported",
                400,
                s3.put_object_acl,
                Bucket=bucket,
                Key="a",
                ACL=acl,
            )
        self.refused("NoSuchKey", 404, s3.get_object_acl, Bucket=bucket, Key="none")
        answer = self.ask("owner", "PUT", f"/{bucket}?acl")
        self.assertEqual((answer.status, answer.code), (400, "MissingSecurityHeader"))

    def test_attributes(self) -> None:
        """GetObjectAttributes gives what was asked for, and nothing else."""
        bucket, s3 = self.bucket(), self.as_user("owner")
        put = s3.put_object(
            Bucket=bucket, Key="a", Body=b"abc", ChecksumAlgorithm="SHA256"
        )
        got = s3.get_object_attributes(
            Bucket=bucket,
            Key="a",
            ObjectAttributes=["ETag", "Checksum", "ObjectSize", "StorageClass"],
        )
        self.assertEqual(got["ETag"], put["ETag"].strip('"'))
        self.assertEqual(got["ObjectSize"], 3)
        self.assertEqual(got["StorageClass"], "STANDARD")
        self.assertEqual(got["Checksum"]["ChecksumSHA256"], put["ChecksumSHA256"])
        self.assertIn("LastModified", got)
        got = s3.get_object_attributes(
            Bucket=bucket, Key="a", ObjectAttributes=["ETag"]
        )
        self.assertNotIn("ObjectSize", got)
        answer = self.ask("owner", "GET", f"/{bucket}/a?attributes")
        self.assertEqual((answer.status, answer.code), (400, "InvalidRequest"))


class CORSTests(AccessCase):
    """
    Requests from browsers.
    """

    RULES = [
        {
            "AllowedOrigins": ["https://*.example.com"],
            "AllowedMethods": ["GET", "PUT"],
            "AllowedHeaders": ["x-amz-*", "content-type"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": 600,
        },
        {"AllowedOrigins": ["*"], "AllowedMethods": ["HEAD"]},
    ]

    def setUp(self) -> None:
        super().setUp()
        self.name = self.bucket()
        self.mine = self.as_user("owner")

    def put_rules(self) -> None:
        self.mine.put_bucket_cors(
            Bucket=self.name, CORSConfiguration={"CORSRules": self.RULES}
        )

    def test_kept(self) -> None:
        """A configuration comes back as it was put, until it is deleted."""
        get = self.mine.get_bucket_cors
        self.refused("NoSuchCORSConfiguration", 404, get, Bucket=self.name)
        self.put_rules()
        self.assertEqual(get(Bucket=self.name)["CORSRules"], self.RULES)
        self.mine.delete_bucket_cors(Bucket=self.name)
        self.refused("NoSuchCORSConfiguration", 404, get, Bucket=self.name)

    def preflight(self, path: str = "/a", **headers: str) -> Answer:
        return self.wire().ask("OPTIONS", f"/{self.name}{path}", **headers)

    def test_preflight(self) -> None:
        """A preflight is answered by the first rule that lets the request through."""
        origin = "https://www.example.com"
        asks = {"origin": origin, "access_control_request_method": "PUT"}
        answer = self.preflight(**asks)
        self.assertEqual((answer.status, answer.code), (403, "AccessForbidden"))
        self.assertIn(b"CORS is not enabled for this bucket.", answer.body)
        self.put_rules()
        answer = self.preflight(
            **asks, access_control_request_headers="Content-Type, X-Amz-Date"
        )
        self.assertEqual(answer.status, 200)
        for name, value in (
            ("access-control-allow-origin", origin),
            ("access-control-allow-methods", "GET, PUT"),
            ("access-control-allow-headers", "content-type, x-amz-date"),
            ("access-control-expose-headers", "ETag"),
            ("access-control-max-age", "600"),
            ("access-control-allow-credentials", "true"),
            (
                "vary",
                "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
            ),
        ):
            self.assertEqual(answer.headers[name], value)
        for changed in (
            {"origin": "https://example.org"},
            {"access_control_request_method": "DELETE"},
            {"access_control_request_headers": "authorization"},
        ):
            answer = self.preflight(**{**asks, **changed})
            self.assertEqual((answer.status, answer.code), (403, "AccessForbidden"))
            self.assertNotIn("access-control-allow-origin", answer.headers)
        for missing in ({}, {"origin": origin}, {**asks, "origin": ""}):
            answer = self.preflight(**missing)
            self.assertEqual((answer.status, answer.code), (400, "BadRequest"))

    def test_presigned(self) -> None:
        """A preflight for a presigned URL is not asked who it is."""
        self.put_rules()
        url = self.mine.generate_presigned_url(
            "get_object", {"Bucket": self.name, "Key": "a"}
        )
        parts = urlsplit(url)
        answer = self.wire().ask(
            "OPTIONS",
            f"{parts.path}?{parts.query}",
            origin="https://a.example.com",
            access_control_request_method="GET",
        )
        self.assertEqual(answer.status, 200)

    def test_answers(self) -> None:
        """Every answer to a request with an origin says whether it may be read."""
        self.put_rules()
        self.mine.put_object(Bucket=self.name, Key="a", Body=b"x" * 100_000)
        target, origin = f"/{self.name}/a", {"origin": "https://a.example.com"}
        for user, status in (("owner", 200), ("other", 403), ("", 403)):
            for _ in range(2):
                answer = self.ask(user, "GET", target, headers=origin)
                self.assertEqual(answer.status, status)
                self.assertEqual(
                    answer.headers["access-control-allow-origin"], origin["origin"]
                )
                self.assertEqual(
                    answer.headers["access-control-expose-headers"], "ETag"
                )
        answer = self.ask("owner", "HEAD", target, headers={"origin": "null"})
        self.assertEqual(answer.headers["access-control-allow-origin"], "*")
        self.assertNotIn("access-control-allow-credentials", answer.headers)
        answer = self.ask("owner", "GET", target, headers={"origin": "https://a.org"})
        self.assertEqual(answer.status, 200)
        self.assertNotIn("access-control-allow-origin", answer.headers)
        self.assertIn("Origin", answer.headers["vary"])
        answer = self.ask("owner", "GET", target)
        self.assertNotIn("vary", answer.headers)


class PostTests(AccessCase):
    """
    Forms that browsers send.
    """

    def setUp(self) -> None:
        super().setUp()
        self.name = self.bucket()
        self.mine = self.as_user("owner")

    def form(
        self,
        fields: Mapping[str, str],
        data: bytes = b"data",
        file_name: str = "a.txt",
        after: bytes = b"",
        content_type: str = "multipart/form-data; boundary=XX",
    ) -> Answer:
        """Send a form."""
        parts = [
            f'--XX\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        body = (
            "".join(parts).encode("utf-8")
            + (
                f'--XX\r\nContent-Disposition: form-data; name="file"; '
                f'filename="{file_name}"\r\nContent-Type: text/x-file\r\n\r\n'
            ).encode()
        )
        body += data + b"\r\n" + after + b"--XX--\r\n"
        return self.wire().ask(
            "POST", f"/{self.name}", body, **{"content-type": content_type}
        )

    def signed(
        self,
        key: str,
        conditions: Sequence[Any] = (),
        user: str = "owner",
        **fields: str,
    ) -> dict[str, str]:
        """The fields of a form that a user signed."""
        made = self.as_user(user).generate_presigned_post(
            self.name, key, Fields=dict(fields), Conditions=[*conditions]
        )
        found: dict[str, str] = made["fields"]
        return found

    def test_upload(self) -> None:
        """A signed form stores its file, with what its fields say."""
        fields = self.signed(
            "up/${filename}",
            [
                {"Content-Type": "text/plain"},
                ["starts-with", "$x-amz-meta-a", ""],
                ["content-length-range", 1, 1 << 20],
                ["starts-with", "$tagging", ""],
            ],
            **{
                "Content-Type": "text/plain",
                "x-amz-meta-a": "ü",
                "tagging": "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag>"
                "</TagSet></Tagging>",
            },
        )
        data = b"\r\n--X" * 100_000 + b"\r"
        answer = self.form(fields, data, "C:\\folder\\ä b.txt")
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assertTrue(
            answer.headers["location"].endswith(f"/{self.name}/up%2F%C3%A4%20b.txt")
        )
        got = self.mine.get_object(Bucket=self.name, Key="up/ä b.txt")
        self.assertEqual(got["Body"].read(), data)
        self.assertEqual(got["ContentType"], "text/plain")
        self.assertEqual(got["ETag"], answer.headers["etag"])
        self.assertEqual(got["TagCount"], 1)

    def test_answers(self) -> None:
        """A form says what it wants to be answered."""
        for status, wanted in (("200", 200), ("201", 201), ("404", 204)):
            fields = self.signed(
                "a", [{"success_action_status": status}], success_action_status=status
            )
            answer = self.form(fields)
            self.assertEqual(answer.status, wanted)
            if wanted == 201:
                self.assertIn(b"<PostResponse><Location>", answer.body)
                self.assertIn(b"<Key>a</Key>", answer.body)
            else:
                self.assertEqual(answer.body, b"")
        url = "https://example.com/done?x=1"
        fields = self.signed(
            "a b/c",
            [["starts-with", "$success_action_redirect", ""]],
            success_action_redirect=url,
        )
        answer = self.form(fields)
        self.assertEqual(answer.status, 303)
        location = answer.headers["location"]
        self.assertTrue(location.startswith(url + "&bucket="))
        query = parse_qs(urlsplit(location).query)
        self.assertEqual(query["bucket"], [self.name])
        self.assertEqual(query["key"], ["a b/c"])
        self.assertEqual(query["etag"], ['"8d777f385d3dfec8815d20f7496026dc"'])

    def test_refused(self) -> None:
        """A form that its policy does not let through stores nothing."""
        good = self.signed("a", [["content-length-range", 2, 5]])
        broken = good["policy"][:-4]
        for changed, data, status, code in (
            ({"key": "b"}, b"data", 403, "AccessDenied"),
            ({"x-amz-meta-a": "b"}, b"data", 403, "AccessDenied"),
            ({}, b"x", 400, "EntityTooSmall"),
            ({}, b"123456", 400, "EntityTooLarge"),
            ({"policy": broken}, b"data", 403, "SignatureDoesNotMatch"),
            ({"x-amz-signature": "0" * 64}, b"data", 403, "SignatureDoesNotMatch"),
            (
                {"x-amz-credential": good["x-amz-credential"].replace("AK", "XX")},
                b"data",
                403,
                "InvalidAccessKeyId",
            ),
            ({"x-amz-date": "yesterday"}, b"data", 400, "InvalidArgument"),
            ({"AWSAccessKeyId": "AK"}, b"data", 400, "InvalidRequest"),
        ):
            answer = self.form({**good, **changed}, data)
            self.assertEqual((answer.status, answer.code), (status, code), changed)
        for name in good:
            fields = {k: v for k, v in good.items() if k != name}
            answer = self.form(fields)
            self.assertEqual(
                (answer.status, answer.code), (400, "InvalidArgument"), name
            )
            self.assertIn(b"Bucket POST must contain a field named", answer.body)
        self.assertEqual(self.mine.list_objects_v2(Bucket=self.name)["KeyCount"], 0)
        self.assertEqual(self.form(good).status, 204)

    def test_expired(self) -> None:
        """A policy that has expired lets nothing through."""
        made = self.mine.generate_presigned_post(self.name, "a", ExpiresIn=-10)
        answer = self.form(made["fields"])
        self.assertEqual((answer.status, answer.code), (403, "AccessDenied"))
        self.assertIn(b"Policy expired.", answer.body)

    def test_shape(self) -> None:
        """What is no form, or has no file, is refused for what it is."""
        fields = self.signed("a")
        answer = self.form(fields, content_type="text/html")
        self.assertEqual((answer.status, answer.code), (412, "PreconditionFailed"))
        answer = self.form(fields, content_type="multipart/form-data")
        self.assertEqual((answer.status, answer.code), (400, "MalformedPOSTRequest"))
        answer = self.form(fields, content_type="multipart/form-data; boundary=YY")
        self.assertEqual((answer.status, answer.code), (400, "MalformedPOSTRequest"))
        answer = self.form({**fields, "x-ignore-a": "x" * 30_000})
        self.assertEqual(
            (answer.status, answer.code), (400, "MaxPostPreDataLengthExceeded")
        )
        body = (
            b'--XX\r\nContent-Disposition: form-data; name="key"\r\n\r\na\r\n--XX--\r\n'
        )
        answer = self.wire().ask(
            "POST",
            f"/{self.name}",
            body,
            **{"content-type": "multipart/form-data; boundary=XX"},
        )
        self.assertEqual((answer.status, answer.code), (400, "InvalidArgument"))
        self.assertIn(b"POST requires exactly one file upload", answer.body)
        wire = self.wire()
        body = b'--XX\r\nContent-Disposition: form-data; name="file"\r\n\r\ncut'
        fields_part = "".join(
            f'--XX\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'
            for k, v in fields.items()
        ).encode()
        answer = wire.ask(
            "POST",
            f"/{self.name}",
            fields_part + body,
            **{"content-type": "multipart/form-data; boundary=XX"},
        )
        self.assertEqual((answer.status, answer.code), (400, "IncompleteBody"))
        self.assertEqual(self.mine.list_objects_v2(Bucket=self.name)["KeyCount"], 0)

    def test_who(self) -> None:
        """A form is let in as who signed it; one that nobody signed, as nobody."""
        answer = self.form(self.signed("a", user="other"))
        self.assertEqual((answer.status, answer.code), (403, "AccessDenied"))
        answer = self.form({"key": "a"})
        self.assertEqual((answer.status, answer.code), (403, "AccessDenied"))
        self.mine.put_bucket_policy(
            Bucket=self.name,
            Policy=policy(statement("s3:PutObject", f"{self.name}/inbox/*")),
        )
        answer = self.form({"key": "inbox/${filename}"})
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assertEqual(self.form(self.signed("inbox/b", user="other")).status, 204)
        answer = self.form({"key": "a"})
        self.assertEqual((answer.status, answer.code), (403, "AccessDenied"))
        keys = [
            each["Key"]
            for each in self.mine.list_objects_v2(Bucket=self.name)["Contents"]
        ]
        self.assertEqual(keys, ["inbox/a.txt", "inbox/b"])

    def test_after(self) -> None:
        """What follows the file in a form is ignored."""
        after = (
            b'--XX\r\nContent-Disposition: form-data; name="submit"\r\n\r\nUpload\r\n'
        )
        answer = self.form(self.signed("a"), after=after)
        self.assertEqual(answer.status, 204)
        got = self.mine.get_object(Bucket=self.name, Key="a")["Body"].read()
        self.assertEqual(got, b"data")


class SimpleTests(BlackboxCase):
    """
    Where signatures are not checked.
    """

    def test_everybody(self) -> None:
        """Everybody may do everything, unless a policy denies it."""
        bucket = self.bucket()
        mine, theirs = self.s3(), clients.boto3_client(self.daemon, user="somebody")
        theirs.put_object(Bucket=bucket, Key="a", Body=b"x")
        mine.put_bucket_policy(
            Bucket=bucket,
            Policy=policy(
                statement("s3:PutObject", f"{bucket}/*", {"AWS": "somebody"}, "Deny")
            ),
        )
        self.refused("AccessDenied", 403, theirs.put_object, Bucket=bucket, Key="a")
        self.assertEqual(theirs.get_object(Bucket=bucket, Key="a")["Body"].read(), b"x")
        mine.put_object(Bucket=bucket, Key="a", Body=b"y")
        self.assertEqual(
            theirs.get_bucket_acl(Bucket=bucket)["Owner"]["ID"], clients.USER
        )

    def test_form(self) -> None:
        """A form is from who it says, and held to its policy."""
        bucket = self.bucket()
        made = self.s3(signature_version="s3v4").generate_presigned_post(bucket, "a")
        for key, status in (("a", 204), ("b", 403)):
            parts = [
                f'--XX\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                for name, value in {**made["fields"], "key": key}.items()
            ]
            body = "".join(parts) + (
                '--XX\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--XX--\r\n'
            )
            answer = self.wire().ask(
                "POST",
                f"/{bucket}",
                body.encode(),
                **{"content-type": "multipart/form-data; boundary=XX"},
            )
            self.assertEqual(answer.status, status)
