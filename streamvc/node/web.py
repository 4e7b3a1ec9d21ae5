"""What a node says over HTTP: `/metrics` for Prometheus, `/healthz` and `/readyz` for supervisors, `/status` for people and programs."""

import socket
from collections.abc import Callable

import uvicorn
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from streamvc.errors import NodeError
from streamvc.node.fields import split_http
from streamvc.node.metrics import CONTENT_TYPE, Metrics
from streamvc.node.status import Snapshot
from streamvc.threads import Worker

BACKLOG = 64
CLOSE_S = 1  # for answers that are on their way when it is closed


class Web:
    """Answers from now until `close`. Who asks is not asked who he is: listen where only those can reach it who may."""

    def __init__(self, address: str, snapshot: Callable[[], Snapshot], problem: Callable[[], str | None], registry: CollectorRegistry) -> None:
        """Bind and start.

        Args:
            address: `HOST:PORT`; port 0 takes a free one.
            snapshot: The node's status now. Is called from a thread of its own, as the next.
            problem: Why the node does not work as it should and is to be started again; None while it does. Never waits.
            registry: What else is among its metrics.

        Raises:
            NodeError: The address cannot be bound.
        """
        self._listening = _bound(address)
        host, port = self._listening.getsockname()[:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        config = uvicorn.Config(
            application(snapshot, problem, registry),
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


def _bound(address: str) -> socket.socket:
    try:
        family, _, _, _, place = socket.getaddrinfo(*split_http(address), type=socket.SOCK_STREAM)[0]
        return socket.create_server(place, family=family, backlog=BACKLOG)
    except OSError as error:
        words = (error.strerror or str(error)).partition(" (")[0]  # what follows says the address once more
        raise NodeError(f"http: cannot listen on {address}: {words}; give HOST:PORT with a free port, or null for none") from error
