"""The tables: everything of a conversation goes with it, and audit lines stay."""

from voxgate_gateway.store.tables import AuditLine, Base, Session


def test_everything_but_the_audit_hangs_on_a_session_and_goes_with_it() -> None:
    for table in Base.metadata.tables.values():
        keys = [(key.column.table.name, key.ondelete) for key in table.foreign_keys]
        alone = table.name in (Session.__tablename__, AuditLine.__tablename__)
        assert keys == ([] if alone else [("sessions", "CASCADE")]), table.name


def test_every_constraint_and_index_has_a_name_that_a_migration_can_use() -> None:
    for table in Base.metadata.tables.values():
        assert all(constraint.name for constraint in table.constraints), table.name
        assert all(index.name for index in table.indexes), table.name


def test_an_audit_line_has_no_column_for_what_was_said_or_whose_it_was() -> None:
    assert {column.name for column in AuditLine.__table__.columns} == {
        "id", "at", "who", "what", "target", "sessions", "turns", "transcripts", "tool_calls",
    }  # fmt: skip
