"""What a node says over HTTP: `/metrics` for Prometheus, `/healthz` and `/readyz` for supervisors, `/status` for people and programs."""

import asyncio
import re
import socket
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address

import uvicorn
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from streamvc.errors import NodeError
from streamvc.node.fields import split_http
from streamvc.node.metrics import CONTENT_TYPE, Metrics
from streamvc.node.status import Snapshot
from streamvc.threads import Worker

BACKLOG = 64
MAX_CONNECTIONS = 64
HOST = re.compile(r"(?P<name>\[[^\[\]]+\]|[^:\[\]]+)(?::\d*)?")
CLOSE_S = 1  # for answers that are on their way when it is closed


class Web:
    """Answers from now until `close`. Who asks is not asked who he is: listen where only those can reach it who may."""

    def __init__(
        self,
        address: str,
        snapshot: Callable[[], Snapshot],
        problem: Callable[[], str | None],
        registry: CollectorRegistry,
        hosts: Sequence[str] = (),
    ) -> None:
        """Bind and start.

        Args:
            address: `HOST:PORT`; port 0 takes a free one.
            snapshot: The node's status now. Is called from a thread of its own, as the next.
            problem: Why the node does not work as it should and is to be started again; None while it does. Never waits.
            registry: What else is among its metrics.
            hosts: By which names it may be asked for, besides its own.

        Raises:
            NodeError: The address cannot be bound.
        """
        self._listening = _bound(address)
        host, port = self._listening.getsockname()[:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        config = uvicorn.Config(
            _only_for(own_names(host, (split_http(address)[0], *hosts)), application(snapshot, problem, registry)),
            http=_Connection,
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=CLOSE_S,
        )
        self._server = uvicorn.Server(config)
        self._worker = Worker("web", self._run, self._stop).start()

    def close(self) -> None:
        """Stop answering."""
        self._worker.close()
        self._listening.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._listening])

    def _stop(self) -> None:
        self._server.should_exit = True


def application(snapshot: Callable[[], Snapshot], problem: Callable[[], str | None], registry: CollectorRegistry) -> Starlette:
    """The answers; the arguments as for `Web`."""
    metrics = Metrics(snapshot, registry)

    # These are quick, and run in the loop: a thread for each request would cost more.
    async def tell_metrics(_request: Request) -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    async def tell_status(_request: Request) -> Response:
        return Response(snapshot().to_json(), media_type="application/json")

    async def tell_healthy(_request: Request) -> Response:
        found = problem()
        return PlainTextResponse(f"{found}\n" if found else "ok\n", 503 if found else 200)

    async def tell_ready(_request: Request) -> Response:
        found = problem()
        if not found and snapshot().state == "starting":
            found = "cameras are being connected for the first time"
        return PlainTextResponse(f"{found}\n" if found else "ready\n", 503 if found else 200)

    answers = {"/metrics": tell_metrics, "/status": tell_status, "/healthz": tell_healthy, "/readyz": tell_ready}
    return Starlette(routes=[Route(path, answer) for path, answer in answers.items()])


def own_names(host: str, others: Sequence[str] = ()) -> Callable[[str], bool]:
    """Whether a name in a request is this node's: a page of another name in somebody's browser must not read what it says (DNS rebinding).

    Args:
        host: What it listens on; where that is any address (`0.0.0.0`, `::`), all addresses are its own.
        others: Further names.
    """
    named = {"localhost", host.lower(), *(other.lower().rstrip(".") for other in others)}

    def is_own(name: str) -> bool:
        if name in named:
            return True
        try:
            found = ip_address(name)
        except ValueError:
            return False
        return found.is_loopback or ip_address(host).is_unspecified

    return is_own


def _only_for(is_own: Callable[[str], bool], answers: ASGIApp) -> ASGIApp:
    """Answer requests for these hosts alone."""
    refused = PlainTextResponse("this is not the host that is asked for; name it in `http_hosts` of the configuration\n", 421)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        hosts = [value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"host"]
        await (answers if all(is_own(_host_name(host)) for host in hosts) else refused)(scope, receive, send)

    return answer


def _host_name(host: str) -> str:
    """The name in a header `Host`, without its port; empty where it is none."""
    found = HOST.fullmatch(host.strip())
    return found["name"].strip("[]").lower().rstrip(".") if found else ""


class _Connection(H11Protocol):
    """A connection. Of too many, the oldest is cut off: nobody keeps them all by saying nothing."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.opened = time.monotonic()
        if len(self.connections) > MAX_CONNECTIONS:
            min((each for each in self.connections if isinstance(each, _Connection)), key=lambda each: each.opened).transport.abort()


def _bound(address: str) -> socket.socket:
    try:
        family, _, _, _, place = socket.getaddrinfo(*split_http(address), type=socket.SOCK_STREAM)[0]
        return socket.create_server(place, family=family, backlog=BACKLOG)
    except OSError as error:
        words = (error.strerror or str(error)).partition(" (")[0]  # what follows says the address once more
        raise NodeError(f"http: cannot listen on {address}: {words}; give HOST:PORT with a free port, or null for none") from error
