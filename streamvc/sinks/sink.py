"""What a sink is, and how its address is read."""

import json
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, get_args
from urllib.parse import parse_qsl

from streamvc.errors import SinkError
from streamvc.events import Phase
from streamvc.publish.wire import KINDS, Kind, Message

PHASES: frozenset[Phase] = frozenset(get_args(Phase))


@dataclass(frozen=True, slots=True)
class SinkFilter:
    """Which messages a sink is given: those of these kinds and, of events, of these phases."""

    kinds: frozenset[Kind] = frozenset({"event"})
    phases: frozenset[Phase] = PHASES

    def wants(self, message: Message) -> bool:
        if message.topic.kind not in self.kinds:
            return False
        return message.topic.kind != "event" or self.phases == PHASES or json.loads(message.body)["data"]["phase"] in self.phases


class Sink(Protocol):
    """Takes messages somewhere else. One thread delivers; `close` may come from another.

    Attributes:
        name: What it is called in logs; holds no secret.
        choice: Which messages it is given.
        batch_size: How many it is given at once, at most.
    """

    name: str
    choice: SinkFilter
    batch_size: int

    def deliver(self, messages: Sequence[Message]) -> None:
        """Take messages, in order; returns when they have arrived.

        Raises:
            SinkError: Not all have arrived; the same are given again later.
        """
        ...

    def close(self) -> None:
        """Release everything; a delivery that is going on ends."""
        ...


def read_options(text: str, known: Collection[str]) -> dict[str, str]:
    """The options of a sink, written `name=value&name=value`.

    Raises:
        SinkError: One is not among the known, is there twice, or has no value.
    """
    options: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name not in known:
            raise SinkError(f"a sink of this kind has no option {name!a}; it has {', '.join(sorted(known))}")
        if name in options or not value:
            raise SinkError(f"the option {name} of a sink is to be given once, with a value")
        options[name] = value
    return options


def read_choice(options: dict[str, str], kinds: Collection[Kind]) -> SinkFilter:
    """What `kinds=event,state` and `phases=start,end` choose; these kinds, and all phases, where they are not given.

    Raises:
        SinkError: There is no such kind or phase.
    """
    chosen = _names(options, "kinds", KINDS.keys() - {"heartbeat"}, kinds)
    phases = _names(options, "phases", PHASES, PHASES)
    return SinkFilter(frozenset(KINDS[name] for name in chosen), frozenset(phase for phase in PHASES if phase in phases))


def read_secret(options: dict[str, str], option: str, variable: str) -> str | None:
    """The secret in the file that an option names or, without it, in an environment variable; None where neither is there.

    Raises:
        SinkError: The file cannot be read, or is empty.
    """
    if option not in options:
        return os.environ.get(variable) or None
    try:
        secret = Path(options[option]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        named = options[option] if "/" in options[option] else "a file of this name"  # it may be the secret itself
        raise SinkError(f"cannot read the secret in {named} ({option})") from error
    if not secret:
        raise SinkError(f"{options[option]} ({option}) is empty")
    return secret


def reason(error: BaseException | None) -> str:
    """Why something failed, in the words of the system."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error or "") or type(error).__name__


def _names(options: dict[str, str], option: str, known: Collection[str], default: Collection[str]) -> Collection[str]:
    if option not in options:
        return default
    names = options[option].split(",")
    if unknown := [name for name in names if name not in known]:
        raise SinkError(f"{option}={options[option]}: there is no {unknown[0]!a}; there are {', '.join(sorted(known))}")
    return names
