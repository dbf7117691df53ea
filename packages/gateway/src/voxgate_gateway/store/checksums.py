"""The check digits of payment cards (Luhn, ISO/IEC 7812-1 annex B) and bank accounts (IBAN, ISO 13616)."""

from itertools import accumulate
from typing import Final

__all__ = ["CARD_DIGITS", "IBAN_LENGTHS", "LuhnSums", "is_iban"]

CARD_DIGITS: Final = range(13, 20)
"""How many digits the number of a payment card may have."""

IBAN_LENGTHS: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28,
    "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20,
    "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25,
    "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27,
    "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip
"""Characters of an IBAN by its country, as the IBAN registry lists them."""

_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


class LuhnSums:
    """Answers for any stretch of ``digits`` whether Luhn's check holds, each in constant time.

    Doubling begins at the second digit from the end: which digits are doubled depends only on whether the last one
    stands at an even or an odd place, so two running sums serve every stretch.
    """

    def __init__(self, digits: list[int]) -> None:
        even = (digit if place % 2 == 0 else _DOUBLED[digit] for place, digit in enumerate(digits))
        odd = (digit if place % 2 == 1 else _DOUBLED[digit] for place, digit in enumerate(digits))
        self._sums = (list(accumulate(even, initial=0)), list(accumulate(odd, initial=0)))

    def hold(self, start: int, end: int) -> bool:
        """Whether the check holds for the digits from ``start`` up to, not including, ``end``."""
        sums = self._sums[(end - 1) % 2]
        return (sums[end] - sums[start]) % 10 == 0


def is_iban(text: str) -> bool:
    """Whether ``text``, without separators, has its country's length and check digits (ISO 13616, MOD 97-10)."""
    text = text.upper()
    if IBAN_LENGTHS.get(text[:2]) != len(text) or not text.isascii() or not text.isalnum():
        return False
    return int("".join(str(int(letter, 36)) for letter in text[4:] + text[:4])) % 97 == 1
