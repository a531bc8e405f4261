"""What is written is on its way to the disk before the end, and a disk that fails is told once and heard."""

import errno
import os
import time
from pathlib import Path

import pytest

from medcorpus.core import writeback
from medcorpus.core.store import LocalStore


def test_much_is_flushed_on_the_way_and_little_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(writeback, "_flush", lambda descriptor: sizes.append(os.fstat(descriptor).st_size))
    store = LocalStore(tmp_path)
    for name, pieces in (("little", 1), ("much", 12)):
        with store.publish(name) as sink:
            for _ in range(pieces):
                sink.write(bytes(1 << 20))
                sink.flush()
                time.sleep(0.03)
        assert (tmp_path / name).stat().st_size == pieces << 20
        assert bool(sizes) == (name == "much")
    assert sizes == sorted(set(sizes)) and sizes[0] >= 4 << 20


def test_a_disk_that_fails_on_the_way_publishes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(writeback, "_flush", fail)
    with pytest.raises(OSError, match="Input/output"), LocalStore(tmp_path).publish("part") as sink:
        sink.write(bytes(8 << 20))
        sink.flush()
        time.sleep(0.3)
    assert list(tmp_path.iterdir()) == []
