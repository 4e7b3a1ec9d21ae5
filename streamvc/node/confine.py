"""Confines a decoder to what its source needs, where the kernel can (Landlock, Linux 5.13; networks since 6.7): a process gives up its own rights.

It reads its source, the system's libraries and what names of hosts are looked up in; nothing of the node, neither keys nor secrets nor the log. It
writes no file, runs no program, sends no signal and looks into no other process. By TCP it connects to its source's port alone, and not at all where
that is a file; but what is at a web address may lead to other ports. A camera of this machine needs its devices: its decoder is not confined.
"""

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from streamvc.capture import address

# System calls, the same on all processors, and what they take: see linux/landlock.h.
CREATE, ADD_RULE, RESTRICT = 444, 445, 446
ASK_VERSION, PATH_BENEATH, NET_PORT = 1, 1, 2
READ_FILE, READ_DIR = 1 << 2, 1 << 3
BIND_TCP, CONNECT_TCP = 1, 2
SCOPES = 3  # sockets without a name in the file system, and signals
NUM_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # of files, by version; 16 in later ones
PR_SET_NO_NEW_PRIVS = 38  # of prctl(2)

PORTS = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443}
DNS_PORT = 53

SYSTEM = (
    *("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/ssl", "/etc/pki", "/etc/ca-certificates"),
    *("/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/run/systemd/resolve", "/proc/self", "/dev/null"),
)


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


class _Port(ctypes.Structure):
    _fields_ = (("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64))


def confine(source: str) -> bool:
    """Give up all rights that reading a source does not need, for good; returns whether the kernel knows how. For a process of one thread.

    Raises:
        OSError: It refuses.
        SourceError: The source is none.
    """
    if any(name.startswith("COVERAGE_") for name in os.environ):  # each process writes what was measured of it
        return False
    found = address.find(source)
    version = _syscall(CREATE, None, 0, ASK_VERSION, may_fail=True)
    if version < 1 or found.kind == "camera":
        return False
    url = urlsplit(found.location) if found.kind == "url" else None
    ports = [url.port or PORTS.get(url.scheme, 0), DNS_PORT] if url else []
    is_web = url is not None and url.scheme in ("http", "https")
    rules = _Ruleset(
        files=(1 << NUM_RIGHTS.get(version, 16)) - 1,
        network=0 if version < 4 or is_web else BIND_TCP | CONNECT_TCP,
        scopes=SCOPES if version >= 6 else 0,
    )
    ruleset = _syscall(CREATE, ctypes.byref(rules), ctypes.sizeof(rules) if version >= 6 else 16 if version >= 4 else 8, 0)
    try:
        for path in (*_system(), *([] if url else [found.location])):
            _allow(ruleset, path)
        for port in ports if rules.network else []:
            allowed = _Port(CONNECT_TCP | (BIND_TCP if port != DNS_PORT else 0), port)  # it may be one that listens
            _syscall(ADD_RULE, ruleset, NET_PORT, ctypes.byref(allowed), 0)
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        _syscall(RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)
    return True


def _system() -> Iterable[str]:
    """What a process of Python goes on reading: modules that are imported late, libraries, certificates, what names of hosts are looked up in."""
    modules = (Path(module.__file__).parent for name in ("streamvc", "av", "cv2", "numpy") if (module := sys.modules.get(name)) and module.__file__)
    certificates = (value for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if (value := os.environ.get(name)))
    return (*SYSTEM, sys.prefix, sys.base_prefix, *map(str, modules), *certificates)


def _allow(ruleset: int, path: str) -> None:
    """Let what is at a path, or below it, be read. Where nothing is there, there is nothing to allow."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        beneath = _Beneath(READ_FILE | READ_DIR if Path(path).is_dir() else READ_FILE, descriptor)
        _syscall(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(beneath), 0)
    finally:
        os.close(descriptor)


def _syscall(number: int, *arguments: object, may_fail: bool = False) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    result = int(libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0 and not may_fail:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
