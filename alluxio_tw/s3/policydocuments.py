"""
Bucket policies as documents, read into values.

Who a user is.  There are no AWS accounts here, so each user is an account of its
own whose ID is the user's name, which is also what C{Owner} says: C{alice},
C{arn:aws:iam::alice:root}, C{arn:aws:iam::123456789012:user/alice} and the
canonical user C{alice} are all the user alice.

What a policy says and we cannot judge is refused, never passed over.  The
messages are AWS's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from alluxio_tw.errors import MalformedPolicy
from alluxio_tw.s3.patterns import Pattern, glob
from alluxio_tw.s3.permissions import ACTIONS, BUCKET_ACTIONS, OBJECT_ACTIONS
from alluxio_tw.s3.policy import Effect, Policy, Principals, Statement
from alluxio_tw.s3.policyconditions import (
    EXISTING_TAG,
    LISTING_KEYS,
    REQUEST_TAG,
    VARIABLES,
    parse_conditions,
)

MAX_POLICY = 20 * 1024
"""Bytes of a policy, white space that means nothing left out."""

VERSIONS = ("2012-10-17", "2008-10-17")

_ARN = "arn:aws:s3:::"
_IAM = re.compile(r"arn:aws:iam::([^:/]*):(?:root|user/(?:[^/]*/)*([^/]+))")
_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{1,128}", re.ASCII)
_INVALID_JSON = "This policy contains invalid Json"
_LISTS = frozenset(("s3:ListBucket", "s3:ListBucketVersions"))
_LISTS_TOO = _LISTS | {"s3:ListBucketMultipartUploads"}


def parse_policy(data: bytes, bucket: str) -> Policy:
    """
    Read the policy of a bucket.

    :raises MalformedPolicy: it is none, or is not about this bucket.
    """
    document = _document(data)
    for name in document:
        if name not in ("Version", "Id", "Statement"):
            raise MalformedPolicy(f"Unknown field {name}")
    version = document.get("Version", VERSIONS[1])
    if version not in VERSIONS:
        raise MalformedPolicy("The policy must contain a valid version string")
    if "Statement" not in document:
        raise MalformedPolicy("Missing required field Statement")
    listed = document["Statement"]
    if isinstance(listed, dict):
        listed = [listed]
    if not isinstance(listed, list):
        raise MalformedPolicy(_INVALID_JSON)
    if not listed:
        raise MalformedPolicy("Could not parse the policy: Statement is empty!")
    names = [each["Sid"] for each in listed if isinstance(each, dict) and "Sid" in each]
    if len(set(map(str, names))) < len(names):
        raise MalformedPolicy("Statement IDs (SID) in a single policy must be unique.")
    statements = tuple(
        _statement(each, bucket, version == VERSIONS[0]) for each in listed
    )
    keys = [c.key for statement in statements for c in statement.conditions]
    return Policy(
        statements,
        any(key.startswith(EXISTING_TAG) for key in keys),
        any(
            key.startswith(REQUEST_TAG) or key == "s3:requestobjecttagkeys"
            for key in keys
        ),
    )


def _document(data: bytes) -> dict[str, Any]:
    text = data.strip()
    if text[:1] != b"{":
        raise MalformedPolicy(
            "Policies must be valid JSON and the first byte must be '{'"
        )
    try:
        document = json.loads(
            text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_constant
        )
    except (ValueError, RecursionError) as error:
        raise MalformedPolicy(_INVALID_JSON) from error
    assert isinstance(document, dict)
    if len(text) > MAX_POLICY:
        # Surrogates that were escaped are no text, but counted all the same.
        compact = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
        if len(compact.encode("utf-8", "surrogatepass")) > MAX_POLICY:
            raise MalformedPolicy("Policy exceeds the maximum allowed document size.")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        # Which of the two would count?
        raise ValueError
    return found


def _constant(text: str) -> None:
    raise ValueError


_ELEMENTS = frozenset(
    (
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    )
)


def _statement(given: Any, bucket: str, variables: bool) -> Statement:
    if not isinstance(given, dict):
        raise MalformedPolicy(_INVALID_JSON)
    for name in given:
        if name not in _ELEMENTS:
            raise MalformedPolicy(f"Unknown field {name}")
    for name in ("Principal", "Action", "Resource"):
        if name in given and f"Not{name}" in given:
            raise MalformedPolicy("Invalid policy syntax.")
    if not isinstance(given.get("Sid", ""), str):
        raise MalformedPolicy("Invalid policy syntax.")
    if "Effect" not in given:
        raise MalformedPolicy("Missing required field Effect")
    if given["Effect"] not in ("Allow", "Deny"):
        raise MalformedPolicy(f"Invalid effect: {given['Effect']}")
    effect = Effect(given["Effect"])
    principals = _principals(given, effect)
    actions = _actions(given)
    resources, inverted = _resources(given, bucket, variables)
    _check_kinds(actions, resources, inverted)
    conditions = parse_conditions(given.get("Condition", {}), variables)
    asked = {condition.key for condition in conditions}
    if asked & LISTING_KEYS and not actions & (
        _LISTS_TOO if asked & {"s3:prefix", "s3:delimiter"} else _LISTS
    ):
        raise MalformedPolicy(
            "Conditions do not apply to combination of actions and resources in "
            "statement"
        )
    return Statement(effect, principals, actions, resources, inverted, conditions)


def _strings(value: Any, error: str) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(each, str) for each in values):
        raise MalformedPolicy(error)
    return values


def _element(given: dict[str, Any], name: str) -> tuple[Any, bool]:
    """What an element or its opposite says, and whether it was the opposite."""
    if name in given:
        return given[name], False
    if f"Not{name}" in given:
        return given[f"Not{name}"], True
    raise MalformedPolicy(f"Missing required field {name}")


def _principals(given: dict[str, Any], effect: Effect) -> Principals:
    value, inverted = _element(given, "Principal")
    if inverted and effect is Effect.ALLOW:
        raise MalformedPolicy("Allow with NotPrincipal is not allowed.")
    if value == "*":
        return Principals(True, frozenset(), inverted)
    error = "Invalid principal in policy"
    if not isinstance(value, dict) or not value:
        raise MalformedPolicy(error)
    users: set[str] = set()
    everybody = False
    for kind, names in value.items():
        for name in _strings(names, error):
            if kind in ("AWS", "CanonicalUser") and name == "*":
                everybody = True
            elif kind == "AWS":
                users.add(_user(name))
            elif kind == "CanonicalUser" and _NAME.fullmatch(name):
                users.add(name)
            elif kind == "Service" and name:
                # A service of Amazon's: none of them comes here.
                pass
            else:
                raise MalformedPolicy(error, Detail=f'"{kind}" : "{name}"')
    return Principals(everybody, frozenset(users), inverted)


def _user(name: str) -> str:
    if _NAME.fullmatch(name):
        return name
    found = _IAM.fullmatch(name)
    user = "" if found is None else found[2] or found[1]
    if not _NAME.fullmatch(user):
        raise MalformedPolicy("Invalid principal in policy", Detail=f'"AWS" : "{name}"')
    return user


def _actions(given: dict[str, Any]) -> frozenset[str]:
    value, inverted = _element(given, "Action")
    error = "Policy has invalid action"
    found: set[str] = set()
    for text in _strings(value, error):
        matches = glob("s3:*" if text == "*" else text.lower())
        meant = [action for action in ACTIONS if matches(action.lower())]
        if not meant:
            raise MalformedPolicy(error)
        found.update(meant)
    return ACTIONS - found if inverted else frozenset(found)


def _resources(
    given: dict[str, Any], bucket: str, variables: bool
) -> tuple[tuple[Pattern, ...], bool]:
    value, inverted = _element(given, "Resource")
    error = "Policy has invalid resource"
    patterns = []
    for text in _strings(value, error):
        if text == "*":
            patterns.append(Pattern.of("*", None))
            continue
        if not text.startswith(_ARN):
            raise MalformedPolicy(error)
        path = text[len(_ARN) :]
        # It must be able to name this bucket, and may name its keys.
        if not glob(path.partition("/")[0])(bucket):
            raise MalformedPolicy(error)
        patterns.append(Pattern.of(path, VARIABLES if variables else None))
    return tuple(patterns), inverted


def _check_kinds(
    actions: frozenset[str], resources: Iterable[Pattern], inverted: bool
) -> None:
    """Some of the actions must be such as are done to some of the resources."""
    if inverted:
        return
    for pattern in resources:
        name, slash, _ = pattern.text.partition("/")
        # What ends in a star without a slash also means the keys.
        if (slash or name.endswith("*")) and actions & OBJECT_ACTIONS:
            return
        if not slash and actions & BUCKET_ACTIONS:
            return
    raise MalformedPolicy("Action does not apply to any resource(s) in statement")
