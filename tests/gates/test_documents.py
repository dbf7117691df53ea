import pytest

from voxgate_gates.documents import (
    ITEMS,
    WORKSTREAMS,
    changelog_faults,
    decision_faults,
    env_names,
    env_value,
    heading_ids,
    links_of,
    metrics_of,
    missing_words,
    places_of,
    prose,
    release_name,
    sections_of,
    security_faults,
    summary_faults,
    table_rows,
    unlinked,
    uptime_faults,
)

ENTRY = f"# Changelog\n\n## [0.2.0-rc.2] - 2026-11-26\n\n{', '.join(WORKSTREAMS)}\n\n## [0.2.0-rc.1] - 2026-11-01\n"


@pytest.mark.parametrize(
    ("version", "name"),
    [("0.2.0rc2", "0.2.0-rc.2"), ("1.0.0", "1.0.0"), ("1.2.3a4", "1.2.3-alpha.4"), ("1.2.3b1", "1.2.3-beta.1")],
)
def test_a_version_is_written_as_people_write_it(version: str, name: str) -> None:
    assert release_name(version) == name


def test_a_good_entry_has_no_fault() -> None:
    assert changelog_faults(ENTRY, "0.2.0-rc.2") == []
    assert changelog_faults(ENTRY.replace("## [0.2", "## [Unreleased]\n\n## [0.2", 1), "0.2.0-rc.2") == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "there is no entry"),
        (ENTRY.replace(" - 2026-11-26", ""), "no date"),
        (ENTRY.replace(" - 2026-11-26", " - soon"), "no date"),
        (ENTRY.replace("2026-11-26", "2026-11-31"), "no date"),
        (ENTRY.replace("Data", "Database"), "does not speak of Data"),
        (ENTRY.replace("Security, ", "<!-- Security -->"), "does not speak of Security"),
        (f"<!--\n{ENTRY}\n-->", "there is no entry"),
        (ENTRY.replace("# Changelog\n", "# Changelog\n\n## [0.3.0] - 2027-01-01\n"), "not the newest"),
        (ENTRY.replace("Realtime", ""), "does not speak of Realtime"),
    ],
)
def test_an_entry_that_falls_short_is_told(text: str, fault: str) -> None:
    (only,) = changelog_faults(text, "0.2.0-rc.2")
    assert fault in only


def test_headings_have_the_anchors_of_the_site() -> None:
    page = "# A `code` and *more*\n\n```\n# not one\n```\n\n### `credential_missing`\n## [Linked](x.md): it, too!\n"
    assert heading_ids(page) == {"a-code-and-more", "credential_missing", "linked-it-too"}


def test_links_are_found_in_prose_alone() -> None:
    page = "[a](b.md#c) [d](#e) [f](https://x.example) ![g](h.png)\n```\n[i](j.md)\n```\n"
    assert links_of(page) == [("b.md", "c"), ("", "e"), ("h.png", "")]


def record(status: str = "accepted") -> str:
    return f"# A decision\n\n- Status: {status}\n"


def test_decisions_are_numbered_have_a_status_and_are_listed() -> None:
    records = {
        "0001-a.md": record(),
        "0002-b.md": record("superseded by [3](0003-c.md)"),
        "0003-c.md": record("proposed"),
    }
    index = "[1](0001-a.md) [2](0002-b.md) [3](0003-c.md)"
    assert decision_faults(records, index) == []
    assert decision_faults({}, "") == ["there are no decision records"]
    assert decision_faults({"0002-a.md": record()}, "[2](0002-a.md)") == ["0002-a.md is not number 0001"]
    assert "lists 0001-a.md 0 times" in decision_faults({"0001-a.md": record()}, "")[0]
    assert "none of the statuses" in decision_faults({"0001-a.md": record("maybe")}, "[1](0001-a.md)")[0]
    assert "none of the statuses" in decision_faults({"0001-a.md": "# A"}, "[1](0001-a.md)")[0]
    assert "does not say by which" in decision_faults({"0001-a.md": record("superseded")}, "[1](0001-a.md)")[0]
    gone = record("superseded by [9](0009-gone.md)")
    assert "does not say by which" in decision_faults({"0001-a.md": gone}, "[1](0001-a.md)")[0]
    assert "lists 0001-a.md 0 times" in decision_faults({"0001-a.md": record()}, "<!-- [1](0001-a.md) -->")[0]
    assert (
        "none of the statuses" in decision_faults({"0001-a.md": "<!--\n- Status: accepted\n-->"}, "[1](0001-a.md)")[0]
    )


def test_what_no_reader_sees_counts_for_nothing() -> None:
    page = "a <!-- b\n## c --> d\n```console\n## e\n```\n## f\ng\n<!-- h"
    assert prose(page) == "a  d\n\n## f\ng\n"
    assert sections_of(page) == {"f": "g"}
    assert sections_of("## a\n\n## b ##\nc\n### d\n") == {"a": "", "b": "c\n### d"}


def test_a_link_is_more_than_a_word() -> None:
    page = "[a](../b/c.md#d) and e.md, and <!-- [f](f.md) -->"
    assert unlinked(page, ["c.md", "b/c.md", "e.md", "f.md", "x/b/c.md"]) == ["e.md", "f.md", "x/b/c.md"]


def test_a_metric_is_documented_by_its_type_and_what_it_means() -> None:
    head = "| metric | type | labels | meaning |\n|---|---|---|---|\n"
    page = f"{head}| `a_total` | counter | `x` | Things. |\n| `b` | gauge |  |  |\n\n`c` is not in it\n"
    assert metrics_of(page) == {"a_total": "counter"}


WORKFLOW = """\
on:
  schedule:
    - cron: "7 * * * *"
    env:
      HEALTH_URL: ${{ vars.HEALTH_URL }}
          TRIES: 3
        run: |
          for ((try = 1; try <= TRIES; try++)); do
            curl --silent "$HEALTH_URL" && exit 0
          done
          open=$(gh issue list --label uptime)
          gh issue create --label uptime
          gh issue close "$open"
        run: gh workflow enable uptime.yml
"""


def test_a_workflow_that_looks_more_than_once_and_keeps_one_issue_has_no_fault() -> None:
    assert uptime_faults(WORKFLOW) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("    - cron", "    # - cron", "a timer"),
        ("      HEALTH_URL: $", "      # HEALTH_URL: $", "HEALTH_URL: ${{ vars.HEALTH_URL }}"),
        ("${{ vars.HEALTH_URL }}", "${{ vars.OTHER }} # ${{ vars.HEALTH_URL }}", "HEALTH_URL: ${{ vars.HEALTH_URL }}"),
        (
            "          TRIES: 3",
            "          HEALTH_URL: other\n          TRIES: 3",
            "one value of HEALTH_URL, and no other",
        ),
        ('"$HEALTH_URL"', '"$OTHER"', "a look at $HEALTH_URL"),
        ("TRIES: 3", "TRIES: 1", "TRIES of 2 or more, and a loop over them"),
        ("<= TRIES", "<= 1", "TRIES of 2 or more, and a loop over them"),
        ("gh issue create", "# gh issue create", "gh issue create"),
        ("gh issue close", "echo gh issue close", "gh issue close"),
        ("run: gh workflow enable", "name: gh workflow enable", "gh workflow enable"),
    ],
)
def test_a_workflow_is_held_to_what_it_does_and_not_to_its_words(old: str, new: str, fault: str) -> None:
    assert old in WORKFLOW
    assert uptime_faults(WORKFLOW.replace(old, new)) == [fault]


def test_rows_are_those_of_the_table_with_this_header() -> None:
    page = "| a | b |\n|---|---|\n| 1 | 2 |\n\n| c | d |\n|---|---|\n| 3 | 4 |\n| 5 | 6 |\ntext\n| 7 | 8 |\n"
    assert table_rows(page, "c", "d") == [("3", "4"), ("5", "6")]
    assert table_rows(page, "x", "y") == []


def summary(**cells: str) -> str:
    row = {"state": "done", "where": "`packages`", "proof": "`data.parity`", **cells}
    lines = [f"| {item} | it works | {row['state']} | {row['where']} | {row['proof']} |" for item in ITEMS]
    return "\n".join(("| id | promise | state | where | proven by |", "|---|---|---|---|---|", *lines))


def test_every_item_is_accounted_for() -> None:
    assert summary_faults(summary(), {"data.parity"}) == []
    assert summary_faults("", {"data.parity"}) == [f"{item} is not accounted for" for item in ITEMS]
    for cells, fault in (
        ({"state": "fine"}, "has no state"),
        ({"where": ""}, "does not say where"),
        ({"proof": "trust us"}, "names no check"),
        ({"proof": "`data.invented`"}, "names data.invented, which is no check"),
    ):
        assert all(fault in found for found in summary_faults(summary(**cells), {"data.parity"}))
        assert len(summary_faults(summary(**cells), {"data.parity"})) == len(ITEMS)


def test_an_item_is_accounted_for_once_and_its_places_are_known() -> None:
    again = f"{summary()}\n| {ITEMS[0]} | it works | open | `docs/` | `data.parity` |"
    assert summary_faults(again, {"data.parity"}) == [f"{ITEMS[0]} is accounted for 2 times"]
    assert summary_faults(f"<!--\n{summary()}\n-->", {"data.parity"}) == summary_faults("", {"data.parity"})
    assert places_of(again) == ["packages"] * len(ITEMS) + ["docs/"]
    assert "has no state" in summary_faults(summary(state="doneish"), {"data.parity"})[0]


def test_settings_are_read_from_an_example() -> None:
    text = "# words = no setting\nA_B=1\n# C_D=\n\n# A_B=2\n"
    assert env_names(text) == ["A_B", "C_D"]
    assert (env_value(text, "A_B"), env_value(text, "C_D")) == ("1", None)
    assert env_value(f"{text}A_B=3\n", "A_B") == "3"


def test_words_that_are_missing_are_named() -> None:
    assert missing_words("one two", ["one", "three"]) == ["three"]


def test_a_security_page_is_held_to_the_code() -> None:
    page = "| environment | origins | token TTL |\n|---|---|---|\n| dev | `http://a`, `http://b` | 600 s |\n"
    assert security_faults(page, {"dev": 600}, {"dev": ["http://a", "http://b"]}) == []
    assert security_faults(page, {"dev": 300}, {"dev": ["http://a", "http://b"]}) == [
        "dev: the page says 600 s, the code 300 s"
    ]
    assert "in force are http://a" in security_faults(page, {"dev": 600}, {"dev": ["http://a"]})[0]
    assert security_faults("", {"dev": 600}, {"dev": []}) == ["dev is not in the table of environments"]
    assert "there is no environment dev" in security_faults(page, {}, {})
    twice = page.replace("600 s", "900 s") + "\n" + page
    assert security_faults(twice, {"dev": 600}, {"dev": ["http://a", "http://b"]}) == [
        "dev: the page says 900 s, the code 600 s"
    ]
