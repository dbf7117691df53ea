import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from voxgate_observability.retention.listing import ROOT, EntryKind, Listing
from voxgate_observability.retention.plan import Amount, Left, Plan, Reason, make_plan
from voxgate_observability.retention.policy import FilePolicy

NOW = 1_700_000_000
DAY = 86_400
NS = 1_000_000_000


@dataclass(frozen=True)
class File:
    name: str
    age: float = 10 * DAY
    size: int = 1
    inode: int = 0
    links: int = 1
    directory: int = ROOT
    kind: EntryKind = EntryKind.FILE


@dataclass(frozen=True)
class Folder:
    parent: int
    age: float
    strangers: int = 0


def listed(files: Sequence[File], folders: Sequence[Folder] = (), *, is_whole: bool = True) -> Listing:
    listing = Listing(device=1, inode=1, mtime_ns=0)
    for number, folder in enumerate(folders, 1):
        listing.add_directory(folder.parent, b"d%d" % number, 10_000 + number, int((NOW - folder.age) * NS))
        listing.directories[folder.parent].children += 1
        listing.directories[number].children += folder.strangers
    for number, file in enumerate(files):
        inode = file.inode or 100 + number
        mtime = int((NOW - file.age) * NS)
        listing.add(file.directory, file.name.encode(), inode, file.size, mtime, file.links, file.kind)
        listing.directories[file.directory].children += 1
    for directory in listing.directories:
        directory.is_listed = True
    listing.is_whole = is_whole
    return listing


def policy(**settings: object) -> FilePolicy:
    return replace(FilePolicy("p", "/x/y", max_share=1.0), **settings)  # type: ignore[arg-type]


def gone(plan: Plan) -> list[tuple[str, Reason]]:
    return [(decision.entry.path.decode(), decision.reason) for decision in plan.decisions()]


def aged(*days: float, size: int = 1) -> list[File]:
    return [File(f"f{day:g}", day * DAY, size) for day in days]


def test_what_is_past_its_age_goes_oldest_first() -> None:
    plan = make_plan(listed(aged(1, 9, 3, 7)), policy(max_age=3 * DAY), NOW)
    assert gone(plan) == [("f9", Reason.AGE), ("f7", Reason.AGE)]
    assert (plan.matched, plan.planned) == (Amount(4, 4), Amount(2, 2))


def test_the_oldest_go_until_so_many_are_left() -> None:
    plan = make_plan(listed(aged(1, 9, 3, 7)), policy(max_count=3), NOW)
    assert gone(plan) == [("f9", Reason.COUNT)]


def test_the_oldest_go_until_the_rest_weighs_so_much() -> None:
    plan = make_plan(listed(aged(1, 9, 3, 7, size=10)), policy(max_total_size=25), NOW)
    assert gone(plan) == [("f9", Reason.SIZE), ("f7", Reason.SIZE)]


def test_the_first_rule_that_asks_for_an_entry_is_its_reason() -> None:
    plan = make_plan(listed(aged(1, 2, 3, 4, 5, size=10)), policy(max_age=4 * DAY, max_count=3, max_total_size=10), NOW)
    assert gone(plan) == [("f5", Reason.AGE), ("f4", Reason.COUNT), ("f3", Reason.SIZE), ("f2", Reason.SIZE)]
    assert plan.reasons() == {Reason.AGE: 1, Reason.COUNT: 1, Reason.SIZE: 2}


def test_what_has_just_changed_stays_and_is_told() -> None:
    files = [File("open", 59), File("still", 60), File("ahead", -DAY)]
    plan = make_plan(listed(files), policy(max_count=0), NOW)
    assert gone(plan) == [("still", Reason.COUNT)]
    assert plan.left == {Left.GRACE: 2}


def test_the_newest_stay_whatever_their_age() -> None:
    plan = make_plan(listed(aged(5, 6, 7, 8)), policy(max_age=DAY, min_keep=3), NOW)
    assert gone(plan) == [("f8", Reason.AGE)]
    assert plan.left == {Left.MIN_KEEP: 3}


def test_too_large_a_share_holds_everything_back() -> None:
    files = listed(aged(1, 2, 8, 9, 10))
    plan = make_plan(files, policy(max_age=5 * DAY, max_share=0.5), NOW)
    assert plan.is_capped
    assert (gone(plan), plan.planned, plan.wanted) == ([], Amount(), Amount(3, 3))
    forced = make_plan(files, policy(max_age=5 * DAY, max_share=0.5), NOW, is_forced=True)
    assert (forced.is_capped, forced.planned) == (False, Amount(3, 3))


def test_a_few_large_files_are_a_large_share_of_bytes() -> None:
    files = [File("large", 9 * DAY, 1000), *aged(1, 2, 3, 4)]
    assert make_plan(listed(files), policy(max_age=5 * DAY, max_share=0.5), NOW).is_capped


def test_links_and_pipes_stay_and_are_told() -> None:
    files = [*aged(9), File("link", kind=EntryKind.SYMLINK), File("pipe", kind=EntryKind.OTHER)]
    plan = make_plan(listed(files), policy(max_age=DAY), NOW)
    assert gone(plan) == [("f9", Reason.AGE)]
    assert plan.left == {Left.SYMLINK: 1, Left.OTHER: 1}
    told_to = make_plan(listed(files), policy(max_age=DAY, remove_symlinks=True), NOW)
    assert {name for name, _ in gone(told_to)} == {"f9", "link"}
    assert told_to.left == {Left.OTHER: 1}


def test_a_file_with_several_names_weighs_once_and_until_its_last_name_goes() -> None:
    twins = [File("a", 9 * DAY, 100, inode=7, links=2), File("b", 9 * DAY, 100, inode=7, links=2)]
    both = make_plan(listed([*twins, *aged(1)]), policy(max_total_size=100), NOW)
    assert both.matched == Amount(3, 101)
    assert [name for name, _ in gone(both)] == ["a", "b"]
    assert both.planned == Amount(2, 100)


def test_a_file_with_a_name_elsewhere_frees_nothing() -> None:
    plan = make_plan(listed([File("a", 9 * DAY, 100, inode=7, links=2)]), policy(max_age=DAY), NOW)
    assert (plan.matched, plan.planned) == (Amount(1, 100), Amount(1, 0))


def test_of_a_listing_cut_short_only_age_counts() -> None:
    files = listed(aged(1, 2, 9), is_whole=False)
    assert gone(make_plan(files, policy(max_count=0, max_total_size=0, max_age=5 * DAY), NOW)) == [("f9", Reason.AGE)]


def test_directories_go_when_nothing_is_left_in_them() -> None:
    folders = [Folder(ROOT, 9 * DAY), Folder(1, 9 * DAY), Folder(ROOT, 9 * DAY, strangers=1), Folder(ROOT, 0)]
    files = [File("a", directory=2), File("b", directory=3), File("c", directory=4)]
    tidy = policy(max_age=DAY, recursive=True, remove_empty_directories=True)
    plan = make_plan(listed(files, folders), tidy, NOW)
    assert len(gone(plan)) == 3
    assert plan.directories == (2, 1)
    assert make_plan(listed(files, folders), policy(max_age=DAY, recursive=True), NOW).directories == ()


def test_a_directory_that_could_not_be_read_stays() -> None:
    files = listed([], [Folder(ROOT, 9 * DAY)])
    files.directories[1].is_listed = False
    tidy = policy(max_age=DAY, recursive=True, remove_empty_directories=True)
    assert make_plan(files, tidy, NOW).directories == ()


AGES = st.sampled_from([-DAY, 0, 30, 61, DAY, 2 * DAY, 3 * DAY])
FILES = st.lists(
    st.builds(
        File,
        st.uuids(version=4).map(str),
        AGES | st.integers(-5, 10).map(lambda days: days * DAY),
        st.integers(0, 50),
        kind=st.sampled_from([EntryKind.FILE, EntryKind.FILE, EntryKind.SYMLINK, EntryKind.OTHER]),
        directory=st.integers(0, 3),
    ),
    max_size=25,
)
FOLDERS = st.tuples(
    st.builds(Folder, st.just(0), AGES, st.integers(0, 1)),
    st.builds(Folder, st.integers(0, 1), AGES, st.integers(0, 1)),
    st.builds(Folder, st.integers(0, 2), AGES, st.integers(0, 1)),
)
LIMITS = st.none() | st.integers(0, 12)
POLICIES = st.builds(
    FilePolicy,
    st.just("p"),
    st.just("/x/y"),
    recursive=st.just(True),
    max_age=st.none() | st.integers(1, 4).map(lambda days: days * DAY),
    max_count=LIMITS,
    max_total_size=st.none() | st.integers(0, 300),
    min_keep=st.integers(0, 12),
    grace=st.sampled_from([0, 60, DAY]),
    max_share=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    remove_empty_directories=st.booleans(),
    remove_symlinks=st.booleans(),
)


@st.composite
def linked(draw: st.DrawFn) -> list[File]:
    """Files of which some share an inode, and so size and time."""
    files = draw(FILES)
    result: list[File] = []
    for number, file in enumerate(files):
        twin = draw(st.none() | st.integers(0, number - 1)) if number else None
        source = file if twin is None else result[twin]
        result.append(replace(source, name=file.name, directory=file.directory, inode=source.inode or 500 + number))
    counts = {file.inode: sum(other.inode == file.inode for other in result) for file in result}
    more = draw(st.integers(0, 1))
    return [replace(file, links=counts[file.inode] + more) for file in result]


def paths(plan: Plan) -> list[bytes]:
    return [decision.entry.path for decision in plan.decisions()]


@given(linked(), FOLDERS, POLICIES)
def test_what_is_protected_never_goes(files: list[File], folders: Sequence[Folder], rules: FilePolicy) -> None:
    plan = make_plan(listed(files, folders), rules, NOW)
    going = [decision.entry for decision in plan.decisions()]
    allowed = {EntryKind.FILE, EntryKind.SYMLINK} if rules.remove_symlinks else {EntryKind.FILE}
    candidates = [entry for entry in plan.listing if entry.kind in allowed]
    staying = [entry for entry in candidates if entry.path not in {gone.path for gone in going}]
    assert {entry.kind for entry in going} <= allowed
    assert len(staying) >= min(rules.min_keep, len(candidates))
    assert all(entry.mtime_ns <= (NOW - rules.grace) * NS for entry in going)
    if going and staying:
        assert max(entry.mtime_ns for entry in going) <= min(entry.mtime_ns for entry in staying)
    for decision in plan.decisions():
        if decision.reason is Reason.AGE:
            assert rules.max_age is not None
            assert decision.entry.mtime_ns < (NOW - rules.max_age) * NS


@given(linked(), FOLDERS, POLICIES)
def test_the_cap_is_respected(files: list[File], folders: Sequence[Folder], rules: FilePolicy) -> None:
    plan = make_plan(listed(files, folders), rules, NOW)
    assert plan.planned.files <= rules.max_share * plan.matched.files
    assert plan.planned.bytes <= rules.max_share * plan.matched.bytes
    assert plan.is_capped == (plan.going == 0 and plan.wanted.files > 0)


@given(linked(), FOLDERS, POLICIES, st.randoms(use_true_random=False))
def test_the_order_of_the_listing_plays_no_part(
    files: list[File], folders: Sequence[Folder], rules: FilePolicy, chance: random.Random
) -> None:
    files = [replace(file, inode=file.inode or 500 + number) for number, file in enumerate(files)]
    shuffled = files[:]
    chance.shuffle(shuffled)
    one, other = (make_plan(listed(some, folders), rules, NOW) for some in (files, shuffled))
    assert list(one.decisions()) == list(other.decisions())
    assert replace(one, listing=other.listing, order=other.order) == other


@given(linked(), FOLDERS, POLICIES)
def test_after_a_plan_is_done_nothing_more_goes(
    files: list[File], folders: Sequence[Folder], rules: FilePolicy
) -> None:
    listing = listed(files, folders)
    plan = make_plan(listing, rules, NOW, is_forced=True)
    went = set(paths(plan))
    after = Listing(device=1, inode=1, mtime_ns=0)
    places = {ROOT: ROOT}
    for index, directory in enumerate(listing.directories):
        if index != ROOT and index not in plan.directories:
            places[index] = after.add_directory(
                places[directory.parent], directory.name, directory.inode, directory.mtime_ns
            )
            after.directories[places[directory.parent]].children += 1
            after.directories[places[index]].children += folders[index - 1].strangers
            after.directories[places[index]].is_listed = True
    for index, entry in enumerate(listing):
        if entry.path not in went:
            place = places[listing.places[index]]
            after.add(place, listing.name(index), entry.inode, entry.size, entry.mtime_ns, entry.links, entry.kind)
            after.directories[place].children += 1
    again = make_plan(after, rules, NOW, is_forced=True)
    assert paths(again) == []
    assert again.directories == ()
