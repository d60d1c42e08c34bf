"""
The policy of a form (POST policy): what whoever signed it lets others upload.

It must name every field of the form; each of its conditions must hold of the
fields as they are sent, C{${filename}} filled in (Developer Guide, "POST Policy").
Where AWS's documents and its answers differ, this follows the answers: a
condition that does not hold is C{AccessDenied}, a policy that cannot be read
C{InvalidPolicyDocument}, one on a field that is not there does not hold.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import attrs

from alluxio_tw.errors import (
    AccessDenied,
    EntityTooLarge,
    EntityTooSmall,
    InvalidPolicyDocument,
)

_EXPIRATION = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?Z", re.ASCII
)
_RANGE = "content-length-range"

# Fields that no condition need name.  The bucket is no field, but must be named: a form
# that was signed for one would do for all.
_UNNAMED = frozenset(("policy", "x-amz-signature", "file"))
_IGNORED = "x-ignore-"


def is_ignored(field: str) -> bool:
    """Is a field one that means nothing to us?"""
    return field.startswith(_IGNORED)


def _bad(what: str) -> InvalidPolicyDocument:
    return InvalidPolicyDocument(f"Invalid Policy: {what}")


@attrs.frozen
class FormCondition:
    """
    One condition.

    :ivar operator: C{eq} or C{starts-with}.
    :ivar field: in lower case.
    :ivar shown: as it is shown when it does not hold.
    """

    operator: str
    field: str
    value: str
    shown: str

    def holds(self, fields: Mapping[str, str]) -> bool:
        """Does it hold of these fields?"""
        given = fields.get(self.field)
        if given is None:
            return False
        if self.operator == "eq":
            return given == self.value
        # Of a list of types, each must begin so.
        several = given.split(",") if self.field == "content-type" else [given]
        return all(each.strip().startswith(self.value) for each in several)


@attrs.frozen
class PostPolicy:
    """
    The policy of a form.

    :ivar expires: seconds since the epoch.
    :ivar least: bytes of the file.
    :ivar most: likewise; L{None} for any.
    """

    expires: float
    conditions: tuple[FormCondition, ...]
    least: int = 0
    most: int | None = None

    def check(self, fields: Mapping[str, str], now: float) -> None:
        """
        Does it let a form through, as far as the file does not matter?

        :param fields: by lower-case name, C{bucket} the one that is asked for.
        :raises AccessDenied: it does not, and why.
        """
        if now >= self.expires:
            raise AccessDenied("Invalid according to Policy: Policy expired.")
        for condition in self.conditions:
            if not condition.holds(fields):
                raise AccessDenied(
                    "Invalid according to Policy: Policy Condition failed: "
                    + condition.shown
                )
        named = {condition.field for condition in self.conditions}
        extra = [
            field
            for field in fields
            if field not in named and field not in _UNNAMED and not is_ignored(field)
        ]
        if extra:
            raise AccessDenied(
                "Invalid according to Policy: Extra input fields: " + ", ".join(extra)
            )

    def check_size(self, size: int, whole: bool) -> None:
        """
        Does it let a file of so many bytes through?

        :param whole: that is all of it; otherwise it may become larger.
        :raises EntityTooLarge: it is too large.
        :raises EntityTooSmall: it is too small, and whole.
        """
        if self.most is not None and size > self.most:
            raise EntityTooLarge(ProposedSize=str(size), MaxSizeAllowed=str(self.most))
        if whole and size < self.least:
            raise EntityTooSmall(ProposedSize=str(size), MinSizeAllowed=str(self.least))


ANYTHING = PostPolicy(float("inf"), ())
"""The policy of a form that has none: of whom need not sign."""


def parse_post_policy(text: str) -> PostPolicy:
    """
    Read the C{policy} field: JSON in base64.

    :raises InvalidPolicyDocument: it is none.
    """
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
        document = json.loads(data.decode("utf-8"), parse_constant=_constant)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _bad("Invalid JSON.") from error
    if not isinstance(document, dict):
        raise _bad("Invalid JSON.")
    for name in document:
        if name not in ("expiration", "conditions"):
            raise _bad(f"Unexpected: '{name.lower()}'")
    if "expiration" not in document:
        raise _bad("Policy missing expiration.")
    if "conditions" not in document:
        raise _bad("Policy missing conditions.")
    expires = _expiration(document["expiration"])
    listed = document["conditions"]
    if not isinstance(listed, list):
        raise _bad("Invalid 'conditions' value: must be a List.")
    least, most = 0, None
    conditions = []
    for each in listed:
        if isinstance(each, list) and each and _operator(each[0]) == _RANGE:
            low, high = _range(each)
            least = max(least, low)
            most = high if most is None else min(most, high)
        else:
            conditions.append(_condition(each))
    return PostPolicy(expires, tuple(conditions), least, most)


def _constant(text: str) -> None:
    raise ValueError


def _operator(given: Any) -> str:
    if not isinstance(given, str):
        raise _bad("Invalid Condition: missing operation identifier.")
    return given.lower()


def _expiration(given: Any) -> float:
    found = _EXPIRATION.fullmatch(given) if isinstance(given, str) else None
    try:
        if found is None:
            raise ValueError
        moment = datetime.fromisoformat(found[1]).replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise _bad(f"Invalid 'expiration' value: '{given}'") from error
    return moment.timestamp() + float(found[2] or 0)


def _range(given: list[Any]) -> tuple[int, int]:
    if len(given) != 3:
        raise _bad(f"Invalid {_RANGE}: wrong number of arguments.")
    bounds = []
    for bound in given[1:]:
        if isinstance(bound, float):
            raise _bad("Invalid JSON.")
        digits = str(bound)
        if isinstance(bound, bool) or not digits.isascii() or not digits.isdigit():
            if isinstance(bound, str):
                # It is read only when it is looked at, and lets nothing through.
                raise AccessDenied(
                    "Invalid according to Policy: Policy Condition failed: "
                    + json.dumps(given)
                )
            raise _bad(f"Invalid {_RANGE}: the bounds must be numbers from nought.")
        if len(digits) > 19:
            raise _bad("Invalid JSON.")
        bounds.append(int(digits))
    return bounds[0], bounds[1]


def _condition(given: Any) -> FormCondition:
    if isinstance(given, dict):
        if len(given) != 1:
            raise _bad(
                "Invalid Simple-Condition: Simple-Conditions must have exactly one "
                "property specified."
            )
        [(name, value)] = given.items()
        if not isinstance(value, str):
            raise _bad("Invalid Simple-Condition: value must be a string.")
        shown = json.dumps(["eq", f"${name}", value], ensure_ascii=False)
        return FormCondition("eq", name.lower(), value, shown)
    if not isinstance(given, list):
        raise _bad("Invalid condition: must be a List or Object.")
    if not given:
        raise _bad("Invalid Condition: missing operation identifier.")
    operator = _operator(given[0])
    if operator not in ("eq", "starts-with"):
        raise _bad(f"Invalid Condition: unknown operation '{given[0]}'.")
    if len(given) != 3:
        raise _bad(f"Invalid {operator}: wrong number of arguments.")
    if not all(isinstance(each, str) for each in given):
        raise _bad("Invalid JSON.")
    name = given[1]
    # Without its sign it names no field.
    field = name[1:].lower() if name.startswith("$") else ""
    return FormCondition(
        operator, field, given[2], json.dumps(given, ensure_ascii=False)
    )
