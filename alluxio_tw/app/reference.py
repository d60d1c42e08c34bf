"""
The table of properties as documents: for C{docs/configuration.md}, and as a file to
begin with.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from alluxio_tw.app.properties import (
    CHAPTERS,
    IGNORED,
    MOUNT_PROPERTIES,
    Property,
)

_INTRODUCTION = """\
# Configuration

<!-- Made by: alluxio-s3 conf --markdown > docs/configuration.md -->

Nothing has to be configured. What is, comes from four places, of which the later
wins over the earlier:

1. the defaults below;
2. a `.properties` file: the one that `--config` names, or else
   `alluxio-site.properties` in `$ALLUXIO_CONF_DIR`, or in `conf/` of the working
   directory, if it is there;
3. environment variables: the name of the property in capitals, with underscores for
   dots: `ALLUXIO_WORKER_S3_PORT=8080`;
4. the command line: `-D name=value` and `--mount BUCKET=URI`.

A name that is unknown, or a value that cannot be read, stops the start with one line
that says where it stands and what to write instead. `alluxio-s3 conf` prints this
table, `alluxio-s3 conf --config FILE` what is in force and why, and
`alluxio-s3 conf get NAME` one value.

Sizes are written as `64MB`, `1.5GB` or `4096` (bytes); a KB is 1,024 bytes. Durations
are written as `50ms`, `30s`, `5min`, `2h`, `7d` or `250` (milliseconds). Lists have commas
between their values. A value may refer to another property: `${alluxio.tw.data.dir}/cache`.
Paths that do not begin with `/` are relative to the working directory. Files are UTF-8.
"""

_MOUNTS = """\
## Mounts

Every mount has a name of your choice, by which its properties belong together:

```properties
alluxio.tw.mount.photos.uri=file:///srv/photos
alluxio.tw.mount.photos.option.readonly=true
```

mounts `/srv/photos` as the bucket `photos`; on the command line,
`--mount photos=file:///srv/photos` and
`-D alluxio.tw.mount.photos.option.readonly=true`; in the environment,
`ALLUXIO_TW_MOUNT_PHOTOS_URI` and `ALLUXIO_TW_MOUNT_PHOTOS_OPTION_READONLY` (the name in
small letters, underscores of an option's name as hyphens). The mount named `root` is at
`/`: the directories of its storage are buckets, and new buckets are made there. Unless
it is configured, `buckets/` in `alluxio.tw.data.dir` is mounted so; with
`alluxio.tw.mount.root.uri=` nothing is. `--mount /=URI` mounts at the root,
`--mount /photos/2026=URI` beneath a bucket. Where a stronger source gives the URI of a
mount again, options that a weaker one gave do not count.

Alluxio's `alluxio.master.mount.table.<name>.{ufs,alluxio,readonly,option.*}` are understood
with a warning.
"""


def markdown() -> str:
    """The whole of C{docs/configuration.md}."""
    return "\n".join((_INTRODUCTION, *_chapters(), _MOUNTS, *_mounts(), *_ends()))


def example() -> str:
    """The whole of C{conf/alluxio-site.properties}: every line a comment."""
    lines = [
        "# Configuration of alluxio-s3. Every property is here with its default: take",
        "# the # off those that you change. Made by: alluxio-s3 conf --example",
    ]
    for chapter in CHAPTERS:
        lines += ["", "", f"# --- {chapter.title} ".ljust(80, "-")]
        for entry in chapter.properties:
            lines += ["", *_comment(entry.meaning)]
            lines.append(f"#{entry.name}={entry.default}")
    lines += ["", "", "# --- Mounts ".ljust(80, "-"), ""]
    lines += _comment(
        "One group for each, under a name of your choice; docs/configuration.md has more."
    )
    lines += [
        "#alluxio.tw.mount.photos.uri=file:///srv/photos",
        "#alluxio.tw.mount.photos.option.readonly=true",
    ]
    return "\n".join(lines) + "\n"


def notes(entry: Property[object]) -> list[str]:
    """What there is to say of a property beyond its meaning."""
    found = []
    if entry.reload:
        found.append("Read anew at SIGHUP.")
    for alias in entry.aliases:
        found.append(f"Older name: {alias}.")
    return found


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, 78)]


def _chapters() -> Iterator[str]:
    for chapter in CHAPTERS:
        yield f"## {chapter.title}\n"
        yield from _head()
        for entry in chapter.properties:
            meaning = " ".join((entry.meaning, *notes(entry)))
            yield _row(entry.name, entry.default, entry.kind.name, meaning)
        yield ""


def _mounts() -> Iterator[str]:
    yield from _head()
    for each in MOUNT_PROPERTIES:
        yield _row(each.pattern, each.default, each.kind, each.meaning)
    yield ""


def _ends() -> Iterator[str]:
    yield "## Passed over\n"
    yield "Properties of Alluxio that need nothing here; they are passed over with a warning.\n"
    yield "| Property | Why |"
    yield "| --- | --- |"
    for name, why in IGNORED.items():
        yield f"| `{name}` | {_cell(why)} |"
    yield ""


def _head() -> Iterator[str]:
    yield "| Property | Default | Type | Meaning |"
    yield "| --- | --- | --- | --- |"


def _row(name: str, default: str, kind: str, meaning: str) -> str:
    shown = f"`{default}`" if default else ""
    return f"| `{name}` | {shown} | {kind} | {_cell(meaning)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")
