"""
Where the values of properties are written: file, environment, command line.

Later ones win: the defaults of the table, the file, the environment, the
command line.  A name nobody knows stops the start, wherever it was written; but
in the environment only where it can be meant for us, since Kubernetes and others
put C{ALLUXIO_...} variables of their own there.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping

import attrs
import javaproperties

from alluxio_tw.app.kinds import quoted
from alluxio_tw.app.properties import ALIASES, TABLE, variable
from alluxio_tw.errors import WrongConfiguration

FILE_NAME = "alluxio-site.properties"

MOUNT = "alluxio.tw.mount."

MAX_FILE = 1 << 20
"""Bytes; a larger file is not configuration."""

_BREAK = re.compile(r"\r\n|\r|\n")
_MOUNT_VARIABLE = re.compile(
    r"ALLUXIO_TW_MOUNT_(?P<name>.+?)_(?P<what>URI|PATH|OPTION_(?P<option>.+))\Z",
    re.DOTALL,
)
_OURS = ("ALLUXIO_WORKER_S3_", "ALLUXIO_WORKER_PAGE_STORE_", "ALLUXIO_TW_")
_SERVICE = re.compile(
    r".*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP)(_[A-Z]+)?)\Z"
)
_LINK = re.compile(r"(tcp|udp)://")

_VARIABLES = {variable(name): name for name in (*TABLE, *ALIASES)}


@attrs.frozen
class Given:
    """
    Something that somebody wrote.

    :ivar origin: where, as it can be looked up: C{file:12}, C{environment
        ALLUXIO_...}, C{command line}.
    :ivar rank: the order of the sources; a higher one wins.
    """

    name: str
    text: str
    origin: str
    rank: int


# --- the sources ------------------------------------------------------------


def default_file(environment: Mapping[str, str]) -> str | None:
    """
    The file that is read when none is named: C{alluxio-site.properties} in
    C{$ALLUXIO_CONF_DIR}, or else in C{conf/} of the working directory; L{None} if
    it is not there.
    """
    folder = environment.get("ALLUXIO_CONF_DIR") or "conf"
    path = os.path.join(folder, FILE_NAME)
    return path if os.path.exists(path) else None


def from_file(path: str) -> list[Given]:
    """
    Read a C{.properties} file: UTF-8, or else Latin-1.

    :raises WrongConfiguration: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise WrongConfiguration(
            f"cannot read the configuration file {quoted(path)}: {reason}"
        ) from error
    if len(data) > MAX_FILE:
        raise WrongConfiguration(
            f"the configuration file {quoted(path)} has more than {MAX_FILE} bytes"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return from_text(text, path)


def from_text(text: str, path: str) -> list[Given]:
    """
    Read what stands in a C{.properties} file.

    :raises WrongConfiguration: it is not in that format.
    """
    found = []
    line = 1
    shown = path if path.isprintable() else repr(path)
    try:
        for element in javaproperties.parse(text):
            if isinstance(element, javaproperties.KeyValue):
                origin = f"{shown}:{line}"
                found.append(Given(element.key, element.value.strip(), origin, 1))
            line += len(_BREAK.findall(element.source))
    except javaproperties.InvalidUEscapeError as error:
        raise WrongConfiguration(
            f"{shown}:{line}: an escape {quoted(error.escape)} is not \\u and four "
            "hexadecimal digits; write a backslash as \\\\"
        ) from error
    return found


def from_environment(
    environment: Mapping[str, str], warnings: list[str]
) -> list[Given]:
    """
    Read the environment: the name in capitals, its dots as underscores.

    :raises WrongConfiguration: a variable looks like ours and is not.
    """
    found = []
    for key in sorted(environment):
        if not key.startswith("ALLUXIO_"):
            continue
        text = environment[key].strip()
        origin = f"environment {key if key.isprintable() else quoted(key)}"
        name = _VARIABLES.get(key)
        mount = _MOUNT_VARIABLE.match(key)
        if name is not None:
            if _LINK.match(text):
                warnings.append(
                    f"{key} is passed over: it was set by Kubernetes or Docker for "
                    "a service of that name"
                )
                continue
            found.append(Given(name, text, origin, 2))
        elif mount is not None:
            part = mount["what"].lower()
            if mount["option"]:
                part = "option." + mount["option"].lower().replace("_", "-")
            name = f"alluxio.tw.mount.{mount['name'].lower()}.{part}"
            found.append(Given(name, text, origin, 2))
        elif key.startswith(_OURS) and not _SERVICE.match(key):
            raise WrongConfiguration(
                f"{origin}: no property has this variable{meant(key, _VARIABLES)}"
            )
    return found


def from_definitions(definitions: Iterable[str]) -> list[Given]:
    """
    Read C{-D name=value}.

    :raises WrongConfiguration: one has no C{=}.
    """
    found = []
    for each in definitions:
        name, equals, text = each.partition("=")
        if not equals or not name.strip():
            raise WrongConfiguration(
                f"command line: -D {quoted(each)}: write it as -D name=value"
            )
        found.append(Given(name.strip(), text.strip(), "command line", 3))
    return found


def from_mounts(mounts: Iterable[str]) -> list[Given]:
    """
    Read C{--mount BUCKET=URI}; C{/=URI} mounts at the root, C{/a/b=URI} at a path.

    :raises WrongConfiguration: one has no C{=}, or the same place comes twice.
    """
    found = []
    seen: set[str] = set()
    for each in mounts:
        place, equals, uri = (part.strip() for part in each.partition("="))
        if not equals or not place or not uri:
            raise WrongConfiguration(
                f"command line: --mount {quoted(each)}: write it as --mount BUCKET=URI, "
                "such as --mount photos=file:///srv/photos"
            )
        path = place if place.startswith("/") else f"/{place}"
        if path in seen:
            raise WrongConfiguration(
                f"command line: --mount {quoted(place)} is given twice"
            )
        seen.add(path)
        # The name root means the path /; a bucket of that name needs another.
        name = "root" if path == "/" else "/root" if path == "/root" else path[1:]
        for part, text in (("uri", uri), ("path", path)):
            found.append(
                Given(f"alluxio.tw.mount.{name}.{part}", text, "command line", 3)
            )
    return found


def meant(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name."""
    if name.startswith(MOUNT):
        return f"; did you mean {quoted(name + '.uri')}?"
    names = list(known)
    # Bounded: the comparison is quadratic in the length of what arrives.
    close = difflib.get_close_matches(name[:200], names, 1, 0.6)
    if not close:
        # A part of a name is what people remember of it.
        tail = [each for each in names if name and each.endswith("." + name)]
        close = tail if len(tail) == 1 else []
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"{hint} ('alluxio-s3 conf' lists them all)" if not close else hint
