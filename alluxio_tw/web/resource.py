"""
The leaf that serves S3: which operation, who asks, and the answer.

A request goes one of two ways.  What can be answered without waiting, which is
a GET or HEAD of an object that is at hand, is answered within C{render}, without
a coroutine being made.  Everything else becomes a L{Call} for one of the
functions in L{OPERATIONS<alluxio_tw.web.operations.OPERATIONS>}.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from alluxio_tw.asking import in_name_of
from alluxio_tw.errors import (
    CallerError,
    GatewayError,
    InvalidArgument,
    InvalidRange,
    MethodNotAllowed,
    ObjectChanged,
    Overloaded,
    PreconditionFailed,
)
from alluxio_tw.gateway.identity import ANONYMOUS
from alluxio_tw.s3.faults import Fault, error_document, fault_of
from alluxio_tw.s3.path import (
    PATH_STYLE,
    Addressing,
    BucketPath,
    ObjectPath,
    Target,
    parse_target,
)
from alluxio_tw.s3.permissions import OWN, VERSIONED
from alluxio_tw.s3.routing import OPERATIONS as ROUTES
from alluxio_tw.s3.routing import allowed_methods, route
from alluxio_tw.web import reply
from alluxio_tw.web.admission import UNITS, Admission, Pass, client_of
from alluxio_tw.web.authentication import Identify
from alluxio_tw.web.call import Call, Gateway
from alluxio_tw.web.operations import OPERATIONS, Function, not_built
from alluxio_tw.web.passing import hand_on, passes
from alluxio_tw.web.preflight import cross
from alluxio_tw.web.reading import answer, get_object
from alluxio_tw.web.request import Request

MEMO = 4096
"""How many request targets are remembered."""

MEMO_LENGTH = 512
"""Longer ones are not: they are read again."""

CLIENT_GONE = 499
"""The status of what nobody was there to be answered; for metrics and the log."""

OUT_OF_DATE = (ObjectChanged, PreconditionFailed, InvalidRange)
"""Errors that come about when what is known of an object is not so any more."""

GET_OBJECT = ROUTES["GetObject"].name
HEAD_OBJECT = ROUTES["HeadObject"].name
PREFLIGHT = ROUTES["Preflight"]


@implementer(IResource)
class S3Resource:
    """
    Serves S3 at the root of an edge.
    """

    isLeaf = True

    def __init__(
        self,
        gateway: Gateway,
        identify: Identify,
        admission: Admission,
        addressing: Addressing = PATH_STYLE,
    ) -> None:
        self._admission = admission
        self._gateway = gateway
        self._objects = gateway.objects
        self._identify = identify
        self._authorization = gateway.authorization
        self._addressing = addressing
        self._hosted = bool(addressing.domains)
        self._targets: dict[bytes, Target] = {}

    def getChildWithDefault(self, name: bytes, request: Any) -> IResource:
        """Required of a resource; a leaf is not asked."""
        return self

    def putChild(self, path: bytes, child: IResource) -> None:
        """Required of a resource; a leaf has none."""
        raise TypeError("S3 is a leaf.")

    def render(self, request: Any) -> int:
        """Answer, now or later."""
        try:
            self._serve(request)
        except GatewayError:
            self.answer_error(request, Failure())
        return NOT_DONE_YET

    def _serve(self, request: Request) -> None:
        target = self._target(request)
        headers = request.headers
        method = request.method
        identity = None
        free = False
        authorization = self._authorization
        if isinstance(target, ObjectPath):
            request.bucket = bucket = target.bucket
            request.key = target.key
            if b"origin" in headers and method != b"OPTIONS":
                cross(self._gateway, request, bucket)
            if not target.query and (method == b"GET" or method == b"HEAD"):
                request.operation = GET_OBJECT if method == b"GET" else HEAD_OBJECT
                identity = request.identity = self._identify(request, target)
                request.user = identity.user
                free = authorization.free(request, bucket)
                if free or authorization.reads(request, target):
                    reading = self._objects.glance(bucket, target.key)
                    if reading is not None:
                        answer(request, reading, target.query)
                        return
        elif isinstance(target, BucketPath):
            request.bucket = target.bucket
            if b"origin" in headers and method != b"OPTIONS":
                cross(self._gateway, request, target.bucket)
        try:
            operation = route(method, target, b"x-amz-copy-source" in headers)
        except MethodNotAllowed:
            request.operation = "Unknown"
            raise
        name = request.operation = operation.name
        passing = False
        if identity is None and target.query:
            passing = passes(self._gateway, request, target, name)
        if passing:
            identity = request.identity = ANONYMOUS
        if identity is None:
            # Of a preflight nobody is asked: browsers do not sign it.
            identity = request.identity = (
                ANONYMOUS if operation is PREFLIGHT else self._identify(request, target)
            )
            request.user = identity.user
            if request.bucket:
                free = authorization.free(request, request.bucket)
        if "versionId" in target.query and name not in VERSIONED:
            raise InvalidArgument(
                "This operation does not accept a version-id.",
                ArgumentName="versionId",
                ArgumentValue=target.query["versionId"] or "",
            )
        function = OPERATIONS.get(name, not_built)
        if passing:
            function = hand_on
        elif not free or name not in OWN:
            function = authorization.guard(function)
        call = Call(
            request, target, operation, self._gateway, identity.user, request.signer
        )
        client = client_of(request)
        turn = self._admission.enter(client, UNITS[operation.name])
        if isinstance(turn, Pass):
            self._work(turn, call, function)
            return
        if request.body is not None:
            # What comes of it meanwhile stays with the sender.
            request.connection.hold()
        request.on_lost = lambda reason: turn.cancel()
        turn.addCallbacks(
            self._work, self._failed, (call, function), {}, (request,), {}
        )

    def _work(self, admitted: Pass, call: Call, function: Function) -> None:
        request = call.request
        request.admitted = admitted
        request.on_lost = None
        with in_name_of(client_of(request)):
            work: Deferred[reply.Reply | None] = Deferred.fromCoroutine(function(call))
        if not (call.operation.writes or work.called):
            # What was written stays written: a write is not called off half
            # way because nobody waits for the answer any more.
            request.on_lost = lambda reason: work.cancel()
        work.addCallbacks(self._answer, self._failed, (request,), {}, (request,), {})

    def _answer(self, result: reply.Reply | None, request: Request) -> None:
        if result is not None:
            request.on_lost = None
            reply.write(request, result)

    def _failed(self, failure: Failure, request: Request) -> None:
        request.on_lost = None
        if request.connection.lost:
            reply.send(request, CLIENT_GONE, b"", b"")
            return
        reply.fault(request, failure)

    def _read_again(self, request: Request, error: BaseException) -> bool:
        """
        Answer a GET or HEAD once more from the beginning, of which nothing has left
        yet, if the object may have been changed behind our back.

        It was, if that showed when it was read; what was known of it is forgotten by
        then.  It may have been, if the client wants a version or bytes that we do not
        know of: from a listing, perhaps, which is the storage's own.  Only once: one
        that changes ever again is for the client to wait for.
        """
        if request.again or request.operation not in (GET_OBJECT, HEAD_OBJECT):
            return False
        if not isinstance(error, ObjectChanged) and not self._objects.doubt(
            request.bucket, request.key, perf_counter() - request.started
        ):
            return False
        request.again = True
        target = self._target(request)
        function: Function = get_object
        if not self._authorization.free(request, request.bucket):
            # Its tags may be others as well.
            function = self._authorization.guard(function)
        identity = request.identity
        call = Call(
            request,
            target,
            ROUTES[request.operation],
            self._gateway,
            identity.user,
            request.signer,
        )
        with in_name_of(client_of(request)):
            work: Deferred[reply.Reply | None] = Deferred.fromCoroutine(function(call))
        if not work.called:
            request.on_lost = lambda reason: work.cancel()
        work.addCallbacks(self._answer, self._failed, (request,), {}, (request,), {})
        return True

    def _target(self, request: Request) -> Target:
        raw = request.target
        if self._hosted:
            return parse_target(raw, request.headers.get(b"host"), self._addressing)
        target = self._targets.get(raw)
        if target is None:
            target = parse_target(raw, request.headers.get(b"host"), self._addressing)
            if len(raw) <= MEMO_LENGTH:
                if len(self._targets) >= MEMO:
                    self._targets.clear()
                self._targets[raw] = target
        return target

    # --- errors ------------------------------------------------------------------

    def answer_error(self, request: Request, failure: Failure) -> None:
        """Word an error as S3 does; the only place where that is done."""
        error = failure.value or Overloaded()
        if isinstance(error, OUT_OF_DATE) and self._read_again(request, error):
            return
        found: Fault = fault_of(error)
        if found.status >= 500 and not isinstance(error, (CallerError, Overloaded)):
            request.connection.site.log_failure(error)
        request.error = found.code
        headers: reply.Headers = []
        if isinstance(error, MethodNotAllowed):
            headers.append((b"Allow", self._allowed(request)))
        if found.status == 503:
            headers.append((b"Retry-After", b"1"))
        if found.status == 416 and isinstance(error, GatewayError):
            size = error.fields.get("ActualObjectSize", "*")
            headers.append((b"Content-Range", b"bytes */%b" % size.encode()))
        if request.method == b"HEAD":
            headers.append((b"Content-Type", b"application/xml"))
            reply.write(request, reply.Reply(found.status, headers))
            return
        site = request.connection.site
        headers.append((b"Content-Type", b"application/xml"))
        document = error_document(
            error, self._resource(request), request.id, site.host_id
        )
        reply.write(request, reply.Reply(found.status, headers, document))

    def _allowed(self, request: Request) -> bytes:
        try:
            return ", ".join(allowed_methods(self._target(request))).encode()
        except GatewayError:
            return b""

    def _resource(self, request: Request) -> str:
        if request.key:
            return f"/{request.bucket}/{request.key}"
        if request.bucket:
            return f"/{request.bucket}"
        return request.target.partition(b"?")[0].decode("utf-8", "replace") or "/"
