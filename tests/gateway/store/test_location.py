from pathlib import Path

import pytest

from voxgate_core import ConfigurationError
from voxgate_gateway.store.location import FILE_NAME, locate


def test_without_a_url_it_is_a_file_in_the_data_folder() -> None:
    assert locate(Path("/srv/data"), "") == f"sqlite:////srv/data/{FILE_NAME}"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_every_spelling_of_postgresql_is_one(scheme: str) -> None:
    assert locate(Path(), f"{scheme}://ada:secret@db/voice") == "postgresql://ada:secret@db/voice"


@pytest.mark.parametrize("url", ["mysql://db/voice", "sqlite:relative", "http://[::1", "postgres"])
def test_another_database_is_a_fault_that_shows_no_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="VOXGATE_DATABASE_URL") as refused:
        locate(Path(), url)
    assert "voice" not in str(refused.value)
