"""Which shape an error takes."""

from voxgate_responder import OPENAI_PREFIXES, Rendering, current_rendering, is_openai


def test_openai_s_paths_are_told_by_their_beginning() -> None:
    assert is_openai("/v1/realtime")
    assert is_openai("/openai/v1/realtime")
    assert not is_openai("/v1")
    assert not is_openai("/api/v1/x")
    assert is_openai("/other/x", ("/other/",))
    assert OPENAI_PREFIXES == ("/v1/", "/openai/")


def test_nothing_is_being_rendered_outside_of_a_request() -> None:
    assert current_rendering.get() is None
    assert Rendering("/x") == Rendering("/x", openai=False, https=False)
