"""When a camera is watched: rules such as `mon-fri 08:00-18:00`, in local time. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from difflib import get_close_matches
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FORMS = "`mon-fri 08:00-18:00`, `sat,sun 10:00-14:00`, `22:00-06:00` or `sun`"
RULE = re.compile(r"(?P<days>[a-z][a-z,-]*)?\s*(?:(?P<opens>\d\d?:\d\d)\s*-\s*(?P<closes>\d\d?:\d\d))?")
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rule:
    """Watched on these days of the week (0 is Monday) from `opens` to `closes`, both since midnight; beyond 24 h it goes on into the next day."""

    days: frozenset[int]
    opens: timedelta
    closes: timedelta

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a rule.

        Raises:
            ValueError: It is none.
        """
        found = RULE.fullmatch(text.strip().lower())
        if not found or not found[0]:
            raise ValueError(f"{text!r} is not a time to watch; write it as {FORMS}")
        opens, closes = (_time(found["opens"]), _time(found["closes"])) if found["opens"] else (timedelta(), DAY)
        if opens == closes or opens >= DAY:
            raise ValueError(f"{text!r} begins when it ends; the whole day is 00:00-24:00")
        return cls(_days(found["days"]) if found["days"] else frozenset(range(7)), opens, closes if closes > opens else closes + DAY)


@dataclass(frozen=True, slots=True)
class Timetable:
    """When a camera is watched; always, where there are no rules.

    In the hour that a clock is put back or forward by, a camera is watched rather than not.

    Attributes:
        rules: It is watched where any of them says so.
        zone: Of their times; None for that of this machine.
    """

    rules: tuple[Rule, ...] = ()
    zone: ZoneInfo | None = None

    @classmethod
    def parse(cls, rules: Sequence[str], timezone: str | None = None) -> Self:
        """Read rules.

        Args:
            rules: Such as `mon-fri 08:00-18:00`, `sat,sun 10:00-14:00`, `22:00-06:00` (every night, into the next day) or `sun` (all of it).
            timezone: Such as `Europe/Berlin`; this machine's if not given.

        Raises:
            ValueError: A rule is none, or there is no such time zone.
        """
        return cls(tuple(map(Rule.parse, rules)), None if timezone is None else find_zone(timezone))

    def is_open(self, now: datetime) -> bool:
        """Whether the camera is watched at this moment, which must know its time zone."""
        return not self.rules or any(opens <= now < closes for opens, closes in self._spans(now))

    def _spans(self, now: datetime) -> Iterator[tuple[datetime, datetime]]:
        """From when to when it is open around now, in UTC."""
        today = datetime.combine(now.astimezone(self.zone).date(), time())
        for day in (today + number * DAY for number in range(-2, 2)):
            for rule in self.rules:
                if day.weekday() in rule.days:
                    yield min(self._moments(day + rule.opens)), max(self._moments(day + rule.closes))

    def _moments(self, local: datetime) -> list[datetime]:
        """When clocks show this: two different moments where they are put back or forward over it."""
        return [local.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1)]


def find_zone(name: str) -> ZoneInfo:
    """A time zone by its name.

    Raises:
        ValueError: There is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        close = get_close_matches(name, available_timezones(), n=1)
        raise ValueError(f"there is no time zone {name!r}; " + (f"did you mean {close[0]}?" if close else "write it as Europe/Berlin")) from error


def _time(text: str) -> timedelta:
    hours, minutes = map(int, text.split(":"))
    if minutes > 59 or (since := timedelta(hours=hours, minutes=minutes)) > DAY:
        raise ValueError(f"{text} is not a time of the day")
    return since


def _days(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        begin, end = _day(first), _day(last or first)
        days.update((begin + number) % 7 for number in range((end - begin) % 7 + 1))
    return frozenset(days)


def _day(name: str) -> int:
    if name not in DAYS:
        close = get_close_matches(name, DAYS, n=1)
        raise ValueError(f"{name!r} is not a day; " + (f"did you mean {close[0]}? " if close else "") + f"they are {', '.join(DAYS)}")
    return DAYS.index(name)
