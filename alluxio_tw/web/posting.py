"""
PostObject: an upload from a form of a browser.

The form says who signed it and what they let others upload; both are judged when
the file begins, so a form that is refused costs no more than its fields.  The
order is S3's: the fields that must be there, the signature, the policy, what the
policy says; then whether who signed may do it at all.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import quote, urlencode, urlsplit

import attrs
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import (
    InvalidArgument,
    InvalidRequest,
    InvalidSecurityToken,
    KeyTooLong,
    MissingContentLength,
    PreconditionFailed,
)
from alluxio_tw.gateway.identity import Identity
from alluxio_tw.gateway.receiving import Incoming
from alluxio_tw.ibody import IBody, Piece
from alluxio_tw.iobjects import Attributes, Status
from alluxio_tw.s3 import configurations, documents, metadata, tags
from alluxio_tw.s3.checksums import DEFAULT, Digests, Promises
from alluxio_tw.s3.credential import ALGORITHM, Credential, parse_credential
from alluxio_tw.s3.forms import FormParser, boundary_of
from alluxio_tw.s3.path import MAX_KEY_LENGTH
from alluxio_tw.s3.postpolicy import ANYTHING, PostPolicy, is_ignored, parse_post_policy
from alluxio_tw.s3.sigv4 import mismatch, seconds_of, signature, signing_key
from alluxio_tw.s3.unbuilt import refuse_unbuilt
from alluxio_tw.web.authorization import OWNER
from alluxio_tw.web.call import Call
from alluxio_tw.web.reply import Headers, Reply
from alluxio_tw.web.writing import XML, checksum_headers

# In the order in which S3 misses them.
_SIGNED = (
    ("x-amz-algorithm", "X-Amz-Algorithm"),
    ("x-amz-credential", "X-Amz-Credential"),
    ("x-amz-date", "X-Amz-Date"),
    ("x-amz-signature", "X-Amz-Signature"),
)
_SIGNATURE_FIELDS = frozenset(name for name, _ in _SIGNED) | {"x-amz-security-token"}
_CONTENT_FIELDS = frozenset(
    (
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-md5",
        "content-type",
        "expires",
    )
)
_FILENAME = "${filename}"


@implementer(IBody)
@attrs.define
class FormFile:
    """
    The file of a form, as it comes.
    """

    _body: IBody
    _parser: FormParser
    policy: PostPolicy = ANYTHING
    length: int | None = None
    _begun: bytes = b""
    _size: int = 0
    _over: bool = False

    async def begin(self) -> None:
        """
        Read until the file begins.

        :raises GatewayError: as L{FormParser} does.
        """
        while self._parser.file is None:
            piece = None if self._parser.whole else await self._body.read()
            if piece is None:
                # Which raises, there being no file.
                self._parser.finish()
            assert isinstance(piece, (bytes, memoryview))
            self._begun = self._parser.feed(bytes(piece))

    @deferred
    async def read(self) -> Piece | None:
        if self._begun:
            data, self._begun = self._begun, b""
            return self._counted(data)
        while not self._parser.whole:
            piece = await self._body.read()
            if piece is None:
                self._parser.finish()
            assert isinstance(piece, (bytes, memoryview))
            data = self._parser.feed(bytes(piece))
            if data:
                return self._counted(data)
        if not self._over:
            self._over = True
            self.policy.check_size(self._size, whole=True)
        return None

    def _counted(self, data: bytes) -> bytes:
        self._size += len(data)
        self.policy.check_size(self._size, whole=False)
        return data

    def close(self) -> None:
        self._body.close()


async def post_object(call: Call) -> Reply:
    """PostObject."""
    boundary = boundary_of(call.headers.get(b"content-type", b""))
    if boundary is None:
        raise PreconditionFailed(
            Condition="Bucket POST must be of the enclosure-type multipart/form-data"
        )
    if call.request.body is None:
        raise MissingContentLength()
    parser = FormParser(boundary)
    file = FormFile(call.request.body, parser)
    await file.begin()
    assert parser.file is not None
    fields = _filled(parser.fields, parser.file.name)
    key = _key(fields)
    call.request.key = key
    file.policy = _authenticate(call, fields)
    if file.policy is not ANYTHING:
        file.policy.check({**fields, "bucket": call.bucket}, call.gateway.clock())

    headers = _headers(fields)
    wanted = _attributes(call, headers, fields)
    await _permit(call, key, headers, wanted)
    promises = Promises.from_headers(headers)
    also = () if promises.algorithm else (DEFAULT,)
    coming = Incoming(file, None, Digests(promises, also=also), wanted)
    status = await call.gateway.objects.put(call.bucket, key, coming)
    return _answer(call, key, fields, status)


# --- what it says ------------------------------------------------------------------


def _filled(fields: Mapping[str, str], file_name: str | None) -> dict[str, str]:
    """The fields with the file's name in them, if it has one."""
    if file_name is None:
        return dict(fields)
    # Browsers have been known to send the whole path.
    name = file_name.replace("\\", "/").rpartition("/")[2]
    return {
        field: value
        if field == "policy" or field in _SIGNATURE_FIELDS
        else value.replace(_FILENAME, name)
        for field, value in fields.items()
    }


def _missing(name: str) -> InvalidArgument:
    return InvalidArgument(
        f"Bucket POST must contain a field named '{name}'.  If it is specified, "
        "please check the order of the fields.",
        ArgumentName=name,
        ArgumentValue="",
    )


def _key(fields: Mapping[str, str]) -> str:
    key = fields.get("key")
    if key is None:
        raise _missing("key")
    if not key or "\0" in key:
        raise InvalidArgument(
            "User key must have a length greater than 0."
            if not key
            else "The key must not contain a NUL.",
            ArgumentName="key",
            ArgumentValue=key,
        )
    size = len(key.encode("utf-8"))
    if size > MAX_KEY_LENGTH:
        raise KeyTooLong(Size=str(size), MaxSizeAllowed=str(MAX_KEY_LENGTH))
    return key


def _headers(fields: Mapping[str, str]) -> dict[bytes, bytes]:
    """The fields as the headers that a PUT would have."""
    headers: dict[bytes, bytes] = {}
    for field, value in fields.items():
        if is_ignored(field) or field in _SIGNATURE_FIELDS:
            continue
        if field == "acl":
            field = "x-amz-acl"
        elif not (
            field in _CONTENT_FIELDS
            or (field.startswith("x-amz-") and field != "x-amz-tagging")
        ):
            continue
        headers[field.encode("utf-8")] = value.encode("utf-8")
    return headers


def _attributes(
    call: Call, headers: Mapping[bytes, bytes], fields: Mapping[str, str]
) -> Attributes:
    refuse_unbuilt(headers)
    rules = call.gateway.rules
    wanted = metadata.parse_attributes(headers, rules.metadata_limit)
    tagging = fields.get("tagging")
    if tagging is None:
        return wanted
    chosen = tags.check_tags(
        configurations.parse_tagging(tagging.encode("utf-8")),
        tags.OBJECT_TAGS,
        rules.tagging_restricted,
    )
    return attrs.evolve(wanted, tags=chosen)


# --- who may -----------------------------------------------------------------------


def _authenticate(call: Call, fields: Mapping[str, str]) -> PostPolicy:
    """
    Find out who signed the form, and what they let it do.

    A form that is not signed is from whoever sent it.
    """
    if "awsaccesskeyid" in fields or "signature" in fields:
        raise InvalidRequest(
            "The authorization mechanism you have provided is not supported. "
            "Please use AWS4-HMAC-SHA256."
        )
    if not any(name in fields for name, _ in _SIGNED):
        return ANYTHING
    for name, shown in (*_SIGNED, ("policy", "Policy")):
        if name not in fields:
            raise _missing(shown)
    if fields["x-amz-algorithm"].encode("utf-8") != ALGORITHM:
        raise InvalidArgument(
            'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"',
            ArgumentName="X-Amz-Algorithm",
            ArgumentValue=fields["x-amz-algorithm"],
        )
    date = fields["x-amz-date"]
    if seconds_of(date.encode("utf-8")) is None:
        raise InvalidArgument(
            "X-Amz-Date must be formated via ISO8601 Long format",
            ArgumentName="X-Amz-Date",
            ArgumentValue=date,
        )
    credential = _credential(fields["x-amz-credential"], call)
    keys = call.gateway.keys
    if keys is None:
        identity = Identity(credential.access_key, credential.access_key)
    else:
        key = keys.find(credential.access_key)
        text = fields["policy"].encode("utf-8")
        provided = fields["x-amz-signature"].encode("utf-8")
        secret = signing_key(key.secret, credential.date, credential.region)
        if not hmac.compare_digest(signature(secret, text), provided.lower()):
            raise mismatch(credential, provided, text)
        if "x-amz-security-token" in fields:
            raise InvalidSecurityToken()
        identity = key.identity
    call.request.identity = identity
    call.request.user = call.user = identity.user
    return parse_post_policy(fields["policy"])


def _credential(text: str, call: Call) -> Credential:
    try:
        return parse_credential(
            text.encode("utf-8"), call.gateway.rules.signed_region, InvalidArgument, ""
        )
    except InvalidArgument as error:
        raise InvalidArgument(
            error.message,
            ArgumentName="X-Amz-Credential",
            ArgumentValue=text,
            **error.fields,
        ) from error


async def _permit(
    call: Call, key: str, headers: Mapping[bytes, bytes], wanted: Attributes
) -> None:
    """
    May who signed it put such an object?

    :raises AccessDenied: no.
    """
    authorization = call.gateway.authorization
    if authorization.free(call.request, call.bucket):
        return
    await authorization.check_owner(call, OWNER, call.bucket)
    values = authorization.circumstances(
        call.request, call.query, call.gateway.buckets.standing(call.bucket)
    )
    values.headers = {**headers, **_of_client(call.headers)}
    values.form = True
    values.new_tags = wanted.tags
    needed = ["s3:PutObject"]
    if wanted.tags:
        needed.append("s3:PutObjectTagging")
    if b"x-amz-acl" in headers:
        needed.append("s3:PutObjectAcl")
    for action in needed:
        await authorization.require(call, action, call.bucket, key, values)


def _of_client(headers: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    return {n: headers[n] for n in (b"referer", b"user-agent") if n in headers}


# --- the answer --------------------------------------------------------------------


def _answer(call: Call, key: str, fields: Mapping[str, str], status: Status) -> Reply:
    location = f"{call.url.rstrip('/')}/{quote(key, safe='')}"
    headers: Headers = [
        (b"ETag", b'"%b"' % status.etag.encode()),
        (b"Location", location.encode("ascii", "replace")),
        *checksum_headers(status),
    ]
    redirect = fields.get("success_action_redirect") or fields.get("redirect", "")
    if _is_url(redirect):
        query = urlencode(
            {"bucket": call.bucket, "key": key, "etag": f'"{status.etag}"'}
        )
        target = f"{redirect}{'&' if '?' in redirect else '?'}{query}"
        headers[1] = (b"Location", target.encode("utf-8"))
        return Reply(303, headers)
    code = fields.get("success_action_status")
    if code == "201":
        return Reply(
            201,
            [*headers, *XML],
            documents.post_object(location, call.bucket, key, status.etag),
        )
    return Reply(200 if code == "200" else 204, headers)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)
