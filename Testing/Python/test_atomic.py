"""Files that appear whole or not at all, and keep what their user set: rights, owner, links."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from PromptSegLib.atomic import check_writable, folder_for, remove_unfinished, replacing
from PromptSegLib.errors import OutputError, TakenError

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")


@pytest.fixture
def umask():
    """Set the process's umask for one test."""
    former = os.umask(0o022)
    os.umask(former)
    yield os.umask
    os.umask(former)


def write(path: Path, content: bytes = b"new", **options) -> None:
    with replacing(path, **options) as file:
        file.write(content)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o000])
@pytest.mark.parametrize("given", [0o600, 0o640, 0o644, 0o660, 0o666, 0o755, 0o200])
def test_a_replaced_file_keeps_its_mode(tmp_path, umask, mask, given) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(given)
    umask(mask)
    write(path)
    assert mode(path) == given
    path.chmod(0o600)
    assert path.read_bytes() == b"new"


@posix
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077, 0o002])
def test_a_new_file_has_what_the_umask_leaves_also_while_it_is_written(tmp_path, umask, mask) -> None:
    umask(mask)
    path = tmp_path / "a.bin"
    with replacing(path) as file:
        file.write(b"new")
        (unfinished,) = tmp_path.iterdir()
        assert mode(unfinished) == 0o666 & ~mask
    assert mode(path) == 0o666 & ~mask


@posix
def test_nobody_reads_the_new_content_earlier_than_they_might(tmp_path, umask) -> None:
    umask(0o000)
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(0o600)
    with replacing(path):
        assert {mode(one) for one in tmp_path.iterdir()} == {0o600}


@posix
def test_links_stay_links(tmp_path) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "a.bin"
    target.write_bytes(b"old")
    target.chmod(0o600)
    first, second, dangling = tmp_path / "first", tmp_path / "second", tmp_path / "dangling"
    second.symlink_to("there/a.bin")
    first.symlink_to(second)
    dangling.symlink_to("there/none.bin")
    write(first)
    write(dangling)
    assert first.is_symlink()
    assert second.is_symlink()
    assert dangling.is_symlink()
    assert (target.read_bytes(), mode(target)) == (b"new", 0o600)
    assert (tmp_path / "there" / "none.bin").read_bytes() == b"new"


@posix
def test_another_name_of_the_same_file_keeps_what_it_had(tmp_path) -> None:
    path, other = tmp_path / "a.bin", tmp_path / "b.bin"
    path.write_bytes(b"old")
    os.link(path, other)
    write(path)
    assert (path.read_bytes(), other.read_bytes()) == (b"new", b"old")


@posix
def test_what_is_no_ordinary_file_is_refused_and_stays(tmp_path) -> None:
    loop, pipe, folder = tmp_path / "loop", tmp_path / "pipe", tmp_path / "folder"
    loop.symlink_to(loop)
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (loop, pipe, folder):
        for attempt in (write, check_writable):
            with pytest.raises(OutputError, match=r"not an ordinary file|is a folder"):
                attempt(path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder", "loop", "pipe"]
    assert loop.is_symlink()


def test_what_may_not_be_changed_is_not_replaced(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda *_: False)  # as the system says of a read-only file, but to root
    for attempt in (write, check_writable):
        with pytest.raises(OutputError, match="may not be changed"):
            attempt(path)
    assert path.read_bytes() == b"old"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only the administrator gives files away")
@pytest.mark.parametrize("given", [0o600, 0o660, 0o640])
def test_owner_and_group_stay_where_the_system_allows_it(tmp_path, given) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    os.chown(path, 12345, 23456)
    path.chmod(given)
    write(path)
    found = path.stat()
    assert (found.st_uid, found.st_gid, mode(path)) == (12345, 23456, given)


@posix
def test_rights_of_a_group_that_cannot_be_kept_are_not_given_to_another(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(0o660)
    real = os.stat_result
    former = list(path.stat())
    former[5] += 1  # its group is one that we do not belong to

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    monkeypatch.setattr(Path, "stat", lambda self, **_: real(former))
    write(path)
    monkeypatch.undo()
    assert mode(path) == 0o600


@pytest.mark.skipif(sys.platform != "linux", reason="needs extended attributes")
def test_tags_stay(tmp_path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    try:
        os.setxattr(path, "user.project", b"study 7")
    except OSError:
        pytest.skip("this file system keeps no attributes")
    write(path)
    assert os.getxattr(path, "user.project") == b"study 7"


def test_what_need_not_outlive_the_process_is_not_waited_for(tmp_path, monkeypatch) -> None:
    waited: list[int] = []
    monkeypatch.setattr(os, "fsync", waited.append)
    write(tmp_path / "a.bin", durable=False)
    assert not waited
    write(tmp_path / "a.bin")
    assert len(waited) == 1


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_replaces_none(tmp_path, monkeypatch, links) -> None:
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError(1, "no links here")))
    write(tmp_path / "a.bin", b"first", new=True)
    with pytest.raises(TakenError, match="is there already"):
        write(tmp_path / "a.bin", b"second", new=True)
    assert (tmp_path / "a.bin").read_bytes() == b"first"
    assert [one.name for one in tmp_path.iterdir()] == ["a.bin"]
    assert (tmp_path / "a.bin").stat().st_nlink == 1


def broken_off(folder: Path, error: BaseException, file: str = "") -> None:
    """Begin to write to a folder that is made, and fail."""
    with folder_for(folder):
        assert folder.is_dir()
        if file:
            write(folder / file)
        raise error


def test_a_folder_that_nothing_came_of_is_taken_away_again(tmp_path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(OutputError, match="disk is full"):
        broken_off(tmp_path / "there" / "a" / "b", OutputError("The disk is full"))
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]
    with pytest.raises(KeyboardInterrupt):
        broken_off(tmp_path / "there", KeyboardInterrupt())
    assert (tmp_path / "there").is_dir()


def test_a_folder_that_holds_something_stays(tmp_path) -> None:
    with pytest.raises(ValueError, match="second"):
        broken_off(tmp_path / "a" / "b", ValueError("second"), "first")
    assert (tmp_path / "a" / "b" / "first").is_file()
    with folder_for(tmp_path / "c"):
        pass
    assert (tmp_path / "c").is_dir()


def test_what_ends_a_process_takes_empty_folders_along(tmp_path) -> None:
    with folder_for(tmp_path / "a" / "b") as folder:
        unfinished = replacing(folder / "c.bin")
        unfinished.__enter__()
        remove_unfinished()
        assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("below", ["file", "file/below"])
def test_a_folder_in_place_of_a_file_is_refused(tmp_path, below) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="cannot be made"), folder_for(tmp_path / below):
        pass
    assert (tmp_path / "file").read_text() == "mine"
