"""
The options of a mount: which are the mount's own, which its driver's, which secret.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from alluxio_tw.errors import WrongConfiguration

MOUNT_OPTIONS = (
    "cache",
    "freshness",
    "hedge-after",
    "max-age",
    "negative-age",
    "origin-bandwidth",
    "origin-concurrency",
    "readonly",
    "sidecar",
    "stale-if-error",
)
"""What a mount itself understands; everything else is for its driver to judge."""

HIDDEN = "***"
"""What stands where a secret was."""

_secret_words = ("secret", "password", "token", "key", "credential")
_user_info = re.compile(r"(?<=//)([^/?#@]*)@")
_option = re.compile(r"[?&]([^=&?#]*)=").search
_value = re.compile(r"[^&#]*").match


def split_options(
    options: Mapping[str, str],
) -> tuple[dict[str, str], dict[str, str]]:
    """
    The mount's own options, and those to hand to its driver, which refuses what
    it does not know.

    :raises WrongConfiguration: one is ours in another spelling (C{maxAge},
        C{read_only}): no driver should come to be asked about it.
    """
    ours: dict[str, str] = {}
    drivers: dict[str, str] = {}
    for name, value in options.items():
        if name in MOUNT_OPTIONS:
            ours[name] = value
            continue
        meant = _plain.get(_spelling(name))
        if meant is not None:
            raise WrongConfiguration(
                f"A mount has no option {name!r}; did you mean {meant!r}?"
            )
        drivers[name] = value
    return ours, drivers


def refuse_unknown(names: Iterable[str]) -> None:
    """
    Refuse any name that is not a mount's own.

    :raises WrongConfiguration: with what may have been meant.
    """
    for name in names:
        if name in MOUNT_OPTIONS:
            continue
        close = _plain.get(_spelling(name)) or next(
            iter(difflib.get_close_matches(name, MOUNT_OPTIONS, 1)), None
        )
        hint = f"did you mean {close!r}?" if close else ""
        raise WrongConfiguration(
            f"A mount has no option {name!r}; "
            f"{hint or 'there are: ' + ', '.join(MOUNT_OPTIONS)}"
        )


def is_secret(name: str) -> bool:
    """Is the value of an option of this name to be kept out of sight?"""
    name = name.lower()
    # What goes unread to a library of others' may be anything.
    return name.startswith("option.") or any(word in name for word in _secret_words)


def shown_options(options: Mapping[str, str]) -> dict[str, str]:
    """Options as they may be shown."""
    return {k: HIDDEN if is_secret(k) else shown_uri(v) for k, v in options.items()}


def shown_uri(uri: str) -> str:
    """
    A URI as it may be shown: without passwords, and without the values of secret
    options in its query; nor those of a URI that is the value of an option.
    """
    shown = _masked(uri)
    plain = unquote(shown)
    # What is percent-encoded may hide another.
    masked = _masked(plain)
    return shown if masked == plain else masked


def _masked(text: str) -> str:
    text = _user_info.sub(_shown_user, text)
    parts = []
    at = 0
    while (found := _option(text, at)) is not None:
        parts.append(text[at : found.end()])
        at = found.end()
        if is_secret(unquote(found[1])):
            value = _value(text, at)
            assert value is not None
            parts.append(HIDDEN if value[0] else "")
            at = value.end()
    return "".join([*parts, text[at:]])


def _shown_user(match: re.Match[str]) -> str:
    user, colon, _ = match[1].partition(":")
    return f"{user}{colon}{HIDDEN if colon else ''}@"


def _spelling(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_plain = {_spelling(name): name for name in MOUNT_OPTIONS}
