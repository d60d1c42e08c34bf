"""
The conditions of bucket policies: operators, keys, and what they compare.

A condition is an operator, a key and values; it holds if what the request says
under the key stands in the operator's relation to one of the values, for a
negated operator to none of them.  Of a key that the request says nothing of, a
plain operator does not hold, a negated one does, one that ends in C{IfExists}
does (IAM User Guide, "IAM JSON policy elements: Condition operators").

An operator or a key that we cannot judge is refused when the policy is put: one
that is passed over would deny less than its author believes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from ipaddress import ip_address, ip_network
from typing import Any

import attrs

from alluxio_tw.errors import MalformedPolicy
from alluxio_tw.s3.patterns import Pattern, Values

KEYS = frozenset(
    (
        "aws:currenttime",
        "aws:epochtime",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principaltype",
        "aws:referer",
        "aws:securetransport",
        "aws:sourceip",
        "aws:userid",
        "aws:username",
        "aws:useragent",
        "s3:authtype",
        "s3:delimiter",
        "s3:if-match",
        "s3:if-none-match",
        "s3:max-keys",
        "s3:prefix",
        "s3:requestobjecttagkeys",
        "s3:resourceaccount",
        "s3:signatureage",
        "s3:signatureversion",
        "s3:versionid",
        "s3:x-amz-acl",
        "s3:x-amz-content-sha256",
        "s3:x-amz-copy-source",
        "s3:x-amz-grant-full-control",
        "s3:x-amz-grant-read",
        "s3:x-amz-grant-read-acp",
        "s3:x-amz-grant-write",
        "s3:x-amz-grant-write-acp",
        "s3:x-amz-metadata-directive",
        "s3:x-amz-server-side-encryption",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
        "s3:x-amz-server-side-encryption-customer-algorithm",
        "s3:x-amz-storage-class",
        "s3:x-amz-website-redirect-location",
    )
)
"""What can be asked of a request, in lower case: keys are matched by any case."""

EXISTING_TAG = "s3:existingobjecttag/"
"""Before the key of a tag of the object that is there."""

REQUEST_TAG = "s3:requestobjecttag/"
"""Before the key of a tag that the object shall be given."""

LISTING_KEYS = frozenset(("s3:prefix", "s3:delimiter", "s3:max-keys"))
"""They say something of listings only."""

VARIABLES = frozenset(
    (
        "aws:principalaccount",
        "aws:principaltype",
        "aws:referer",
        "aws:sourceip",
        "aws:useragent",
        "aws:userid",
        "aws:username",
        "s3:delimiter",
        "s3:prefix",
    )
)
"""The keys that may stand in a C{${}}: those that have one value."""

# Given one of the policy's values, a predicate of one of the request's.
_Test = Callable[[str, Values], bool]

_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,9})?", re.ASCII)


def _bad(message: str) -> MalformedPolicy:
    return MalformedPolicy(message)


def _exactly(text: str, variables: frozenset[str] | None) -> _Test:
    return Pattern.of(text, variables, wild=False).matches


def _like(text: str, variables: frozenset[str] | None) -> _Test:
    return Pattern.of(text, variables).matches


def _whatever_case(text: str, variables: frozenset[str] | None) -> _Test:
    pattern = Pattern.of(text.casefold(), variables, wild=False)

    def test(said: str, values: Values) -> bool:
        def folded(name: str) -> tuple[str, ...]:
            return tuple(each.casefold() for each in values(name) or ())

        return pattern.matches(said.casefold(), folded)

    return test


def _truth(text: str, variables: frozenset[str] | None) -> _Test:
    wanted = text.lower()
    if wanted not in ("true", "false"):
        raise _bad(f"Invalid boolean value: {text}")
    return lambda said, values: said.lower() == wanted


def _address(text: str, variables: frozenset[str] | None) -> _Test:
    try:
        network = ip_network(text, strict=False)
    except ValueError as error:
        raise _bad(f"Invalid IP Address or Range: {text}") from error

    def within(said: str, values: Values) -> bool:
        try:
            address = ip_address(said)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address) in network

    return within


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _moment(text: str) -> float | None:
    """Seconds since the epoch of an ISO 8601 date, or of such a number."""
    number = _number(text)
    if number is not None:
        return number
    try:
        moment = datetime.fromisoformat(
            text.replace("Z", "+00:00").replace("z", "+00:00")
        )
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.timestamp()


def _ordered(
    read: Callable[[str], float | None], compare: Callable[[float, float], bool]
) -> Callable[[str, frozenset[str] | None], _Test]:
    def make(text: str, variables: frozenset[str] | None) -> _Test:
        wanted = read(text)
        if wanted is None:
            raise _bad(f"Invalid value in condition: {text}")
        bound = wanted

        def test(said: str, values: Values) -> bool:
            found = read(said)
            return found is not None and compare(found, bound)

        return test

    return make


# Each operator: how one value is tested, and whether it is negated.
_OPERATORS: dict[str, tuple[Callable[[str, frozenset[str] | None], _Test], bool]] = {
    "StringEquals": (_exactly, False),
    "StringNotEquals": (_exactly, True),
    "StringEqualsIgnoreCase": (_whatever_case, False),
    "StringNotEqualsIgnoreCase": (_whatever_case, True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "ArnEquals": (_like, False),
    "ArnNotEquals": (_like, True),
    "ArnLike": (_like, False),
    "ArnNotLike": (_like, True),
    "Bool": (_truth, False),
    "IpAddress": (_address, False),
    "NotIpAddress": (_address, True),
}
for _word, _read in (("Numeric", _number), ("Date", _moment)):
    _OPERATORS |= {
        f"{_word}Equals": (_ordered(_read, float.__eq__), False),
        f"{_word}NotEquals": (_ordered(_read, float.__eq__), True),
        f"{_word}LessThan": (_ordered(_read, float.__lt__), False),
        f"{_word}LessThanEquals": (_ordered(_read, float.__le__), False),
        f"{_word}GreaterThan": (_ordered(_read, float.__gt__), False),
        f"{_word}GreaterThanEquals": (_ordered(_read, float.__ge__), False),
    }

OPERATORS = frozenset(_OPERATORS) | {"Null"}
"""The names of all operators."""


@attrs.frozen
class Condition:
    """
    One condition.

    :ivar operator: its plain name.
    :ivar key: in lower case, but for what follows a slash.
    :ivar texts: the values.
    """

    operator: str
    key: str
    texts: tuple[str, ...]
    _tests: tuple[_Test, ...]
    _negated: bool
    _if_exists: bool
    _every: bool | None

    def holds(self, values: Values) -> bool:
        """Does it hold of a request that says so?"""
        said = values(self.key)
        if self.operator == "Null":
            # There is one value, or both, and then it always holds.
            return ("true" if not said else "false") in self.texts
        if not said:
            if self._every is not None:
                return self._every
            return self._negated or self._if_exists
        if self._every is None:
            return self._any(said, values) is not self._negated
        found = (self._any((each,), values) is not self._negated for each in said)
        return all(found) if self._every else any(found)

    def _any(self, said: tuple[str, ...], values: Values) -> bool:
        return any(test(each, values) for test in self._tests for each in said)


def parse_conditions(block: Any, variables: bool) -> tuple[Condition, ...]:
    """
    Read a C{Condition} element.

    :param variables: the policy's version has them.
    :raises MalformedPolicy: as AWS words it.
    """
    if not isinstance(block, Mapping):
        raise _bad("This policy contains invalid Json")
    return tuple(
        _condition(name, key, texts, variables)
        for name, pairs in block.items()
        for key, texts in _pairs(pairs).items()
    )


def _pairs(pairs: Any) -> Mapping[str, Any]:
    if not isinstance(pairs, Mapping):
        raise _bad("This policy contains invalid Json")
    return pairs


def _condition(name: str, key: str, given: Any, variables: bool) -> Condition:
    plain, every = name, None
    for qualifier, meaning in (("ForAllValues:", True), ("ForAnyValue:", False)):
        if plain.startswith(qualifier):
            plain, every = plain[len(qualifier) :], meaning
    if_exists = plain.endswith("IfExists")
    if if_exists:
        plain = plain[: -len("IfExists")]
    if plain not in OPERATORS or (plain == "Null" and (if_exists or every is not None)):
        raise _bad(f"Invalid Condition type : {name}")
    known = _key(key)
    texts = _texts(given)
    if plain == "Null":
        texts = tuple(text.lower() for text in texts)
        if not set(texts) <= {"true", "false"}:
            raise _bad(f"Invalid boolean value: {texts[0]}")
        return Condition(plain, known, texts, (), False, False, None)
    make, negated = _OPERATORS[plain]
    names = VARIABLES if variables else None
    tests = tuple(make(text, names) for text in texts)
    return Condition(plain, known, texts, tests, negated, if_exists, every)


def _key(key: str) -> str:
    lowered = key.lower()
    for prefix in (EXISTING_TAG, REQUEST_TAG):
        if lowered.startswith(prefix) and len(key) > len(prefix):
            # The keys of tags are told apart by case.
            return prefix + key[len(prefix) :]
    if lowered not in KEYS:
        raise _bad("Policy has an invalid condition key")
    return lowered


def _texts(given: Any) -> tuple[str, ...]:
    values = given if isinstance(given, list) else [given]
    texts = []
    for value in values:
        if isinstance(value, bool):
            texts.append("true" if value else "false")
        elif isinstance(value, (str, int, float)):
            texts.append(str(value))
        else:
            raise _bad("This policy contains invalid Json")
    if not texts:
        raise _bad("Invalid policy syntax.")
    return tuple(texts)
