"""
The policies of forms.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    AccessDenied,
    EntityTooLarge,
    EntityTooSmall,
    GatewayError,
    InvalidPolicyDocument,
)
from alluxio_tw.s3.postpolicy import PostPolicy, parse_post_policy
from alluxio_tw.s3.sigv4 import signature, signing_key

EXPIRES = "2030-01-01T00:00:00Z"
NOW = 1_800_000_000.0

# Developer Guide, "Example: Browser-Based Upload using HTTP POST".
AWS_POLICY = (
    "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6"
    "IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRo"
    "IiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAg"
    "IHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5h"
    "bWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwg"
    "IiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUx"
    "MjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0s"
    "DQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16"
    "LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3"
    "czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwN"
    "CiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9"
)


def encoded(document: Any) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def read(*conditions: Any) -> PostPolicy:
    return parse_post_policy(encoded({"expiration": EXPIRES, "conditions": conditions}))


class CheckingTests(SynchronousTestCase):
    """
    What a policy lets through.
    """

    def test_vector(self) -> None:
        """The example of AWS's documents is signed and read as they say."""
        key = signing_key(
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20151229", "us-east-1"
        )
        self.assertEqual(
            signature(key, AWS_POLICY.encode()),
            b"8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
        )
        policy = parse_post_policy(AWS_POLICY)
        fields = {
            "bucket": "sigv4examplebucket",
            "key": "user/user1/a",
            "acl": "public-read",
            "success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/"
            "successful_upload.html",
            "content-type": "image/jpeg",
            "x-amz-meta-uuid": "14365123651274",
            "x-amz-server-side-encryption": "AES256",
            "x-amz-meta-tag": "",
            "x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request",
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-date": "20151229T000000Z",
            "policy": AWS_POLICY,
            "x-amz-signature": "any",
        }
        policy.check(fields, 1_451_000_000)
        error = self.assertRaises(AccessDenied, policy.check, fields, 1_451_476_800)
        self.assertEqual(error.message, "Invalid according to Policy: Policy expired.")

    def test_conditions(self) -> None:
        """Names are compared by any case, values are not."""
        for condition, value, holds in (
            ({"Key": "a"}, "a", True),
            ({"key": "a"}, "A", False),
            (["eq", "$KEY", "a"], "a", True),
            (["EQ", "$key", "a"], "ab", False),
            (["Starts-With", "$key", "a/"], "a/b", True),
            (["starts-with", "$key", "a/"], "b", False),
            (["starts-with", "$key", ""], "b", True),
            (["eq", "key", "a"], "a", False),
        ):
            policy = read(condition)
            if holds:
                policy.check({"key": value}, NOW)
            else:
                error = self.assertRaises(
                    AccessDenied, policy.check, {"key": value}, NOW
                )
                self.assertIn("Policy Condition failed: [", error.message)

    def test_types(self) -> None:
        """Of a list of content types each must begin so."""
        policy = read(["starts-with", "$Content-Type", "image/"])
        policy.check({"content-type": "image/png, image/gif"}, NOW)
        for value in ("text/plain", "image/png,text/plain"):
            self.assertRaises(AccessDenied, policy.check, {"content-type": value}, NOW)

    def test_absent(self) -> None:
        """A condition on a field that is not there does not hold."""
        self.assertRaises(
            AccessDenied, read(["starts-with", "$acl", ""]).check, {}, NOW
        )

    def test_extra(self) -> None:
        """Every field must be named, but for those that say nothing."""
        policy = read({"bucket": "b"})
        fields = {"bucket": "b", "policy": "", "x-amz-signature": "", "x-ignore-a": ""}
        policy.check(fields, NOW)
        error = self.assertRaises(
            AccessDenied, policy.check, {**fields, "x-amz-meta-a": ""}, NOW
        )
        self.assertEqual(
            error.message,
            "Invalid according to Policy: Extra input fields: x-amz-meta-a",
        )

    def test_bucket(self) -> None:
        """A form that was signed for no bucket is good for none."""
        policy = read(["starts-with", "$key", ""])
        fields = {"bucket": "b", "key": "k", "policy": "", "x-amz-signature": ""}
        error = self.assertRaises(AccessDenied, policy.check, fields, NOW)
        self.assertEqual(
            error.message, "Invalid according to Policy: Extra input fields: bucket"
        )

    def test_sizes(self) -> None:
        """The file must be as large as is said, bounds included."""
        for policy in (
            read(["content-length-range", 5, 10]),
            read(["content-length-range", "5", "10"]),
            read(["content-length-range", 0, 10], ["content-length-range", 5, 99]),
        ):
            policy.check_size(4, whole=False)
            policy.check_size(5, whole=True)
            policy.check_size(10, whole=True)
            small = self.assertRaises(EntityTooSmall, policy.check_size, 4, True)
            self.assertEqual(small.fields, {"ProposedSize": "4", "MinSizeAllowed": "5"})
            large = self.assertRaises(EntityTooLarge, policy.check_size, 11, False)
            self.assertEqual(
                large.fields, {"ProposedSize": "11", "MaxSizeAllowed": "10"}
            )


class ReadingTests(SynchronousTestCase):
    """
    What is no policy.
    """

    def test_refused(self) -> None:
        """What cannot be read is refused for what it is."""
        good = {"expiration": EXPIRES, "conditions": []}
        for document, message in (
            ([], "Invalid JSON."),
            ({**good, "Version": 1}, "Unexpected: 'version'"),
            ({"EXPIRATION": EXPIRES, "conditions": []}, "Unexpected: 'expiration'"),
            ({"conditions": []}, "Policy missing expiration."),
            ({"expiration": EXPIRES}, "Policy missing conditions."),
            (
                {**good, "expiration": "tomorrow"},
                "Invalid 'expiration' value: 'tomorrow'",
            ),
            (
                {**good, "expiration": "2030-02-30T00:00:00Z"},
                "Invalid 'expiration' value: '2030-02-30T00:00:00Z'",
            ),
            ({**good, "conditions": {}}, "Invalid 'conditions' value: must be a List."),
            (
                {**good, "conditions": [{}]},
                "Invalid Simple-Condition: Simple-Conditions must have exactly one "
                "property specified.",
            ),
            (
                {**good, "conditions": [{"a": 1}]},
                "Invalid Simple-Condition: value must be a string.",
            ),
            (
                {**good, "conditions": [[]]},
                "Invalid Condition: missing operation identifier.",
            ),
            (
                {**good, "conditions": [["ends-with", "$key", "a"]]},
                "Invalid Condition: unknown operation 'ends-with'.",
            ),
            (
                {**good, "conditions": [["eq", "$key"]]},
                "Invalid eq: wrong number of arguments.",
            ),
            (
                {**good, "conditions": [["content-length-range", 0]]},
                "Invalid content-length-range: wrong number of arguments.",
            ),
            (
                {**good, "conditions": [["content-length-range", 0, 1.5]]},
                "Invalid JSON.",
            ),
            (
                {**good, "conditions": ["eq"]},
                "Invalid condition: must be a List or Object.",
            ),
        ):
            error = self.assertRaises(
                InvalidPolicyDocument, parse_post_policy, encoded(document)
            )
            self.assertEqual(error.message, f"Invalid Policy: {message}")
        self.assertRaises(
            InvalidPolicyDocument,
            parse_post_policy,
            encoded({**good, "conditions": [["content-length-range", -1, 0]]}),
        )
        for text in ("", "?", "e30", encoded("")[:-2], "W" * 9000):
            self.assertRaises(InvalidPolicyDocument, parse_post_policy, text)

    @given(
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats()
            | st.text("$key", max_size=5)
            | st.sampled_from(["eq", "starts-with", "content-length-range", "$key"]),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from(["key", "expiration", "conditions"]), inner
                )
            ),
            max_leaves=12,
        )
    )
    def test_anything(self, document: Any) -> None:
        """Whatever comes is read or refused, never anything else."""
        for each in (document, {"expiration": EXPIRES, "conditions": document}):
            try:
                parse_post_policy(encoded(each)).check({"key": "a"}, NOW)
            except GatewayError:
                pass
