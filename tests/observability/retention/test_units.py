import pytest

from voxgate_observability.retention.units import duration, size, size_text


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60), ("5m", 300), ("12h", 43_200), ("30d", 2_592_000), ("2w", 1_209_600)]
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "count"), [("7B", 7), ("1KiB", 1024), ("2GiB", 2 * 1024**3), ("3MB", 3_000_000), ("1TB", 10**12)]
)
def test_a_size_counts_in_1024_or_1000(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "30", "d", "1.5d", "-1d", "1 d", "1y", "٣d", "1d\n", "9999999999d"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="such as 30d"):
        duration(text)


@pytest.mark.parametrize("text", ["", "2", "GiB", "2G", "-1B", "1.5GiB", "1gib", "1iB", "1B\n"])
def test_anything_else_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="such as 2GiB"):
        size(text)


def test_a_size_is_told_in_the_largest_unit_that_fits() -> None:
    assert [size_text(count) for count in (0, 1023, 1536, 5 * 1024**4, 5 * 1024**5)] == [
        "0 B", "1023 B", "1.5 KiB", "5.0 TiB", "5120.0 TiB",
    ]  # fmt: skip
