"""The warm process: imports libraries, then forks a child for each script that a client asks it to run.

Started by process.py as `python server.py LISTENER LIFELINE MODULE…`: a listening socket, the reading end of a pipe
and what to import. It runs until the pipe's other end is closed, which the system does for a process that is killed.
It is one file and uses only the standard library, so that a child finds none of our modules loaded.

A child is what a fresh interpreter would be, except for what is read only when a process or a library starts. There
the server's values hold: OMP_NUM_THREADS, MALLOC_*, HF_HUB_OFFLINE, HF_HOME, Python's flags, hash seed and buffering.
No module that is imported here may start threads or initialise CUDA: neither survives a fork. (The threads that
OpenBLAS starts with numpy do: it ends them before a fork and restarts them when needed.)
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import sys
import traceback
from types import CodeType, ModuleType
from typing import Any, NoReturn

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15  # of prctl
CREDENTIALS = struct.Struct("iII")  # pid, uid, gid of SO_PEERCRED
LENGTH = struct.Struct("!I")
STATUS = struct.Struct("!i")
STARTED = b"+"
MAX_FILES = 8  # passed to a script
STANDARD = 3  # of them become its standard files; the numbers of the others are in its environment, as JSON
FILES = "ZYGOTE_FILES"
PATIENCE = 5.0  # seconds that a client has to send its request


class Server:
    """Clients wait at `listener`. lifeline: as in the module's description."""

    def __init__(self, listener: socket.socket, lifeline: int) -> None:
        self.listener, self.lifeline = listener, lifeline
        self.pid = os.getpid()
        self.clients: dict[int, tuple[int, socket.socket]] = {}  # by connection: the child's pid, and the connection
        self.woken, self.wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.poll = select.poll()
        for fd in (lifeline, self.woken, listener.fileno()):
            self.poll.register(fd, select.POLLIN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for our parent, which closes the lifeline
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wake, warn_on_full_buffer=False)

    def serve(self) -> dict[str, Any]:
        """Fork for each client. Returns only in the children, with what to run."""
        while True:
            # One event at a time: handling it may close a file that another event is about.
            fd, _ = self.poll.poll()[0]
            if fd == self.lifeline:
                self.end()
            elif fd == self.woken:
                os.read(fd, 4096)
                self.reap()
            elif fd == self.listener.fileno():
                request = self.accept()
                if request is not None:
                    return request
            else:  # a client went away or wants its script ended
                self.poll.unregister(fd)
                os.kill(self.clients[fd][0], signal.SIGKILL)

    def accept(self) -> dict[str, Any] | None:
        """The next client's request in the child that is to run it; None in the server.

        A client whose connection is closed before it hears that its script has started runs it itself.
        """
        client, _ = self.listener.accept()
        try:
            request = receive(client)
        except Exception as error:  # noqa: BLE001 - whatever one client sends, the others are served
            refuse(client, error)
            return None
        for name in request["preload"]:
            load(name)
        try:
            pid = os.fork()
        except OSError as error:
            refuse(client, error)
            pid = -1
        if pid == 0:
            self.leave(client)
            return request
        for fd in request["files"]:
            os.close(fd)
        if pid > 0:
            self.clients[client.fileno()] = pid, client
            self.poll.register(client, select.POLLRDHUP)
        return None

    def leave(self, client: socket.socket) -> None:
        """In a child: end with the server, keep nothing of it, and tell the client that its script starts."""
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self.pid:  # it died before that
            os._exit(1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.set_wakeup_fd(-1)  # from 3.12 on, asyncio has done that when it is loaded
        for fd in (self.wake, self.woken, self.lifeline):
            os.close(fd)
        self.listener.close()
        for _, other in self.clients.values():
            other.close()
        try:
            with client:
                client.sendall(STARTED)
        except OSError:  # it has given up, so there is nothing to run
            os._exit(1)

    def reap(self) -> None:
        """Tell each client whose script has ended the exit status: negative for a signal."""
        statuses = {}
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                statuses[found[0]] = os.waitstatus_to_exitcode(found[1])
        for fd, (pid, client) in list(self.clients.items()):
            if pid in statuses:
                del self.clients[fd]
                with contextlib.suppress(KeyError):
                    self.poll.unregister(fd)
                with client, contextlib.suppress(OSError):  # it may be gone
                    client.sendall(STATUS.pack(statuses[pid]))

    def end(self) -> NoReturn:
        for pid, _ in self.clients.values():
            os.kill(pid, signal.SIGKILL)
        for pid, _ in self.clients.values():
            os.waitpid(pid, 0)
        address = self.listener.getsockname()
        with contextlib.suppress(OSError):  # our parent may have been quicker
            os.unlink(address)  # noqa: PTH108
            os.rmdir(os.path.dirname(address))  # noqa: PTH106, PTH120
        os._exit(0)


def refuse(client: socket.socket, error: Exception) -> None:
    print(f"zygote: a request failed: {error!r}", file=sys.stderr, flush=True)
    client.close()


def receive(client: socket.socket) -> dict[str, Any]:
    """A client's request: `arguments`, `folder`, `environment`, `preload`, and its `files` from standard input on."""
    _, uid, _ = CREDENTIALS.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
    if uid != os.getuid():
        raise PermissionError(f"user {uid} asks for a process of user {os.getuid()}")
    client.settimeout(PATIENCE)
    head, files, _, _ = socket.recv_fds(client, LENGTH.size, MAX_FILES)
    try:
        (left,) = LENGTH.unpack(head) if len(head) == LENGTH.size else (0,)
        body = b""
        while len(body) < left and (piece := client.recv(left - len(body))):
            body += piece
        client.settimeout(None)
        request = json.loads(body)
        return {name: request[name] for name in ("arguments", "folder", "environment", "preload")} | {"files": files}
    except Exception:
        for fd in files:
            os.close(fd)
        raise


def load(name: str) -> None:
    """Import a module, or run a file for what it imports. If that fails, whoever needs it merely starts more slowly."""
    if name in LOADED:
        return
    LOADED.add(name)
    try:
        if name.endswith(".py"):
            runpy.run_path(name)
        else:
            importlib.import_module(name)
    except Exception:  # noqa: BLE001 - a library may raise anything, and the script's own import reports it
        print(f"zygote: {name} cannot be imported ahead", file=sys.stderr)
        traceback.print_exc()
    gc.collect()
    gc.freeze()  # the collector would write to memory that the children share


def become(request: dict[str, Any]) -> None:
    """Take on a request's files, folder, environment and arguments, as a fresh interpreter would."""
    standard, more = request["files"][:STANDARD], request["files"][STANDARD:]
    for number, fd in enumerate(standard):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(request["folder"])
    # Before any call to CUDA, so CUDA_VISIBLE_DEVICES holds too.
    os.environ.clear()
    os.environ.update(request["environment"])
    if more:
        os.environ[FILES] = json.dumps(more)
    script = request["arguments"][0]
    sys.argv = request["arguments"]
    sys.orig_argv = [sys.executable, *sys.argv]
    ahead = [] if sys.flags.safe_path else [os.path.dirname(os.path.realpath(script))]  # noqa: PTH120
    if not sys.flags.ignore_environment:
        given = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        ahead += map(os.path.abspath, given)
    sys.path[:] = dict.fromkeys([*ahead, *sys.path])
    ctypes.CDLL(None).prctl(PR_SET_NAME, os.path.basename(script).encode())  # noqa: PTH119 - for ps
    if "tempfile" in sys.modules:
        vars(sys.modules["tempfile"])["tempdir"] = None  # it came from the server's environment
    # Python's own generator gets a new seed after a fork; torch's generators for CUDA are created later.
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.seed()


def run(script: str) -> None:
    """Run the script as `__main__`; an exception ends the process as it would end a fresh one."""
    main = ModuleType("__main__")
    vars(main).update(__file__=script, __builtins__=sys.modules["builtins"])
    sys.modules["__main__"] = main
    try:
        with open(script, "rb") as file:  # noqa: PTH123
            # Not with the compiler's flags of this file.
            code: CodeType = compile(file.read(), script, "exec", dont_inherit=True)
        exec(code, vars(main))  # noqa: S102 - running it is the purpose
    except Exception as error:  # noqa: BLE001 - as above
        trace = error.__traceback__
        while trace and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        sys.exit(1)


LOADED: set[str] = set()

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # this file's folder
    server = Server(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))
    for module in sys.argv[3:]:
        load(module)
    asked = server.serve()
    del server
    become(asked)
    run(asked["arguments"][0])
