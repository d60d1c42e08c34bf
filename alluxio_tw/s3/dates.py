"""
Moments as S3 writes them, and as clients write them to us.
"""

from __future__ import annotations

import re
from calendar import timegm
from functools import lru_cache
from time import gmtime

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)
_MONTH_NUMBERS = {name: number for number, name in enumerate(_MONTHS, 1)}

# The last second of the year 9999: what a four-digit year can still say.
_LAST = 253402300799

_CLOCK = r"(?P<hour>\d{2}):(?P<minute>\d{2}):(?P<second>\d{2})"
_IMF_FIXDATE = re.compile(
    rf"[A-Z][a-z]{{2}}, (?P<day>\d{{2}}) (?P<month>[A-Z][a-z]{{2}}) (?P<year>\d{{4}}) {_CLOCK} GMT",
    re.ASCII,
)
_RFC_850 = re.compile(
    rf"[A-Z][a-z]{{5,8}}, (?P<day>\d{{2}})-(?P<month>[A-Z][a-z]{{2}})-(?P<year>\d{{2}}) {_CLOCK} GMT",
    re.ASCII,
)
_ASCTIME = re.compile(
    rf"[A-Z][a-z]{{2}} (?P<month>[A-Z][a-z]{{2}}) (?P<day>[ \d]\d) {_CLOCK} (?P<year>\d{{4}})",
    re.ASCII,
)


def iso8601(nanoseconds: int) -> str:
    """
    A moment in an XML document: C{2026-11-20T13:20:15.000Z}.

    The fraction is always nought, as it is from AWS: C{Last-Modified} can say
    no more than seconds, and a client that compares the two must find them
    equal.

    :param nanoseconds: since the epoch.
    """
    return _iso8601(nanoseconds // 1_000_000_000)


def http_date(nanoseconds: int) -> bytes:
    """
    A moment in a header, as IMF-fixdate (RFC 9110, 5.6.7).

    :param nanoseconds: since the epoch.
    """
    return _http_date(nanoseconds // 1_000_000_000)


@lru_cache(maxsize=8192)
def _iso8601(seconds: int) -> str:
    t = gmtime(min(max(seconds, 0), _LAST))
    return (
        f"{t.tm_year:04}-{t.tm_mon:02}-{t.tm_mday:02}"
        f"T{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}.000Z"
    )


@lru_cache(maxsize=8192)
def _http_date(seconds: int) -> bytes:
    t = gmtime(min(max(seconds, 0), _LAST))
    return b"%s, %02d %s %04d %02d:%02d:%02d GMT" % (
        _DAYS[t.tm_wday].encode(),
        t.tm_mday,
        _MONTHS[t.tm_mon - 1].encode(),
        t.tm_year,
        t.tm_hour,
        t.tm_min,
        t.tm_sec,
    )


def parse_http_date(value: bytes | str) -> int | None:
    """
    Read any of the three forms of RFC 9110, 5.6.7.

    A two-digit year is of 1970 to 2069.  Not chosen: the fifty years' window
    of the RFC, which would need a clock, for a form nobody writes any more.

    :return: seconds since the epoch, or L{None} if it is no date: RFC 9110
        has recipients ignore a condition that they cannot read.
    """
    text = value if isinstance(value, str) else value.decode("latin-1")
    text = text.strip(" \t")
    # Nothing longer is a date in any form.
    if len(text) > 40:
        return None
    found = (
        _IMF_FIXDATE.fullmatch(text)
        or _RFC_850.fullmatch(text)
        or _ASCTIME.fullmatch(text)
    )
    if found is None:
        return None
    month = _MONTH_NUMBERS.get(found["month"])
    if month is None:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        year += 1900 if year >= 70 else 2000
    day, hour = int(found["day"]), int(found["hour"])
    minute, second = int(found["minute"]), int(found["second"])
    # A leap second is a second of the minute it ends.
    if year < 1 or not 1 <= day <= 31 or hour > 23 or minute > 59 or second > 60:
        return None
    seconds = timegm((year, month, day, hour, minute, min(second, 59)))
    # The 31st of February is not the 3rd of March.
    return seconds if gmtime(seconds).tm_mday == day else None
