import gc

import pytest

from eni_ledger.base.collector import Paused


def test_the_collector_goes_on_where_it_was_on_before() -> None:
    assert gc.isenabled()
    with Paused():
        with Paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="any"), Paused():
        raise ValueError("any")
    assert gc.isenabled()
