"""A small slice of what scripts/fuzz.py tries; see `tests.publish.mutations`."""

import pytest

from tests.publish.mutations import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_changed_inputs_do_no_more_than_they_may(kind: str) -> None:
    KINDS[kind](1, 200)
