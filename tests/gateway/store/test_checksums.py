"""Check digits: what Luhn and the IBAN registry say, over any stretch and any spelling."""

from hypothesis import given
from hypothesis import strategies as st

from voxgate_gateway.store.checksums import IBAN_LENGTHS, LuhnSums, is_iban


def luhn(digits: list[int]) -> bool:
    """By the book: double every second digit from the end, add up the digits of what comes out."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.data())
def test_any_stretch_is_judged_like_the_book_does(digits: list[int], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(digits) - 1))
    end = data.draw(st.integers(start + 1, len(digits)))
    assert LuhnSums(digits).hold(start, end) is luhn(digits[start:end])


def test_published_numbers_of_accounts_hold() -> None:
    for iban in (
        "DE89370400440532013000", "GB82WEST12345698765432", "FR1420041010050500013M02606", "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S", "nl91abna0417164300",
    ):  # fmt: skip
        assert is_iban(iban), iban


@given(st.sampled_from(sorted(IBAN_LENGTHS)), st.data())
def test_one_wrong_digit_breaks_an_iban(country: str, data: st.DataObject) -> None:
    size = IBAN_LENGTHS[country] - 4
    account = data.draw(st.text("0123456789", min_size=size, max_size=size))
    check = 98 - int(account + "".join(str(int(letter, 36)) for letter in f"{country}00")) % 97
    iban = f"{country}{check:02}{account}"
    assert is_iban(iban)
    place = data.draw(st.integers(4, len(iban) - 1))
    other = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != iban[place]]))
    assert not is_iban(iban[:place] + other + iban[place + 1 :])


def test_other_lengths_countries_and_letters_are_no_iban() -> None:
    for text in (
        "",
        "DE",
        "DE8937040044053201300",
        "XX89370400440532013000",
        "DE89 370400440532013000",
        "DE٨٩370400440532013000",
    ):
        assert not is_iban(text), text
