from __future__ import annotations

from urllib.parse import urlsplit

import botocore.session
from botocore.serialize import create_serializer
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    GatewayError,
    InvalidArgument,
    InvalidRequest,
    MethodNotAllowed,
)
from alluxio_tw.s3.path import Kind, parse_target
from alluxio_tw.s3.routing import OPERATIONS, Operation, allowed_methods, route

# Older names of the same calls.
ALIASES = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
}

SUBRESOURCES = (
    "acl",
    "cors",
    "delete",
    "lifecycle",
    "location",
    "policy",
    "retention",
    "select",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versioning",
    "website",
)


def routed(method: str, raw: str, copies: bool = False) -> Operation:
    return route(method.encode(), parse_target(raw.encode()), copies)


class RoutingTests(SynchronousTestCase):
    def test_every_operation_of_the_api_reference(self) -> None:
        """Every call that botocore can make is known by its name."""
        model = botocore.session.get_session().get_service_model("s3")
        serializer = create_serializer("rest-xml", include_validation=False)
        seen = set()
        for name in model.operation_names:
            call = model.operation_model(name)
            shape = call.input_shape
            required = shape.required_members if shape else ()
            # Buckets and keys, and whatever stands in the query.
            arguments = {
                member: {"Bucket": "b-b", "Key": "k"}.get(member, "1")
                for member in required
                if shape is not None
                and shape.members[member].serialization.get("location")
                in ("uri", "querystring")
            }
            if name == "WriteGetObjectResponse":
                arguments["RequestRoute"] = "r"
            request = serializer.serialize_to_request(arguments, call)
            parts = [f"{k}={v}" for k, v in request["query_string"].items()]
            split = urlsplit(request["url_path"])
            query = "&".join(filter(None, [split.query, *parts]))
            raw = f"{split.path}?{query}"
            expected = ALIASES.get(name, name)
            if name == "ListDirectoryBuckets":
                raw = "/?max-directory-buckets=1"
            operation = routed(
                request["method"], raw, copies=name in ("CopyObject", "UploadPartCopy")
            )
            self.assertEqual(operation.name, expected)
            seen.add(expected)
        # What is no call of an SDK.
        self.assertEqual(set(OPERATIONS) - seen, {"PostObject", "Preflight"})

    def test_copies(self) -> None:
        """The copy source header makes a put a copy, and nothing else."""
        for raw, plain, copying in (
            ("/b/k", "PutObject", "CopyObject"),
            ("/b/k?partNumber=1&uploadId=u", "UploadPart", "UploadPartCopy"),
            ("/b/k?acl", "PutObjectAcl", "PutObjectAcl"),
            ("/b", "CreateBucket", "CreateBucket"),
        ):
            self.assertEqual(routed("PUT", raw).name, plain)
            self.assertEqual(routed("PUT", raw, copies=True).name, copying)
        self.assertEqual(routed("GET", "/b/k", copies=True).name, "GetObject")

    def test_unknown_parameters_are_ignored(self) -> None:
        """Parameters that select nothing leave the plain operation, whatever they are."""
        for method, raw, name in (
            ("GET", "/b/k?x-id=GetObject&foo", "GetObject"),
            ("GET", "/b/k?partNumber=1", "GetObject"),
            ("GET", "/b/k?versionId=null&response-expires=x", "GetObject"),
            ("GET", "/b/k?metrics&policyStatus", "GetObject"),
            ("HEAD", "/b/k?analytics", "HeadObject"),
            ("DELETE", "/b/k?Tagging", "DeleteObject"),
            ("GET", "/b?Versions", "ListObjects"),
            ("GET", "/b?list-type=1", "ListObjects"),
            ("GET", "/b?list-type=2", "ListObjectsV2"),
            ("GET", "/?acl", "ListBuckets"),
            ("GET", "/b?versioning=1", "GetBucketVersioning"),
            ("GET", "/b?versioning=", "GetBucketVersioning"),
        ):
            self.assertEqual(routed(method, raw).name, name, raw)

    def test_a_subresource_never_falls_back(self) -> None:
        """No method that a subresource lacks reaches the plain operation."""
        for method, raw, resource in (
            ("DELETE", "/b?acl", "ACL"),
            ("DELETE", "/b?versions", "BUCKETVERSIONS"),
            ("PUT", "/b?policyStatus", "POLICY_STATUS"),
            ("PUT", "/b/k?cors", "CORS"),
            ("PUT", "/b/k?metrics", "METRICS"),
            ("DELETE", "/b/k?versioning", "VERSIONING"),
            ("DELETE", "/b/k?retention", "RETENTION"),
            ("HEAD", "/b/k?acl", "ACL"),
            ("HEAD", "/b?location", "LOCATION"),
            ("GET", "/b?torrent", "TORRENT"),
            ("PUT", "/b/k?uploads", "UPLOADS"),
            ("PUT", "/b/k?uploadId=1", "UPLOAD"),
            ("POST", "/b/k", "OBJECT"),
            ("POST", "/", "SERVICE"),
            ("PUT", "/", "SERVICE"),
            ("PATCH", "/b/k", "OBJECT"),
            ("FOO", "/b", "BUCKET"),
        ):
            error = self.assertRaises(MethodNotAllowed, routed, method, raw)
            self.assertEqual(
                dict(error.fields), {"Method": method, "ResourceType": resource}, raw
            )

    def test_of_buckets(self) -> None:
        """What is asked of a bucket is refused of a key, in words of its own."""
        for raw in ("/b/k?uploads", "/b/k?versions"):
            error = self.assertRaises(InvalidRequest, routed, "GET", raw)
            self.assertIn(raw[5:], error.message)

    def test_allowed_methods(self) -> None:
        """A refused method is answered with those that there are."""
        for raw, methods in (
            ("/", ("GET",)),
            ("/b", ("DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT")),
            ("/b/k", ("DELETE", "GET", "HEAD", "OPTIONS", "PUT")),
            ("/b?acl", ("GET", "PUT")),
            ("/b/k?torrent", ("GET",)),
            ("/b/k?cors", ()),
        ):
            self.assertEqual(allowed_methods(parse_target(raw.encode())), methods)

    def test_two_subresources(self) -> None:
        """Two subresources are refused by name, in the order of the alphabet."""
        for method, raw, names in (
            ("GET", "/b?versioning&acl", "acl, versioning"),
            ("GET", "/b/k?partNumber=1&tagging", "partNumber, tagging"),
            ("PUT", "/b/k?uploadId=u&partNumber=1&tagging", "tagging, uploadId"),
        ):
            error = self.assertRaises(InvalidArgument, routed, method, raw)
            self.assertEqual(
                error.message, f"Conflicting query string parameters: {names}"
            )
            self.assertEqual(error.fields["ArgumentName"], "ResourceType")
            self.assertEqual(error.fields["ArgumentValue"], names.partition(",")[0])

    def test_parts_need_an_upload_and_a_key(self) -> None:
        """A part without its upload, or of no key, is refused."""
        self.assertRaises(InvalidArgument, routed, "PUT", "/b/k?partNumber=1")
        self.assertRaises(InvalidArgument, routed, "PUT", "/b/k?partNumber=1", True)
        self.assertRaises(InvalidRequest, routed, "GET", "/b?partNumber=1")
        self.assertRaises(InvalidRequest, routed, "DELETE", "/b?uploadId=u")

    def test_preflight(self) -> None:
        """A preflight is one whatever the query says."""
        for raw in ("/b", "/b/k", "/b/k?acl&uploads", "/b?partNumber=1"):
            self.assertEqual(routed("OPTIONS", raw).name, "Preflight")

    def test_flags(self) -> None:
        """What an operation does and takes can be told from it."""
        for name, kind, writes, body in (
            ("ListBuckets", Kind.SERVICE, False, False),
            ("GetObject", Kind.OBJECT, False, False),
            ("PutObject", Kind.OBJECT, True, True),
            ("CopyObject", Kind.OBJECT, True, False),
            ("DeleteObjects", Kind.BUCKET, True, True),
            ("SelectObjectContent", Kind.OBJECT, False, True),
        ):
            operation = OPERATIONS[name]
            self.assertEqual(
                (operation.kind, operation.writes, operation.body), (kind, writes, body)
            )

    def test_log_names(self) -> None:
        """The server access log's names are those that AWS writes."""
        for name, log_name in (
            ("GetObject", "REST.GET.OBJECT"),
            ("ListObjectsV2", "REST.GET.BUCKET"),
            ("ListObjectVersions", "REST.GET.BUCKETVERSIONS"),
            ("CopyObject", "REST.COPY.OBJECT"),
            ("UploadPart", "REST.PUT.PART"),
            ("CreateMultipartUpload", "REST.POST.UPLOADS"),
            ("CompleteMultipartUpload", "REST.POST.UPLOAD"),
            ("DeleteObjects", "REST.POST.MULTI_OBJECT_DELETE"),
            ("GetBucketPolicy", "REST.GET.BUCKETPOLICY"),
            ("ListBuckets", "REST.GET.SERVICE"),
        ):
            self.assertEqual(OPERATIONS[name].log_name, log_name)

    @given(
        st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "X"]),
        st.sampled_from(["/", "/b", "/b/k", "/WriteGetObjectResponse"]),
        st.lists(st.sampled_from([*SUBRESOURCES, "foo", "partNumber"]), max_size=3),
        st.booleans(),
    )
    def test_no_query_breaks_it(
        self, method: str, path: str, names: list[str], copies: bool
    ) -> None:
        """Every request is an operation of its kind, or refused; reads stay reads."""
        try:
            operation = routed(method, f"{path}?{'&'.join(names)}", copies)
        except GatewayError:
            return
        if method in ("GET", "HEAD", "OPTIONS"):
            self.assertFalse(operation.writes)
        plain = {"CreateBucket", "DeleteBucket", "PutObject", "DeleteObject"}
        if operation.name in plain:
            self.assertTrue(set(names).isdisjoint(SUBRESOURCES))
