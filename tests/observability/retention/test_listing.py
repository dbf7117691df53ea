from voxgate_observability.retention.listing import ENTRY_BYTES, ROOT, Entry, EntryKind, Listing, shown


def test_entries_are_read_back_as_they_were_added() -> None:
    listing = Listing(device=7, inode=1, mtime_ns=0)
    below = listing.add_directory(ROOT, b"a", 2, 5)
    deeper = listing.add_directory(below, b"\xff", 3, 6)
    listing.add(ROOT, b"top", 10, 1, -5, 1, EntryKind.FILE)
    listing.add(deeper, b"link", 2**64 - 1, 3, 9, 2, EntryKind.SYMLINK)
    assert list(listing) == [
        Entry(b"top", EntryKind.FILE, 7, 10, 1, -5, 1),
        Entry(b"a/\xff/link", EntryKind.SYMLINK, 7, 2**64 - 1, 3, 9, 2),
    ]
    assert listing.directory_path(ROOT) == b""
    assert listing.directory_path(deeper) == b"a/\xff/"


def test_an_entry_takes_so_much_memory_and_its_name() -> None:
    listing = Listing(device=7, inode=1, mtime_ns=0)
    for number in range(10_000):
        listing.add(ROOT, b"%08d" % number, number, 0, 0, 1, EntryKind.FILE)
    assert listing.memory() == 10_000 * (ENTRY_BYTES + 8)


def test_a_name_can_not_command_a_terminal() -> None:
    assert shown("grün.wav".encode()) == "grün.wav"
    assert shown(b"a\x1b[2Jb\nc\xff") == r"a\x1b[2Jb\nc\xff"
    assert shown("a\u202eb".encode()) == r"a\u202eb"
