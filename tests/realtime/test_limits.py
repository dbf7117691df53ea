from dataclasses import fields

from voxgate_realtime.limits import RelayLimits


def test_every_bound_is_positive() -> None:
    limits = RelayLimits()
    assert all(getattr(limits, field.name) > 0 for field in fields(limits))


def test_an_append_of_15_mib_fits_a_message() -> None:
    assert RelayLimits().max_message >= 15 * 1024 * 1024 + 1024
