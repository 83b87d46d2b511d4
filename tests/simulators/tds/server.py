"""The listener: one thread per client, TLS for all of it, and the ways in which a server lets clients down."""

import contextlib
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pysqlbridge.certificate import Certificate
from pysqlbridge.logins import Login, LoginStore
from pysqlbridge.tds.prelogin import Encryption
from pysqlbridge.tds.result import Query, QueryError

from simulators.tds.types import type_info
from simulators.tds.wire import Answer, Session, Unanswered

USER, PASSWORD = "connector", "simulated-secret"

PREPARE, PREPARE_AND_EXECUTE, EXECUTE, UNPREPARE = (
    {"sp_prepare"},
    {"sp_prep_exec", "sp_prepexec"},
    {"sp_execute"},
    {"sp_unprepare"},
)

TYPE_INFO = re.compile(r"(exec )?(\[?sys\]?\.)?sp_datatype_info(_100)? *(?P<number>-?\d+)?", re.IGNORECASE)


class Backend(Protocol):
    """What answers the statements of one client, in the client's thread."""

    def answer(self, statement: str, values: list[object]) -> Answer: ...

    def close(self) -> None: ...


class Dropped(BaseException):
    """The connection ends here, without a word; no Exception, so that it is not turned into an answer."""


@dataclass
class Fault:
    """What happens instead of answering a statement that contains `word`."""

    word: str
    kind: str  # "error", "drop before", "drop after", "stall"
    number: int = 0
    message: str = ""


def normal(statement: str) -> str:
    """A statement's text, however a driver numbers its parameters, without regard to blanks."""
    return " ".join(re.sub(r"@P\d+\b", "?", statement, flags=re.IGNORECASE).split())


@dataclass
class Client:
    """Answers the requests of one connection: statements, and the procedures that prepare them."""

    server: "Server"
    backend: Backend
    prepared: dict[int, str] = field(default_factory=dict)

    def __call__(self, query: Query) -> Answer | Unanswered:
        values = [*query.arguments, *query.parameters.values()]
        procedure = (query.procedure or "").lower()
        if procedure in PREPARE:
            return Answer(called=True, handle=self._prepare(str(values[2])))
        if procedure in PREPARE_AND_EXECUTE:
            return self._run(str(values[2]), values[3:], handle=self._prepare(str(values[2])))
        if procedure in EXECUTE:
            return self._run(self.prepared[int(str(values[0]))], values[1:])
        if procedure in UNPREPARE:
            self.prepared.pop(int(str(values[0])))
            return Answer(called=True)
        if asked := TYPE_INFO.match(procedure or query.sql):
            return type_info(int(str(values[0] if values else asked["number"])))
        if procedure:
            raise QueryError(f"Could not find stored procedure '{procedure}'.", number=2812)
        return self._run(query.sql, values, called=bool(values))

    def _prepare(self, statement: str) -> int:
        handle = max(self.prepared, default=0) + 1
        self.prepared[handle] = statement
        return handle

    def _run(
        self, statement: str, values: list[object], handle: int | None = None, called: bool = True
    ) -> Answer | Unanswered:
        text = normal(statement)
        self.server.statements.append(text)
        fault = self.server.next_fault(text)
        if fault and fault.kind == "error":
            raise QueryError(fault.message, number=fault.number)
        if fault and fault.kind == "drop before":
            raise Dropped
        if fault and fault.kind == "stall":
            return Unanswered()
        answer = self.backend.answer(text, values)
        if fault and fault.kind == "drop after":
            raise Dropped
        return Answer(answer.columns, answer.rows, answer.count, called, handle)


class _Handler(socketserver.BaseRequestHandler):
    server: "Server"

    def handle(self) -> None:
        backend = self.server.backend()
        session = Session(
            self.server.certificate,
            encryption=Encryption.REQUIRED,
            query_handler=Client(self.server, backend),
            logins=self.server.logins,
            database="DimeScheduler",
        )
        session.cancelled = self.server.cancelled.set
        try:
            with contextlib.suppress(OSError, Dropped):
                while data := self.request.recv(65536):
                    for response in session.receive(data):
                        self.request.sendall(response)
        finally:
            self.server.encrypted.append(session.session_encrypted)
            backend.close()


class Server(socketserver.ThreadingTCPServer):
    """Listens on a free port of 127.0.0.1 until it is closed."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, certificate: Certificate, backend: Callable[[], Backend], port: int = 0) -> None:
        self.certificate = certificate
        self.backend = backend
        self.logins = LoginStore([Login(USER, PASSWORD, hashed=False, source="simulator")])
        self.statements: list[str] = []
        """Every statement that was asked for, in its normal form."""
        self.faults: list[Fault] = []
        self.cancelled = threading.Event()
        """Set when a client gave up waiting for an answer."""
        self.encrypted: list[bool] = []
        """For every connection that ended, whether all of it was under TLS."""
        self._clients: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def next_fault(self, statement: str) -> Fault | None:
        """The first fault that fits, once."""
        fitting = next((fault for fault in self.faults if fault.word in statement), None)
        if fitting:
            self.faults.remove(fitting)
        return fitting

    def get_request(self) -> tuple[socket.socket, object]:
        client, address = super().get_request()
        self._clients.add(client)
        return client, address

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self._clients.discard(request)
        super().shutdown_request(request)

    def drop_all(self) -> int:
        """End every connection, as a restart or a KILL would; the number of them."""
        clients = list(self._clients)
        for client in clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        return len(clients)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up in the middle is no fault of the stand-in's."""


@contextlib.contextmanager
def serving(folder: Path, backend: Callable[[], Backend], port: int = 0) -> Iterator[Server]:
    """A listener in a thread, with the certificate cert.pem and key.pem of a folder."""
    certificate = Certificate((folder / "cert.pem").read_bytes(), (folder / "key.pem").read_bytes())
    with Server(certificate, backend, port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            server.drop_all()
            thread.join()
