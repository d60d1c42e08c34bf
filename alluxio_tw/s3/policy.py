"""
Bucket policies as values, asked for each request.

A policy is a list of statements.  One applies to a request if its principal, its
action, its resource and all its conditions do; a C{Deny} that applies wins, else
an C{Allow} that applies; else the policy has no opinion (IAM User Guide, "Policy
evaluation logic").  L{alluxio_tw.s3.policydocuments} reads them.

Actions are written with wildcards but there are only so many of them, so each
statement is read into the set of those it means; what is left to match for a
request is a set, a name and one or two texts.
"""

from __future__ import annotations

from enum import Enum
from ipaddress import ip_network

import attrs

from alluxio_tw.s3.patterns import Pattern, Values
from alluxio_tw.s3.policyconditions import Condition

# Keys that tie a statement to somebody in particular.
_TYING = frozenset(
    (
        "aws:principalaccount",
        "aws:principalarn",
        "aws:userid",
        "aws:username",
    )
)


class Effect(Enum):
    """What a policy says of a request."""

    ALLOW = "Allow"
    DENY = "Deny"
    NONE = "no opinion"


@attrs.frozen
class Principals:
    """
    Whom a statement is about.

    :ivar everybody: also who is nobody in particular.
    :ivar users: by name.
    :ivar inverted: all but those.
    """

    everybody: bool
    users: frozenset[str]
    inverted: bool = False

    def include(self, user: str) -> bool:
        """
        :param user: empty for who is nobody in particular.
        """
        return (self.everybody or user in self.users) is not self.inverted


@attrs.frozen
class Statement:
    """
    One statement.

    :ivar actions: all that it means.
    :ivar resources: patterns of C{bucket} and C{bucket/key}.
    :ivar inverted: it is about every resource but those.
    """

    effect: Effect
    principals: Principals
    actions: frozenset[str]
    resources: tuple[Pattern, ...]
    inverted: bool
    conditions: tuple[Condition, ...]

    def applies(self, user: str, action: str, resource: str, values: Values) -> bool:
        """Is it about this request?"""
        if action not in self.actions or not self.principals.include(user):
            return False
        named = any(each.matches(resource, values) for each in self.resources)
        return named is not self.inverted and all(
            condition.holds(values) for condition in self.conditions
        )

    def is_public(self) -> bool:
        """
        Does it give something to everybody?  Who must be at one address, or
        somebody in particular, is not everybody (Amazon S3 User Guide, "The
        meaning of public").
        """
        if self.effect is not Effect.ALLOW or not (
            self.principals.everybody or self.principals.inverted
        ):
            return False
        return not any(_ties(condition) for condition in self.conditions)


def _ties(condition: Condition) -> bool:
    if condition.key == "aws:sourceip" and condition.operator == "IpAddress":
        networks = [ip_network(text, strict=False) for text in condition.texts]
        return all(n.prefixlen >= (8 if n.version == 4 else 32) for n in networks)
    if condition.key in _TYING and condition.operator in (
        "StringEquals",
        "StringLike",
        "ArnEquals",
        "ArnLike",
    ):
        return not any("*" in text or "?" in text for text in condition.texts)
    return False


@attrs.frozen
class Policy:
    """
    A whole policy.

    :ivar needs_tags: it asks for the tags of the object that is there.
    :ivar needs_new_tags: it asks for those that an object shall be given.
    """

    statements: tuple[Statement, ...]
    needs_tags: bool
    needs_new_tags: bool

    def judge(self, user: str, action: str, resource: str, values: Values) -> Effect:
        """
        What it says.

        :param user: empty for who is nobody in particular.
        :param action: with its C{s3:}.
        :param resource: C{bucket} or C{bucket/key}.
        :param values: what else the request says.
        """
        found = Effect.NONE
        for statement in self.statements:
            effect = statement.effect
            # What is allowed already can only be denied.
            if effect is not found and statement.applies(
                user, action, resource, values
            ):
                if effect is Effect.DENY:
                    return effect
                found = effect
        return found

    def is_public(self) -> bool:
        """Does it give something to everybody?"""
        return any(statement.is_public() for statement in self.statements)
