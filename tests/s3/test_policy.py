"""
Bucket policies: reading and judging.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import MalformedPolicy
from alluxio_tw.s3.circumstances import Circumstances
from alluxio_tw.s3.policy import Effect, Policy
from alluxio_tw.s3.policydocuments import MAX_POLICY, parse_policy

ALLOW, DENY, NONE = Effect.ALLOW, Effect.DENY, Effect.NONE
GOOD: Mapping[str, Any] = {
    "Effect": "Allow",
    "Principal": "*",
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::b/*",
}


def values(**changed: Any) -> Circumstances:
    """A request."""
    given: dict[str, Any] = {
        "user": "alice",
        "headers": {},
        "query": {},
        "address": "10.1.2.3",
        "secure": True,
        "now": 1_800_000_000.0,
        "owner": "owner",
    }
    return Circumstances(**{**given, **changed})


def read(*statements: Mapping[str, Any], version: str = "2012-10-17") -> Policy:
    document = {"Version": version, "Statement": statements}
    return parse_policy(json.dumps(document).encode(), "b")


class JudgingTests(SynchronousTestCase):
    """
    What a policy says of a request.
    """

    def judge(
        self,
        policy: Policy,
        user: str = "alice",
        action: str = "s3:GetObject",
        resource: str = "b/k",
        **more: Any,
    ) -> Effect:
        return policy.judge(user, action, resource, values(user=user, **more))

    def test_effects(self) -> None:
        """A denial wins over an allowance, wherever they stand."""
        denies = {**GOOD, "Effect": "Deny", "Resource": "arn:aws:s3:::b/no/*"}
        for policy in (read(GOOD, denies), read(denies, GOOD)):
            self.assertIs(self.judge(policy), ALLOW)
            self.assertIs(self.judge(policy, resource="b/no/k"), DENY)
            self.assertIs(self.judge(policy, action="s3:PutObject"), NONE)
            self.assertIs(self.judge(policy, resource="b"), NONE)

    def test_principals(self) -> None:
        """A user is named in several ways, everybody in two."""
        for principal, users in (
            ("*", ("alice", "bob", "")),
            ({"AWS": "*"}, ("alice", "bob", "")),
            ({"AWS": "alice"}, ("alice",)),
            ({"AWS": ["alice", "bob"]}, ("alice", "bob")),
            ({"AWS": "arn:aws:iam::alice:root"}, ("alice",)),
            ({"AWS": "arn:aws:iam::123456789012:user/alice"}, ("alice",)),
            ({"AWS": "arn:aws:iam::123456789012:user/team/x/alice"}, ("alice",)),
            ({"CanonicalUser": "bob"}, ("bob",)),
            ({"Service": "logging.s3.amazonaws.com"}, ()),
        ):
            policy = read({**GOOD, "Principal": principal})
            for user in ("alice", "bob", "", "user/alice", "123456789012"):
                wanted = ALLOW if user in users or (users[2:]) else NONE
                self.assertIs(self.judge(policy, user), wanted, (principal, user))

    def test_not_principal(self) -> None:
        """A denial to all but some denies it to nobody in particular too."""
        given = {k: v for k, v in GOOD.items() if k != "Principal"}
        policy = read({**given, "Effect": "Deny", "NotPrincipal": {"AWS": "alice"}})
        self.assertIs(self.judge(policy, "alice"), NONE)
        self.assertIs(self.judge(policy, "bob"), DENY)
        self.assertIs(self.judge(policy, ""), DENY)

    def test_actions(self) -> None:
        """Actions are matched with wildcards, by any case."""
        for action, matches in (
            ("s3:GetObject", True),
            ("S3:getobject", True),
            ("s3:Get*", True),
            ("s3:*", True),
            ("*", True),
            (["s3:PutObject", "s3:GetObjec?"], True),
            ("s3:GetObjectTagging", False),
        ):
            policy = read({**GOOD, "Action": action})
            self.assertIs(self.judge(policy), ALLOW if matches else NONE, action)

    def test_inversions(self) -> None:
        """All actions but some, and all resources but some."""
        given = {k: v for k, v in GOOD.items() if k not in ("Action", "Resource")}
        policy = read(
            {
                **given,
                "NotAction": "s3:Put*",
                "NotResource": "arn:aws:s3:::b/secret/*",
            }
        )
        self.assertIs(self.judge(policy), ALLOW)
        self.assertIs(self.judge(policy, action="s3:PutObject"), NONE)
        self.assertIs(self.judge(policy, resource="b/secret/k"), NONE)

    def test_resources(self) -> None:
        """A resource is the bucket or what is in it, with wildcards."""
        for resource, path, matches in (
            ("arn:aws:s3:::b/*", "b/a/b", True),
            ("arn:aws:s3:::b/a?c", "b/abc", True),
            ("arn:aws:s3:::b/a", "b/ab", False),
            ("arn:aws:s3:::*", "b/a", True),
            ("*", "b/a", True),
            ("arn:aws:s3:::b*", "b/a", True),
            ("arn:aws:s3:::*/a", "b/a", True),
        ):
            policy = read({**GOOD, "Resource": resource})
            wanted = ALLOW if matches else NONE
            self.assertIs(self.judge(policy, resource=path), wanted, (resource, path))

    def condition(self, block: Any, version: str = "2012-10-17", **more: Any) -> bool:
        policy = read(
            {
                **GOOD,
                "Action": ["s3:GetObject", "s3:ListBucket"],
                "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
                "Condition": block,
            },
            version=version,
        )
        return self.judge(policy, **more) is ALLOW

    def test_conditions(self) -> None:
        """Each operator, of what is there and of what is not."""
        prefixed = {"query": {"prefix": "home/a"}}
        tagged = {"tags": {"k": "v", "K": "w"}}
        for operator, key, wanted, more, holds in (
            ("StringEquals", "s3:prefix", "home/a", prefixed, True),
            ("StringEquals", "S3:Prefix", ["x", "home/a"], prefixed, True),
            ("StringEquals", "s3:prefix", "home/*", prefixed, False),
            ("StringEquals", "s3:prefix", "home/a", {}, False),
            ("StringNotEquals", "s3:prefix", ["x", "home/a"], prefixed, False),
            ("StringNotEquals", "s3:prefix", "x", {}, True),
            ("StringEqualsIfExists", "s3:prefix", "x", {}, True),
            ("StringEqualsIfExists", "s3:prefix", "x", prefixed, False),
            ("StringEqualsIgnoreCase", "s3:prefix", "HOME/A", prefixed, True),
            ("StringNotEqualsIgnoreCase", "s3:prefix", "HOME/A", prefixed, False),
            ("StringLike", "s3:prefix", "home/*", prefixed, True),
            ("StringNotLike", "s3:prefix", "home/*", prefixed, False),
            (
                "NumericLessThanEquals",
                "s3:max-keys",
                "10",
                {"query": {"max-keys": "10"}},
                True,
            ),
            (
                "NumericLessThan",
                "s3:max-keys",
                10,
                {"query": {"max-keys": "10"}},
                False,
            ),
            ("NumericEquals", "s3:max-keys", 10, {"query": {"max-keys": "x"}}, False),
            ("IpAddress", "aws:SourceIp", "10.0.0.0/8", {}, True),
            ("IpAddress", "aws:SourceIp", ["192.168.0.0/16", "10.1.2.3"], {}, True),
            ("NotIpAddress", "aws:SourceIp", "10.0.0.0/8", {}, False),
            (
                "IpAddress",
                "aws:SourceIp",
                "10.0.0.0/8",
                {"address": "::ffff:10.0.0.1"},
                True,
            ),
            (
                "IpAddress",
                "aws:SourceIp",
                "2001:db8::/32",
                {"address": "2001:db8::1"},
                True,
            ),
            ("IpAddress", "aws:SourceIp", "0.0.0.0/0", {"address": "-"}, False),
            ("Bool", "aws:SecureTransport", "true", {}, True),
            ("Bool", "aws:SecureTransport", True, {"secure": False}, False),
            ("DateGreaterThan", "aws:CurrentTime", "2027-01-01T00:00:00Z", {}, True),
            ("DateLessThan", "aws:CurrentTime", "2027-01-01T00:00:00Z", {}, False),
            ("NumericGreaterThan", "aws:EpochTime", "1700000000", {}, True),
            ("Null", "s3:prefix", "true", {}, True),
            ("Null", "s3:prefix", True, prefixed, False),
            ("Null", "s3:prefix", "false", prefixed, True),
            ("StringEquals", "aws:username", "alice", {}, True),
            ("StringLike", "aws:username", "*", {"user": ""}, False),
            ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:user/alice", {}, True),
            ("StringEquals", "s3:ExistingObjectTag/k", "v", tagged, True),
            ("StringEquals", "s3:ExistingObjectTag/K", "v", tagged, False),
            (
                "StringEquals",
                "s3:RequestObjectTag/k",
                "v",
                {"headers": {b"x-amz-tagging": b"k=v"}},
                True,
            ),
            (
                "StringEquals",
                "s3:x-amz-acl",
                "private",
                {"headers": {b"x-amz-acl": b"private"}},
                True,
            ),
            (
                "StringLike",
                "aws:Referer",
                "http://x/*",
                {"headers": {b"referer": b"http://x/y"}},
                True,
            ),
            ("StringLikeIfExists", "aws:Referer", "http://x/*", {}, True),
            (
                "StringEquals",
                "s3:x-amz-copy-source",
                "s/a b",
                {"headers": {b"x-amz-copy-source": b"/s/a%20b"}},
                True,
            ),
            (
                "StringEquals",
                "s3:x-amz-copy-source",
                "/s/a",
                {"headers": {b"x-amz-copy-source": b"s/a"}},
                True,
            ),
            (
                "StringNotEquals",
                "s3:x-amz-copy-source",
                "s/a",
                {"headers": {b"x-amz-copy-source": b"/s/a"}},
                False,
            ),
            ("StringEquals", "s3:ResourceAccount", "owner", {}, True),
            (
                "StringEquals",
                "s3:authType",
                "REST-HEADER",
                {"headers": {b"authorization": b"x"}},
                True,
            ),
            ("StringEquals", "s3:authType", "POST", {"form": True}, True),
        ):
            self.assertIs(
                self.condition({operator: {key: wanted}}, **more),
                holds,
                (operator, key, wanted, more),
            )

    def test_several(self) -> None:
        """Of several conditions all must hold."""
        block = {
            "StringLike": {"s3:prefix": "a*", "aws:username": "alice"},
            "Bool": {"aws:SecureTransport": "true"},
        }
        self.assertTrue(self.condition(block, query={"prefix": "ab"}))
        self.assertFalse(self.condition(block, query={"prefix": "ab"}, secure=False))
        self.assertFalse(self.condition(block, query={"prefix": "ab"}, user="bob"))

    def test_sets(self) -> None:
        """Of a key with several values, any or every one must be as is said."""
        keys = "s3:RequestObjectTagKeys"

        def holds(operator: str, tags: bytes) -> bool:
            headers = {b"x-amz-tagging": tags} if tags else {}
            return self.condition({operator: {keys: ["a", "b"]}}, headers=headers)

        for operator, expected in (
            ("ForAllValues:StringEquals", (True, True, False, False)),
            ("ForAnyValue:StringEquals", (False, True, True, False)),
            ("ForAnyValue:StringNotEquals", (False, False, True, True)),
        ):
            for tags, wanted in zip(
                (b"", b"a=1&b=2", b"a=1&c=2", b"c=1"), expected, strict=True
            ):
                self.assertIs(holds(operator, tags), wanted, (operator, tags))

    def test_variables(self) -> None:
        """Policies of 2012 have variables, those of 2008 have not."""
        block = {"StringEquals": {"s3:prefix": "${aws:username}"}}
        asked = {"prefix": "alice"}
        self.assertTrue(self.condition(block, query=asked))
        self.assertFalse(self.condition(block, query=asked, user="bob"))
        self.assertFalse(self.condition(block, "2008-10-17", query=asked))
        own = read({**GOOD, "Resource": "arn:aws:s3:::b/${aws:username}/*"})
        self.assertIs(self.judge(own, resource="b/alice/k"), ALLOW)
        self.assertIs(self.judge(own, "*", resource="b/alice/k"), NONE)
        self.assertIs(self.judge(own, "", resource="b//k"), NONE)

    def test_public(self) -> None:
        """Public is what gives something to everybody, wherever they are."""
        for changed, public in (
            ({}, True),
            ({"Principal": {"AWS": "alice"}}, False),
            ({"Effect": "Deny"}, False),
            ({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, False),
            ({"Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}}, True),
            ({"Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, True),
            ({"Condition": {"StringEquals": {"aws:username": "alice"}}}, False),
            ({"Condition": {"StringLike": {"aws:username": "a*"}}}, True),
            ({"Condition": {"StringLike": {"aws:Referer": "http://x/*"}}}, True),
        ):
            policy = read({**GOOD, **changed})
            self.assertIs(policy.is_public(), public, changed)


class ReadingTests(SynchronousTestCase):
    """
    What is no policy.
    """

    def refused(self, data: bytes) -> str:
        error: MalformedPolicy = self.assertRaises(
            MalformedPolicy, parse_policy, data, "b"
        )
        return error.message

    def test_messages(self) -> None:
        """What is wrong is said as AWS says it."""
        for changed, message in (
            ({"Effect": None}, "Missing required field Effect"),
            ({"Effect": "allow"}, "Invalid effect: allow"),
            ({"Principal": None}, "Missing required field Principal"),
            ({"Principal": "alice"}, "Invalid principal in policy"),
            ({"Principal": {}}, "Invalid principal in policy"),
            ({"Principal": {"AWS": []}}, "Invalid principal in policy"),
            ({"Principal": {"AWS": "a b"}}, "Invalid principal in policy"),
            (
                {"Principal": {"AWS": "arn:aws:iam::1:role/x"}},
                "Invalid principal in policy",
            ),
            ({"Principal": {"Federated": "x"}}, "Invalid principal in policy"),
            ({"Action": None}, "Missing required field Action"),
            ({"Action": "GetObject"}, "Policy has invalid action"),
            ({"Action": "s3:GetObjects"}, "Policy has invalid action"),
            ({"Action": []}, "Policy has invalid action"),
            ({"Resource": None}, "Missing required field Resource"),
            ({"Resource": "b/*"}, "Policy has invalid resource"),
            ({"Resource": "arn:aws:s3:::c/*"}, "Policy has invalid resource"),
            (
                {"Resource": "arn:aws:s3:::b"},
                "Action does not apply to any resource(s) in statement",
            ),
            (
                {"Action": "s3:ListBucket"},
                "Action does not apply to any resource(s) in statement",
            ),
            (
                {"Condition": {"StringLikes": {"s3:prefix": "a"}}},
                "Invalid Condition type : StringLikes",
            ),
            (
                {"Condition": {"StringLike": {"s3:nothing": "a"}}},
                "Policy has an invalid condition key",
            ),
            (
                {"Condition": {"StringLike": {"aws:SourceVpc": "a"}}},
                "Policy has an invalid condition key",
            ),
            (
                {"Condition": {"StringLike": {"s3:prefix": "a"}}},
                "Conditions do not apply to combination of actions and resources in "
                "statement",
            ),
            (
                {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0"}}},
                "Invalid IP Address or Range: 10.0.0",
            ),
            ({"NotAction": "s3:GetObject"}, "Invalid policy syntax."),
            ({"Conditions": {}}, "Unknown field Conditions"),
        ):
            given = {k: v for k, v in {**GOOD, **changed}.items() if v is not None}
            document = {"Version": "2012-10-17", "Statement": [given]}
            self.assertEqual(self.refused(json.dumps(document).encode()), message)

    def test_documents(self) -> None:
        """What is wrong with the whole is said as well."""
        for data, message in (
            (b"", "Policies must be valid JSON and the first byte must be '{'"),
            (b"[]", "Policies must be valid JSON and the first byte must be '{'"),
            (b"{", "This policy contains invalid Json"),
            (b'{"a":NaN}', "This policy contains invalid Json"),
            (b'{"Id":1,"Id":2}', "This policy contains invalid Json"),
            (b'{"Id":"\xff"}', "This policy contains invalid Json"),
            (b'{"Id":' + b"[" * 10_000, "This policy contains invalid Json"),
            (b"{}", "Missing required field Statement"),
            (b'{"Statement":[]}', "Could not parse the policy: Statement is empty!"),
            (b'{"Statement":1}', "This policy contains invalid Json"),
            (b'{"Statement":[1]}', "This policy contains invalid Json"),
            (b'{"Foo":1,"Statement":[]}', "Unknown field Foo"),
            (
                b'{"Version":"2013","Statement":[]}',
                "The policy must contain a valid version string",
            ),
        ):
            self.assertEqual(self.refused(data), message, data[:50])
        twice = {"Statement": [{**GOOD, "Sid": "a"}, {**GOOD, "Sid": "a"}]}
        self.assertIn("must be unique", self.refused(json.dumps(twice).encode()))
        allows = {k: v for k, v in GOOD.items() if k != "Principal"}
        document = {"Statement": {**allows, "NotPrincipal": "*"}}
        self.assertIn("NotPrincipal", self.refused(json.dumps(document).encode()))

    def test_size(self) -> None:
        """A policy has its bound; white space does not count."""
        document: dict[str, Any] = {"Statement": [GOOD], "Id": ""}
        rest = len(json.dumps(document, separators=(",", ":")))
        document["Id"] = "x" * (MAX_POLICY - rest)
        parse_policy(json.dumps(document, indent=40).encode(), "b")
        document["Id"] += "x"
        self.assertIn("exceeds", self.refused(json.dumps(document).encode()))

    @given(
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.text("s3:*b/Get", max_size=8)
            | st.sampled_from(
                ["Allow", "Deny", "*", "arn:aws:s3:::b/*", "s3:GetObject"]
            ),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            *GOOD,
                            "Version",
                            "Statement",
                            "Condition",
                            "AWS",
                            "StringLike",
                            "Null",
                            "s3:prefix",
                            "NotAction",
                        ]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=20,
        )
    )
    def test_anything(self, document: Any) -> None:
        """Whatever comes is read or refused, never anything else."""
        for data in (
            document,
            {"Statement": document},
            {
                "Statement": [
                    {**GOOD, **document} if isinstance(document, dict) else document
                ]
            },
        ):
            try:
                policy = parse_policy(json.dumps(data).encode(), "b")
            except MalformedPolicy:
                continue
            policy.judge("alice", "s3:GetObject", "b/k", values())
