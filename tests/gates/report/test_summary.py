from tests.gates.samples import made_check, made_report, made_result
from voxgate_gates import Verdict, summary_markdown
from voxgate_gates.runner import errored


def test_a_clean_run_is_a_verdict_a_row_and_the_figures() -> None:
    text = summary_markdown(made_report(made_result()))
    assert text.startswith("## Release gates: ✅ pass\n")
    assert "| security | ✅ pass | 1 | 0 | 0 | 0 |" in text
    assert "| security.sample | first audio | 480 ms |" in text
    assert "What did not hold" not in text


def test_a_shortfall_says_what_came_what_to_do_and_how_to_see_it_again() -> None:
    text = summary_markdown(made_report(made_result(Verdict.FAIL, text="path")))
    for part in (
        "- **security.sample** ❌ fail (major): A sample keeps its promise.",
        "`[STATUS] == 401, got 200`",
        "Repair the sample. See `docs/gates/security.sample`.",
        "trace id `4bf92f3577b34da6a3ce929d0e0e4736`",
        "`curl http://h/path`",
    ):
        assert part in text


def test_what_a_target_sends_does_not_become_markup() -> None:
    hostile = "``` <img src=x> | [link](http://evil) **bold**\n# heading"
    text = summary_markdown(made_report(made_result(Verdict.SKIP, got=hostile), made_result(Verdict.ERROR, got="`")))
    assert "\n# heading" not in text
    assert "````" in text
    assert "`` [STATUS] == 401, not judged: ` ``" in text


def test_notes_stand_above_the_table() -> None:
    report = errored([made_check()], "it did <not> start", version="v", target="t")
    assert "> it did \\<not\\> start\n" in summary_markdown(report)


def test_a_run_that_skipped_something_is_not_called_a_pass() -> None:
    skipped = made_result(Verdict.SKIP, name="other")
    text = summary_markdown(made_report(made_result(), skipped, made_result(gate="realtime")))
    assert text.startswith("## Release gates: ⏭️ partly judged: 1 skipped\n")
    assert "| security | ⏭️ partly judged: 1 skipped | 1 | 0 | 1 | 0 |" in text
    assert "| realtime | ✅ pass | 1 | 0 | 0 | 0 |" in text
