"""
Sizes and durations as Alluxio writes them: C{64MB}, C{5min}; read and written.

Source of the forms: Alluxio's C{FormatUtils.parseSpaceSize} and
C{parseTimeSize}.  Units of size have base 1024, with or without the C{B}; case
does not matter.  A plain number is bytes, or milliseconds.
"""

from __future__ import annotations

import re
from decimal import Decimal

_QUANTITY = re.compile(
    r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+))\s*([A-Za-z]*)\s*\Z", re.ASCII
)

_SIZES = {
    "": 1,
    "b": 1,
    **{
        unit + b: 1024 ** (power + 1)
        for power, unit in enumerate("kmgtp")
        for b in ("", "b")
    },
}

_DURATIONS = {
    "": Decimal("0.001"),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), Decimal("0.001")),
    **dict.fromkeys(("s", "sec", "second", "seconds"), Decimal(1)),
    **dict.fromkeys(("m", "min", "minute", "minutes"), Decimal(60)),
    **dict.fromkeys(("h", "hr", "hour", "hours"), Decimal(3600)),
    **dict.fromkeys(("d", "day", "days"), Decimal(86400)),
}

# No machine has more; beyond it a number is a slip of the pen, and would
# overflow what it is handed to.
_LARGEST = 2**63 - 1


def size(text: str) -> int:
    """
    Read a size.

    :param text: such as C{64MB}, C{1.5g}, C{4096}.
    :return: bytes, nought or more; fractions of a byte are dropped.
    :raises ValueError: it is not a size; the message says how one looks.
    """
    number, unit = _take(text, "size", "64MB, 1.5GB or 4096 (bytes)")
    factor = _SIZES.get(unit)
    if factor is None:
        raise ValueError(
            f"{text!r} is not a size: the units are B, KB, MB, GB, TB and PB"
        )
    amount = number * factor
    if not 0 <= amount <= _LARGEST:
        raise ValueError(f"{text!r} is not a size: it is out of bounds")
    return int(amount)


def duration(text: str) -> float:
    """
    Read a duration.

    :param text: such as C{50ms}, C{30s}, C{5min}, C{2h}, C{1d}, C{250}; may be
        negative, which Alluxio writes where it means never.
    :return: seconds.
    :raises ValueError: it is not a duration; the message says how one looks.
    """
    number, unit = _take(text, "duration", "50ms, 30s, 5min or 250 (milliseconds)")
    factor = _DURATIONS.get(unit)
    if factor is None:
        raise ValueError(
            f"{text!r} is not a duration: the units are ms, s, min, h and d"
        )
    amount = number * factor
    if abs(amount) > _LARGEST:
        raise ValueError(f"{text!r} is not a duration: it is out of bounds")
    return float(amount)


def size_text(amount: int) -> str:
    """
    Write a size in the largest unit that keeps it whole: L{size} reads it back.

    :param amount: bytes.
    """
    for power, unit in ((5, "PB"), (4, "TB"), (3, "GB"), (2, "MB"), (1, "KB")):
        whole, rest = divmod(amount, 1024**power)
        if whole and not rest:
            return f"{whole}{unit}"
    return f"{amount}B"


def duration_text(seconds: float) -> str:
    """
    Write a duration in the largest unit that keeps it whole, to the
    millisecond: L{duration} reads it back.
    """
    amount = round(seconds * 1000)
    if amount:
        for factor, unit in (
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "min"),
            (1000, "s"),
        ):
            whole, rest = divmod(amount, factor)
            if not rest:
                return f"{whole}{unit}"
    return f"{amount}ms"


def _take(text: str, what: str, example: str) -> tuple[Decimal, str]:
    # Bounded before the number is read: what arrives may be a megabyte of digits.
    match = _QUANTITY.match(text) if len(text) <= 64 else None
    if match is None:
        raise ValueError(f"{text[:64]!r} is not a {what}: write it as {example}")
    return Decimal(match[1]), match[2].lower()
