"""Documents that two readers could understand differently are refused; all others read as json reads them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate_core import VoxgateError
from voxgate_core.strictjson import MAX_JSON_NESTING, StrictJsonError, decode_strictly, read_json

finite = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(finite, st.booleans())
def test_ordinary_documents_read_as_json_reads_them(value: object, ascii_only: bool) -> None:
    assert decode_strictly(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary())
def test_any_bytes_read_as_json_reads_them_or_are_refused(data: bytes) -> None:
    try:
        value = decode_strictly(data)
    except StrictJsonError as error:
        if error.reason not in {"utf8", "syntax", "duplicate_key", "constant", "surrogate", "nesting"}:
            raise
    else:
        assert value == json.loads(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff", "utf8"),
        (b"{", "syntax"),
        (b"1" * 5000, "syntax"),
        (b'{"a":1,"a":1}', "duplicate_key"),
        (b'[{"b":{"a":1,"\\u0061":2}}]', "duplicate_key"),
        (b"NaN", "constant"),
        (b"-Infinity", "constant"),
        (b"1e999", "constant"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udc00":1}', "surrogate"),
        (b"[" * (MAX_JSON_NESTING + 1) + b"]" * (MAX_JSON_NESTING + 1), "nesting"),
        (b'{"a":' * MAX_JSON_NESTING + b"[]" + b"}" * MAX_JSON_NESTING, "nesting"),
        (b"[" * 100_000 + b"]" * 100_000, "nesting"),
    ],
    ids=lambda value: str(value[:16]),
)
def test_ambiguity_is_refused_by_name(data: bytes, reason: str) -> None:
    with pytest.raises(StrictJsonError) as caught:
        decode_strictly(data)
    assert caught.value.reason == reason


def test_nesting_up_to_the_bound_and_wide_documents_are_read() -> None:
    assert decode_strictly(b"[" * MAX_JSON_NESTING + b"]" * MAX_JSON_NESTING)
    assert decode_strictly(b"[" + b",".join([b"{}"] * 1000) + b"]") == [{}] * 1000
    assert decode_strictly(b'{"a":"' + b"[{" * 100 + b'"}') == {"a": "[{" * 100}


def test_paired_surrogates_are_one_character() -> None:
    assert decode_strictly(b'"\\ud83c\\udf99"') == "🎙"


def test_a_body_that_is_refused_is_a_refusal_with_its_reason() -> None:
    assert read_json(b'{"a": [1, 2.0]}') == {"a": [1, 2.0]}
    with pytest.raises(VoxgateError) as caught:
        read_json(b'{"a": 1, "a": 2}')
    assert (caught.value.code, caught.value.details) == ("malformed_json", {"reason": "duplicate_key"})
