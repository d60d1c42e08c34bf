"""
System calls of Linux that C{os} lacks; each says when the kernel lacks them too.

By C{ctypes}, which lets other threads run meanwhile.  C{openat2} has no wrapper
in the C library yet, but one number on every architecture that Python runs on.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
_AT_EMPTY_PATH = 0x1000
_STATX_BTIME = 0x800
_IN_MEMORY = frozenset({0x01021994, 0x858458F6})  # tmpfs, ramfs

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = [
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    ]


_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = [
    ctypes.c_long,
    ctypes.c_long,
    ctypes.c_char_p,
    ctypes.POINTER(_OpenHow),
    ctypes.c_size_t,
]


def open_beneath(root: int, path: bytes, flags: int) -> int:
    """
    Open C{path} beneath the directory C{root}: no C{..}, no absolute path and no
    symbolic link leads out, and no link of C{/proc} is followed.

    :raises OSError: C{EXDEV} if it would lead out; C{EAGAIN} if the tree moved
        meanwhile; C{ENOSYS} (or C{EPERM}, in a sandbox) if the kernel is older
        than 5.6.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    fd: int = _syscall(_OPENAT2, root, path, ctypes.byref(how), ctypes.sizeof(how))
    if fd < 0:
        _fail(path)
    return fd


def can_open_beneath(root: int) -> bool:
    """Does this kernel know C{openat2}, and does our sandbox let us use it?"""
    try:
        os.close(open_beneath(root, b".", os.O_PATH | os.O_DIRECTORY))
    except OSError:
        return False
    return True


def rename_new(source_dir: int, source: bytes, target_dir: int, target: bytes) -> None:
    """
    Rename, unless something has that name already: one atomic step.

    :raises OSError: C{EEXIST} if something has; C{EINVAL} or C{ENOSYS} where the
        file system cannot do this.
    """
    _rename(source_dir, source, target_dir, target, _RENAME_NOREPLACE)


def exchange(one_dir: int, one: bytes, other_dir: int, other: bytes) -> None:
    """
    Let two names change places: one atomic step.

    :raises OSError: C{ENOENT} if one is missing; C{EINVAL} or C{ENOSYS} where the
        file system cannot do this.
    """
    _rename(one_dir, one, other_dir, other, _RENAME_EXCHANGE)


def _rename(
    source_dir: int, source: bytes, target_dir: int, target: bytes, flags: int
) -> None:
    call = getattr(_libc, "renameat2", None)
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if call(
        ctypes.c_int(source_dir),
        ctypes.c_char_p(source),
        ctypes.c_int(target_dir),
        ctypes.c_char_p(target),
        ctypes.c_uint(flags),
    ):
        _fail(target)


def born(fd: int) -> int | None:
    """
    When a file was made, in nanoseconds since the epoch; L{None} where the kernel
    or the file system does not say.
    """
    call = getattr(_libc, "statx", None)
    if call is None:
        return None
    buffer = (ctypes.c_uint8 * 256)()
    if call(
        ctypes.c_int(fd),
        ctypes.c_char_p(b""),
        ctypes.c_int(_AT_EMPTY_PATH),
        ctypes.c_uint(_STATX_BTIME),
        buffer,
    ):
        return None
    # struct statx: stx_mask at 0; stx_btime at 80: s64 seconds, u32 nanoseconds.
    raw = bytes(buffer)
    if not int.from_bytes(raw[:4], sys.byteorder) & _STATX_BTIME:
        return None
    seconds = int.from_bytes(raw[80:88], sys.byteorder, signed=True)
    return seconds * 1_000_000_000 + int.from_bytes(raw[88:92], sys.byteorder)


def lies_in_memory(fd: int) -> bool:
    """Is the file on a file system without a disk, so that no read ever waits?"""
    buffer = (ctypes.c_long * 64)()
    if _libc.fstatfs(ctypes.c_int(fd), buffer):
        return False
    return buffer[0] & 0xFFFFFFFF in _IN_MEMORY  # f_type is the first field


def _fail(path: bytes) -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), os.fsdecode(path))
