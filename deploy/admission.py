"""Admits only archives with a trusted signature: TorchServe's store holds copies, each verified as it was made.

Anybody who may register a model can do so at any time, and TorchServe reads the archive from its store at that moment.
Therefore the verified file must be the one that it reads: not the file in the user's folder, which may be replaced a
moment later, but a copy that nobody else can write.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from deploy.archive import archives_in
from deploy.errors import DeployError
from trust import signature
from trust.errors import SignatureError
from trust.keys import SHOWN, PublicKey, trusted

VARIABLE = "BUNDLE_REQUIRE_SIGNED"  # a file of public keys
LOOK = 2.0  # seconds between two looks at the folder
BLOCK = 1 << 20  # bytes
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.mar")
State = tuple[int, ...]


@dataclass
class Admission:
    """source: where archives and their signatures are put. store: TorchServe's, mode 0700. keys: a file of public keys.

    A copy stays in the store until its archive is removed from the source. If a bad file replaces a good one in the
    source, the bad one is refused, and the good one can still be registered again after a restart.
    """

    source: Path
    store: Path
    keys: Path
    trusted: Sequence[PublicKey] = field(init=False, repr=False)
    # For each archive, the files that were last checked, and why they were refused; "" if they were admitted.
    found: dict[str, tuple[State, str]] = field(default_factory=dict, init=False, repr=False)
    seen: dict[str, State] = field(default_factory=dict, init=False, repr=False)
    lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    def __post_init__(self) -> None:
        """Raises DeployError if the keys cannot be read."""
        self.source, self.store, self.keys = (path.resolve() for path in (self.source, self.store, self.keys))
        try:
            self.trusted = trusted(self.keys)
        except SignatureError as error:
            raise DeployError(str(error)) from None

    def to_json(self) -> dict[str, Any]:
        """For another process of the same server, which then need not verify the same files again."""
        paths = {name: str(getattr(self, name)) for name in ("source", "store", "keys")}
        with self.lock:
            return {**paths, "found": dict(self.found)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        made = cls(*(Path(values[name]) for name in ("source", "store", "keys")))
        made.found = {name: (tuple(state), problem) for name, (state, problem) in values["found"].items()}
        return made

    def empty(self) -> None:
        """Create the store, without anything that an earlier server left in it."""
        try:
            self.store.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.store.chmod(0o700)
            for path in self.store.iterdir():
                path.unlink()
        except OSError as error:
            raise DeployError(f"{self.store} cannot be used for archives that are admitted: {error.strerror}") from None

    def admit(self, name: str) -> Path:
        """Check an archive of the source, and return its copy in the store.

        Raises DeployError if it is missing, unsigned, altered, or signed with an unknown key. Files that have not
        changed since the last check are not read again.
        """
        path = self.source / name
        if not NAME.fullmatch(name):
            raise DeployError(f"refused: {name[:80]!r} is not the name of an archive in the model store")
        with self.lock:
            state = state_of(path)
            if name not in self.found or self.found[name][0] != state:
                self.found[name] = (state, self.refusal(path))
            problem = self.found[name][1]
        if problem:
            raise DeployError(problem)
        return self.store / name

    def refusal(self, path: Path) -> str:
        """Copy and verify; returns the reason for a refusal, or ""."""
        try:
            self.copy(path)
        except SignatureError as error:
            return f"refused: {error}"
        except OSError as error:
            return f"refused: {path.name} cannot be read: {error.strerror or error}"
        return ""

    def copy(self, path: Path) -> None:
        said = signature.read_signature(path)
        descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".partial", dir=self.store)
        partial = Path(temporary)
        try:
            with os.fdopen(descriptor, "wb") as target:
                digest = copied(path, target)
            signature.check(path.name, said, digest, self.trusted)
            partial.chmod(0o400)
            partial.replace(self.store / path.name)
        finally:
            partial.unlink(missing_ok=True)

    def look(self, tell: Callable[[str], None], settled: bool = True) -> None:
        """Admit new archives of the source, and remove from the store those that the source no longer has.

        tell: called with a line for each archive that is admitted, refused or withdrawn. settled: whether
        to wait until files are unchanged between two checks, because somebody may still be copying them.
        """
        if not self.source.is_dir():  # a network folder may become reachable again
            return
        names = [path.name for path in archives_in(self.source)]
        for name in names:
            state = state_of(self.source / name)
            last, self.seen[name] = self.seen.get(name), state
            if self.found.get(name, (None, ""))[0] == state or (settled and last != state):
                continue
            try:
                self.admit(name)
                tell(f"{name} is admitted: {self.signed_by(name)}")
            except DeployError as error:
                tell(str(error))
        for path in archives_in(self.store):
            if path.name not in names:
                path.unlink(missing_ok=True)
                self.found.pop(path.name, None)
                tell(f"{path.name} is withdrawn: it has left {self.source}")

    def signed_by(self, name: str) -> str:
        """The key that an admitted archive's signature names, for the log."""
        named = signature.signer_named(signature.read_signature(self.source / name))
        return f"signed with the key {named[:SHOWN]}" if named else "signed"

    def watch(self, ended: threading.Event, tell: Callable[[str], None]) -> threading.Thread:
        """Check every LOOK seconds until `ended` is set; to be run in a thread."""

        def run() -> None:
            said = ""
            while not ended.wait(LOOK):
                try:
                    self.look(tell)
                    said = ""
                except (OSError, SignatureError) as error:
                    if str(error) != said:
                        tell(f"archives cannot be admitted from {self.source}: {error}")
                    said = str(error)

        thread = threading.Thread(target=run, name="admission", daemon=True)
        thread.start()
        return thread


def admit(archives: Sequence[Path], store: Path, keys: Path) -> Admission:
    """An admission that begins with these archives of one folder. Raises DeployError if one is missing or refused.

    store: as in Admission. keys: a file of public keys.
    """
    admission = Admission(archives[0].parent, store, keys)
    admission.empty()
    missing = [path.name for path in archives if not path.is_file()]
    if missing:
        raise DeployError(
            f"no {', '.join(missing)} in {admission.source}; where archives must be signed, none is built: "
            "`./bundle build` makes it, `./bundle sign` signs it"
        )
    for path in archives:
        admission.admit(path.name)
    return admission


def copied(path: Path, target: Any) -> str:
    """Copy a file, and return the SHA-256 of the written bytes. Raises OSError if it is not a regular file."""
    digest = hashlib.sha256()
    # Opening a pipe would block until somebody writes to it.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as source:
        if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            raise OSError("it is not a file")
        while block := source.read(BLOCK):
            digest.update(block)
            target.write(block)
    return digest.hexdigest()


def state_of(path: Path) -> State:
    """The identity of an archive and its signature: it differs as soon as either file is replaced or changed."""
    numbers: list[int] = []
    for each in (path, signature.path_of(path)):
        try:
            found = each.stat()
            numbers += [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]
        except OSError:
            numbers.append(0)
    return tuple(numbers)
