from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from streamvc.node.timetable import Timetable

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    """A moment by Berlin's clocks; 2026-11-23 is a Monday."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def table(*rules: str) -> Timetable:
    return Timetable.parse(rules, "Europe/Berlin")


@pytest.mark.parametrize(
    ("rules", "opened", "closed"),
    [
        ((), ["2026-11-23 00:00", "2026-11-29 23:59"], []),
        (("mon-fri 08:00-18:00",), ["2026-11-23 08:00", "2026-11-27 17:59"], ["2026-11-23 07:59", "2026-11-23 18:00", "2026-11-28 12:00"]),
        (("22:00-06:00",), ["2026-11-23 22:00", "2026-11-24 00:00", "2026-11-24 05:59"], ["2026-11-24 06:00", "2026-11-24 21:59"]),
        (("fri 22:00-6:00",), ["2026-11-27 23:00", "2026-11-28 05:59"], ["2026-11-27 05:00", "2026-11-28 22:30"]),
        (("sat-mon",), ["2026-11-28 00:00", "2026-11-29 12:00", "2026-11-30 23:59"], ["2026-11-27 23:59", "2026-12-01 00:00"]),
        (("Sat,Sun 10:00-24:00", "wed 9:00-9:30"), ["2026-11-28 23:59", "2026-11-25 09:15"], ["2026-11-29 00:00", "2026-11-25 10:00"]),
        (("10:00 - 12:00", "11:00-13:00"), ["2026-11-23 12:30"], ["2026-11-23 13:00"]),
    ],
)
def test_a_camera_is_watched_when_a_rule_says_so(rules: tuple[str, ...], opened: list[str], closed: list[str]) -> None:
    assert all(table(*rules).is_open(at(moment)) for moment in opened)
    assert not any(table(*rules).is_open(at(moment)) for moment in closed)


def test_a_moment_is_the_same_wherever_it_is_told() -> None:
    moment = at("2026-11-23 08:00")
    assert table("08:00-09:00").is_open(moment.astimezone(UTC))
    assert table("08:00-09:00").is_open(moment.astimezone(ZoneInfo("Asia/Tokyo")))
    assert not Timetable.parse(["08:00-09:00"], "Asia/Tokyo").is_open(moment)


def test_without_a_time_zone_it_is_that_of_the_machine() -> None:
    noon = datetime(2026, 11, 23, 12).astimezone()
    assert Timetable.parse(["12:00-12:01"]).is_open(noon)
    assert not Timetable.parse(["12:01-12:02"]).is_open(noon)


def test_a_night_is_longer_or_shorter_when_the_clocks_are_changed() -> None:
    night = table("22:00-06:00")
    for evening, hours in (("2026-03-28 22:00", 7), ("2026-06-28 22:00", 8), ("2026-10-24 22:00", 9)):
        open_for = [minute for minute in range(12 * 60) if night.is_open(at(evening).astimezone(UTC) + timedelta(minutes=minute))]
        assert open_for == list(range(60 * hours))


def test_in_the_hour_that_clocks_are_changed_by_a_camera_is_watched_rather_than_not() -> None:
    # 02:00 to 03:00 comes twice on 2026-10-25, and not at all on 2026-03-29.
    autumn = [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1)]
    assert all(table("sun 02:15-02:45").is_open(moment) for moment in autumn)
    assert table("sun 02:15-02:45").is_open(datetime(2026, 3, 29, 1, 20, tzinfo=UTC))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("", "is not a time to watch"),
        ("always", "'always' is not a day"),
        ("mo-fri 8:00-9:00", "'mo' is not a day; did you mean mon"),
        ("mon 8-9", "is not a time to watch"),
        ("mon 25:00-26:00", "25:00 is not a time"),
        ("mon 08:60-09:00", "08:60 is not a time"),
        ("08:00-08:00", "begins when it ends"),
        ("24:00-06:00", "begins when it ends"),
    ],
)
def test_what_is_no_rule_is_refused(rule: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        table(rule)


def test_a_time_zone_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean Europe/Berlin"):
        Timetable.parse([], "Europe/Berln")
    with pytest.raises(ValueError, match="write it as"):
        Timetable.parse([], "../zone")
    with pytest.raises(ValueError, match="there is no time zone"):
        Timetable.parse([], "Europe")


def test_the_changes_of_a_year_follow_upon_each_other() -> None:
    timetable, begin = table("mon-fri 08:00-18:00", "sat 22:00-04:00", "sun 04:00-04:30"), at("2026-01-01 00:00").astimezone(UTC)
    moments = [begin + number * timedelta(minutes=30) for number in range(365 * 48)]
    changes = [after for before, after in pairwise(moments) if timetable.is_open(before) != timetable.is_open(after)]
    assert len(changes) == 2 * (261 + 52)
    assert {f"{change.astimezone(BERLIN):%H:%M}" for change in changes} == {"08:00", "18:00", "22:00", "04:30"}
