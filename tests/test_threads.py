import pytest

from streamvc.threads import Channel, ChannelClosed, Worker


def test_items_arrive_in_order_and_closing_ends_the_iteration() -> None:
    channel: Channel[int] = Channel(2)

    def produce() -> None:
        for item in range(100):
            channel.put(item)
        channel.close()

    with Worker("producer", produce, channel.close):
        assert list(channel) == list(range(100))


def test_an_error_travels_behind_the_data() -> None:
    channel: Channel[int] = Channel(8)
    channel.put(1)
    channel.close(OSError("the disk is gone"))
    items = iter(channel)
    assert next(items) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(items)


def test_the_reader_may_close_too_and_releases_a_waiting_writer() -> None:
    channel: Channel[int] = Channel(1)

    def produce() -> None:
        while True:
            channel.put(0)

    with Worker("producer", produce, channel.close):
        assert channel.get() == 0
    with pytest.raises(ChannelClosed):
        channel.put(0)


def test_the_first_close_counts() -> None:
    channel: Channel[int] = Channel(1)
    channel.close()
    channel.close(OSError("too late"))
    assert list(channel) == []


def test_an_error_that_a_thread_lets_out_is_raised_where_the_block_is_left() -> None:
    def fail() -> None:
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"), Worker("failing", fail, lambda: None):
        pass
