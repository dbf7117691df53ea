from voxgate_engine.items import Item, Part
from voxgate_engine.usage import Tokens, audio_tokens, rate_limit_rows, text_tokens, tokens_of, usage_of


def test_started_tokens_count_whole() -> None:
    assert [text_tokens("x" * length) for length in (0, 1, 4, 5)] == [0, 1, 1, 2]
    assert [audio_tokens(ms, 100) for ms in (0, 1, 100, 101)] == [0, 1, 1, 2]


def test_each_side_of_the_conversation_has_its_own_rate() -> None:
    user = Item("u", "message", role="user", parts=[Part("input_audio", transcript="unread", audio_ms=1_000)])
    assistant = Item("a", "message", role="assistant", parts=[Part("output_audio", transcript="word", audio_ms=1_000)])
    assert tokens_of([user]) == Tokens(text=0, audio=10)
    assert tokens_of([assistant]) == Tokens(text=1, audio=20)


def test_pictures_and_calls_cost_too() -> None:
    picture = Item("p", "message", role="user", parts=[Part("input_image", image_url="data:,")])
    call = Item("c", "function_call", name="f", arguments="{}x")
    assert tokens_of([picture, call]) == Tokens(text=1, image=85)


def test_cached_tokens_are_part_of_the_input() -> None:
    usage = usage_of(Tokens(10, 5, 1), Tokens(9, 9, 9).at_most(Tokens(10, 5, 1)), Tokens(2, 3))
    assert usage["total_tokens"] == 21
    details = usage["input_token_details"]
    assert isinstance(details, dict)
    assert details["cached_tokens"] == 15
    assert details["cached_tokens_details"] == {"text_tokens": 9, "audio_tokens": 5, "image_tokens": 1}


def test_rate_limits_never_go_below_nothing() -> None:
    assert [row[2] for row in rate_limit_rows(10**9, 10**9)] == [0, 0]
