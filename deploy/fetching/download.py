"""Downloads an archive into a store: resumable, compared with its pinned hash, and atomic."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from deploy.errors import DeployError
from deploy.fetching.remote import Remote, find
from deploy.fetching.source import Source, without_secrets
from deploy.fetching.web import REFUSED, NotResumable, expired
from trust import signature
from trust.errors import SignatureError
from trust.keys import PublicKey

# A hub gives the same answer for a private and a missing repository.
HIDDEN = {"hf": "; if it is private, no token with access was found"}
FULL = {errno.ENOSPC, errno.EDQUOT}
ATTEMPTS = 5
PAUSE = 1.0  # seconds, doubled each time
Progress = Callable[[str, int, int | None], None]
Claim = Callable[[str, Source], None]


def fetch(
    source: Source, store: Path, progress: Progress, keys: Sequence[PublicKey] = (), claim: Claim = lambda *_: None
) -> Path:
    """The archive in the store, fetched where it is not there yet. Raises DeployError.

    progress: called with a name, the bytes that are there and those there will be, if known. keys: of which one must
    have signed it. claim: called with the name before anything of it is written; raises DeployError where another
    archive has it. A broken connection is tried again from the byte it broke at, also by the next call.
    """
    found = there(source, store, keys)
    if found:
        claim(found.name, source)
        return found
    pause = PAUSE
    for attempt in range(1, ATTEMPTS + 1):
        try:
            remote = find(source)
            claim(remote.name, source)
            return fetch_once(remote, source, store, progress, keys)
        except (DeployError, ImportError):
            raise
        except SignatureError as error:
            raise DeployError(f"{source.shown}: {error}") from None
        except Exception as error:  # noqa: BLE001 - each back end has errors of its own
            if isinstance(error, FileNotFoundError) or status_of(error) == HTTPStatus.NOT_FOUND:
                raise DeployError(f"{source.shown} is not there{HIDDEN.get(source.scheme, '')}") from None
            if refused(error):
                said = "cannot be read with the credentials found, if any"
                raise DeployError(f"{source.shown} {said}{expired(source.shown)}") from None
            if attempt == ATTEMPTS:
                raise DeployError(f"{source.shown} cannot be fetched: {line(error)}") from None
        time.sleep(pause)
        pause *= 2
    raise AssertionError


def status_of(error: Exception) -> object:
    """The HTTP status of a back end's error, under one of its usual attribute names."""
    found = [getattr(each, "status_code", None) for each in (error, getattr(error, "response", None))]
    return next(filter(None, [*found, getattr(error, "code", None)]), None)


def refused(error: Exception) -> bool:
    return isinstance(error, PermissionError) or status_of(error) in REFUSED


def line(error: Exception) -> str:
    """An error as one line without secrets."""
    return without_secrets(" ".join(str(error).split()))[:500] or type(error).__name__


def there(source: Source, store: Path, keys: Sequence[PublicKey]) -> Path | None:
    """The archive, if the store already has it, signed by one of the keys if any are given; a restart then needs no
    network.

    The name of an archive in a registry is unknown before asking the registry, so any archive with its content counts.
    """
    paths = sorted(store.glob("[!.]*.mar")) if source.scheme == "oci" else [store / source.name]
    for path in paths:
        with here(path):
            if not path.is_file() or signature.sha256(path) != source.sha256:
                continue
        # A new signature may be where the archive comes from.
        with suppress(SignatureError):
            if keys:
                signature.check(path.name, signature.read_signature(path), source.sha256, keys)
            return path
    return None


def fetch_once(remote: Remote, source: Source, store: Path, progress: Progress, keys: Sequence[PublicKey]) -> Path:
    target = store / remote.name
    with here(store):
        store.mkdir(parents=True, exist_ok=True)
    if target.exists() and not target.is_file():
        raise DeployError(f"{target} is there already, and is not a file")
    proof = signature_of(remote, source, keys)  # before the archive, which is the larger one
    partial = store / f".{remote.name}.{source.sha256[:16]}.partial"
    with exclusive(partial) as file:  # replicas may share the store
        fresh = not (target.is_file() and signature.sha256(target) == source.sha256)
        if fresh:
            complete(remote, source, file, progress)
        with here(target):
            put_signature(signature.path_of(target), proof, fresh)
            if fresh:
                partial.replace(target)
            else:
                partial.unlink(missing_ok=True)
    return target


@contextmanager
def here(path: Path) -> Iterator[None]:
    """Turns an error of our own file system into DeployError: it is not the other side's, and another attempt fails
    as well.
    """
    try:
        yield
    except OSError as error:
        raise DeployError(f"{path}: {error.strerror or error}") from None


def put_signature(path: Path, proof: bytes | None, fresh: bool) -> None:
    """proof: the signature's content. One of an earlier archive goes with that."""
    if proof is not None:
        partial = path.with_name(f".{path.name}.partial")
        partial.unlink(missing_ok=True)
        with partial.open("xb") as file:  # never through a link that somebody put there
            file.write(proof)
        partial.replace(path)
    elif fresh:
        path.unlink(missing_ok=True)


def signature_of(remote: Remote, source: Source, keys: Sequence[PublicKey]) -> bytes | None:
    """The content of the archive's signature, checked where keys are given. Raises SignatureError."""
    try:
        content = remote.signature()
    except Exception as error:
        # A signed address is for one file, and a store may say of what is missing that it may not be read.
        if not refused(error):
            raise
        content = None
    if keys:
        if content is None:
            raise SignatureError(f"{remote.name} is not signed: {remote.name}.sig is missing, or may not be read")
        signature.check(remote.name, content, source.sha256, keys)
    return content


@contextmanager
def exclusive(path: Path) -> Iterator[BinaryIO]:
    """Open a file exclusively, creating it if missing; it is removed if it is empty at the end."""
    while True:
        with here(path):
            opened = path.open("a+b")
        with opened as file:
            with here(path):
                fcntl.flock(file, fcntl.LOCK_EX)
            if not same(file, path):
                continue  # its previous owner has moved it into the store or removed it
            try:
                yield file
            finally:
                if same(file, path) and not os.fstat(file.fileno()).st_size:
                    path.unlink()
            return


def same(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def complete(remote: Remote, source: Source, file: BinaryIO, progress: Progress) -> None:
    """Download the missing rest of a file. Raises DeployError if the result has the wrong hash."""
    began = file.seek(0, os.SEEK_END)
    if remote.size is not None and began > remote.size:
        began = file.truncate(0)
    check_room(remote, file, began)
    digest = digest_of(file)
    try:
        try:
            append(remote, file, began, digest, progress)
        except NotResumable:
            began = file.truncate(0)
            digest = hashlib.sha256()
            append(remote, file, 0, digest, progress)
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in FULL:
            raise
        file.truncate(0)
        raise DeployError(f"{source.shown}: the disk is full; {remote.name} is incomplete") from None
    if digest.hexdigest() == source.sha256:
        os.fchmod(file.fileno(), 0o644)
        return
    file.truncate(0)
    if began:  # the existing part was of another file, or damaged
        raise OSError("the existing part did not match")
    raise DeployError(f"{source.shown} has the SHA-256 {digest.hexdigest()}; wanted {source.sha256}")


def append(remote: Remote, file: BinaryIO, offset: int, digest: hashlib._Hash, progress: Progress) -> None:
    done = offset
    if remote.size is None or done < remote.size:
        for block in remote.blocks(offset):
            done += len(block)
            if remote.size is not None and done > remote.size:
                raise DeployError(f"{remote.name}: received more than the announced {remote.size} bytes")
            file.write(block)
            digest.update(block)
            progress(remote.name, done, remote.size)
    if remote.size is not None and done < remote.size:
        raise OSError(f"the connection broke after {done} of {remote.size} bytes")


def digest_of(file: BinaryIO) -> hashlib._Hash:
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest


def check_room(remote: Remote, file: BinaryIO, there: int) -> None:
    """Raise DeployError if the disk has too little space left."""
    with suppress(OSError):
        found = os.fstatvfs(file.fileno())
        free, needed = found.f_bavail * found.f_frsize, (remote.size or 0) - there
        if needed > free:
            raise DeployError(f"{remote.name} needs {needed} more bytes of disk space; {free} are free")
