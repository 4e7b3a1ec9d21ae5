from streamvc.node.overload import SPAN_S, Demand, Overload, Rates, Tally


def filmed(rates: Rates, begin_s: int, end_s: int, received: float, due: float, used: float) -> None:
    """A camera that brings so many frames a second."""
    for second in range(begin_s, end_s + 1):
        rates.step(float(second), Tally(received * (second - begin_s), due * (second - begin_s), used * (second - begin_s)))


def test_rates_are_those_of_the_last_seconds() -> None:
    rates = Rates()
    assert rates.value == Tally(0.0, 0.0, 0.0)
    for second in range(100):
        rates.step(float(second), Tally(25.0 * second, 5.0 * second, 5.0 * min(second, 50), 1.0 * second))
        assert rates.is_settled == (second >= SPAN_S)
    assert rates.value == Tally(25.0, 5.0, 0.0, 1.0)


def test_counts_that_begin_anew_are_measured_anew() -> None:
    rates = Rates()
    filmed(rates, 0, 20, 25.0, 5.0, 5.0)
    filmed(rates, 21, 22, 10.0, 5.0, 3.0)
    assert rates.value == Tally(10.0, 5.0, 3.0)
    assert not rates.is_settled


def test_a_node_that_keeps_up_has_nothing_to_say() -> None:
    overload = Overload()
    assert overload.step([]) is None
    assert overload.step([Demand("still", 0.0, 0.0), Demand("yard", 5.0, 4.8)]) is None


def test_it_says_how_many_are_short_and_which_one_most() -> None:
    said = Overload().step([Demand("yard", 5.0, 3.1), Demand("gate", 5.0, 4.0), Demand("door", 8.0, 7.9)])
    assert said == "2 of 3 cameras are analysed below their rate, the lowest at 3.1 of 5.0 Hz (yard)"


def test_one_alone_is_one() -> None:
    said = Overload().step([Demand("yard", 5.0, 3.1), Demand("gate", 5.0, 5.0)])
    assert said == "1 of 2 cameras is analysed below its rate, at 3.1 of 5.0 Hz (yard)"


def test_it_says_where_it_is_decoding_that_takes_too_long() -> None:
    said = Overload().step([Demand("yard", 5.0, 3.0, 1.5), Demand("gate", 5.0, 3.0, 1.0), Demand("door", 5.0, 5.0)])
    assert said == "2 of 3 cameras are analysed below their rate, the lowest at 3.0 of 5.0 Hz (yard), as there is no time to decode all"
    assert "decode" not in str(Overload().step([Demand("yard", 5.0, 3.0, 0.5)]))


def test_it_is_over_only_when_there_is_some_room_again() -> None:
    overload = Overload()
    assert overload.step([Demand("yard", 5.0, 4.6)]) is None
    assert overload.step([Demand("yard", 5.0, 4.4)]) is not None
    assert overload.step([Demand("yard", 5.0, 4.6)]) is not None
    assert overload.step([Demand("yard", 5.0, 4.8)]) is None
    assert overload.step([Demand("yard", 5.0, 4.6)]) is None


def test_too_few_frames_for_a_model_are_told_first() -> None:
    short = "not enough frames for fall, which needs 4 a second"
    said = Overload().step([Demand("yard", 5.0, 1.1), Demand("gate", 5.0, 3.0, shortage=short), Demand("door", 5.0, 5.0)])
    assert said == f"gate: {short}"
    said = Overload().step([Demand("gate", 5.0, 3.0, shortage=short), Demand("door", 2.0, 2.0, shortage=short)])
    assert said == f"gate: {short}, and 1 more of 2 cameras"
