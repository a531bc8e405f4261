"""The store: whole or nothing, one driver at a time, whatever dies."""

import contextlib
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcorpus.core.errors import Locked
from medcorpus.core.store import FsspecStore, LocalStore, open_store


@pytest.fixture(params=["folder", "memory", "file"])
def store(request, tmp_path):
    if request.param == "folder":
        return LocalStore(tmp_path / "run")
    return FsspecStore(f"memory://{uuid.uuid4().hex}/run" if request.param == "memory" else f"file://{tmp_path}/run")


@pytest.fixture
def local(tmp_path):
    return LocalStore(tmp_path / "run")


def put(store, name, raw=b"x", **about):
    with store.publish(name, **about) as sink:
        sink.write(raw)


def get(store, name):
    with store.open(name) as stream:
        return stream.read()


def files(root):
    return sorted(str(path.relative_to(root)) for path in Path(root).rglob("*") if path.is_file())


# -- the contract: the same for every store ------------------------------------------------------


def test_publish_then_read(store):
    assert not store.exists("a/b.bin")
    put(store, "a/b.bin", b"one")
    assert store.exists("a/b.bin")
    assert get(store, "a/b.bin") == b"one"
    put(store, "a/b.bin", b"two!")
    assert get(store, "a/b.bin") == b"two!"
    put(store, "empty", b"")
    assert get(store, "empty") == b""


def test_random_reading(store):
    put(store, "a.bin", bytes(range(200)))
    with store.open("a.bin") as stream:
        assert isinstance(stream, pa.NativeFile)
        stream.seek(150)
        assert stream.read(3) == bytes([150, 151, 152])
        assert stream.size() == 200


def test_arrow_through_the_store(store):
    table = pa.table({"a": list(range(1000)), "b": ["发烧"] * 1000})
    with store.publish("t.arrow") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    with store.open("t.arrow") as stream, pa.ipc.open_stream(stream) as reader:
        assert reader.read_all() == table


def test_list(store):
    assert store.list("nothing") == {}
    assert store.list("") == {}
    for name, raw in {"s/b": b"22", "s/a": b"1", "s/deep/c": b"333", "top": b""}.items():
        put(store, name, raw)
    sizes = store.list("s")
    assert list(sizes) == ["a", "b", "deep"]
    assert (sizes["a"], sizes["b"]) == (1, 2)
    assert list(store.list("")) == ["s", "top"]
    assert store.list("s/") == sizes
    assert store.list("s/a") == {}, "a file is not a folder"


def test_open_of_what_is_not_there(store):
    with pytest.raises(FileNotFoundError):
        store.open("a/b")
    put(store, "a/c")
    with pytest.raises(FileNotFoundError):
        store.open("a/b")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_block_that_raises_publishes_nothing(store, error):
    put(store, "kept", b"old")
    for name in ("kept", "new"):
        with pytest.raises(error), store.publish(name) as sink:
            sink.write(b"half")
            raise error
    assert get(store, "kept") == b"old"
    assert not store.exists("new")
    assert list(store.list("")) == ["kept"]


def test_nothing_is_seen_before_the_end(store):
    with store.publish("s/a") as sink:
        sink.write(b"half")
        assert not store.exists("s/a")
        assert store.list("s") == {}
    assert store.list("s") == {"a": 4}


def test_delete(store):
    for name in ("s/a", "s/deep/b", "t"):
        put(store, name)
    store.delete("s/a")
    assert list(store.list("s")) == ["deep"]
    store.delete("s")
    assert store.list("s") == {}
    assert not store.exists("s/deep/b")
    store.delete("s")
    store.delete("never/was")
    assert store.exists("t")


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "a/.."])
def test_names_cannot_leave_the_store(store, name):
    for use in (store.open, store.exists, store.list, store.delete, lambda name: put(store, name)):
        with pytest.raises(ValueError, match="not a name inside the store"):
            use(name)


@pytest.mark.parametrize("name", ["", ".", "./"])
def test_delete_never_means_everything(store, name):
    put(store, "a")
    with pytest.raises(ValueError, match="whole store"):
        store.delete(name)
    assert store.exists("a")


def test_lock(store):
    with store.lock():
        put(store, "a")
        other = open_store(store.root) if isinstance(store, LocalStore) else FsspecStore(store.root)
        with pytest.raises(Locked) as caught, other.lock():
            pass
        assert f"process {os.getpid()} on " in str(caught.value)
        assert caught.value.exit_code == 75
    with store.lock():
        pass


def test_the_lock_is_freed_when_the_block_raises(store):
    with pytest.raises(ValueError), store.lock():
        raise ValueError
    with store.lock():
        put(store, "a")


# -- a folder --------------------------------------------------------------------------------------


def test_open_store(tmp_path):
    assert isinstance(open_store(str(tmp_path)), LocalStore)
    assert isinstance(open_store("memory://x"), FsspecStore)
    folder = open_store(f"file://{tmp_path}/run")
    assert isinstance(folder, LocalStore)
    put(folder, "a")
    assert (tmp_path / "run" / "a").exists()


def test_list_hides_temporaries_and_links_to_nothing(local):
    put(local, "s/a")
    folder = local.path("s")
    (folder / "b.arrow.tmp-12ab34cd").write_bytes(b"half")
    (folder / "gone").symlink_to("nowhere")
    assert local.list("s") == {"a": 1}


def test_sweep(local):
    put(local, "s/a.arrow")
    put(local, "private/steps/b")
    (local.path("s") / "c.arrow.tmp-12ab34cd").write_bytes(b"half")
    half = local.path("private/steps") / "shard.tmp-12ab34cd"
    (half / "deep").mkdir(parents=True)
    (half / "deep" / "data.tmp-1").touch()
    assert local.sweep() >= 2
    assert files(local.root) == ["private/steps/b", "s/a.arrow"]
    assert not half.exists()
    assert local.sweep() == 0


def test_a_killed_publish_leaves_no_name(local):
    code = (
        "import sys, os, signal; from medcorpus.core.store import LocalStore\n"
        "with LocalStore(sys.argv[1]).publish('s/a') as sink:\n"
        "    sink.write(b'half'); sink.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, local.root], check=False)
    assert done.returncode == -signal.SIGKILL
    assert local.list("s") == {}
    assert not local.exists("s/a")
    assert local.sweep() == 1
    assert files(local.root) == []


def test_a_full_disk_leaves_no_name(local):
    """A limit on file size stands in for a full disk: both make `write` fail in the middle."""
    code = (
        "import resource, sys; from medcorpus.core.store import LocalStore\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))\n"
        "store = LocalStore(sys.argv[1])\n"
        "try:\n"
        "    with store.publish('s/a') as sink:\n"
        "        for _ in range(64): sink.write(b'x' * 4096)\n"
        "except OSError as error:\n"
        "    print(error.strerror)\n"
        "try:\n"
        "    with store.publish_folder('s/folder') as folder:\n"
        "        (folder / 'data').write_bytes(b'x' * (1 << 18))\n"
        "except OSError as error:\n"
        "    print(error.strerror)\n"
        "with store.publish('s/b') as sink: sink.write(b'small')\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run([sys.executable, "-c", code, local.root], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["File too large"] * 2
    assert files(local.root) == ["s/b"]


HOLD = (
    "import sys, time; from medcorpus.core.store import LocalStore\n"
    "with LocalStore(sys.argv[1]).lock():\n"
    "    print('locked', flush=True); time.sleep(60)\n"
)


@contextlib.contextmanager
def another_run(root):
    process = subprocess.Popen([sys.executable, "-c", HOLD, root], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "locked\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_another_process_is_locked_out_and_told_by_whom(local):
    with another_run(local.root) as other:
        with pytest.raises(
            Locked, match=rf"process {other.pid} on .*since 2\d\d\d-.*; wait for it, or use another --out"
        ):
            local.lock().__enter__()
        os.kill(other.pid, signal.SIGKILL)  # nothing is left for a person to clear
        other.wait()
        with local.lock():
            put(local, "a")


def test_an_unreadable_lock_file_still_locks(local):
    with another_run(local.root):
        (Path(local.root) / ".lock").write_text("?")
        with pytest.raises(Locked, match="another process"), local.lock():
            pass


@pytest.fixture
def umask_022():
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(Path(path).stat().st_mode)


@pytest.mark.usefixtures("umask_022")
def test_private_is_closed_to_others(local):
    put(local, "private/steps/a-1/part.arrow")
    put(local, "steps/a-1/part.arrow")
    put(local, "secret.json", private=True)
    with local.publish_folder("private/steps/shard-1/key") as folder:
        (folder / "data").mkdir()
        (folder / "data" / "part").touch()
    root = Path(local.root)
    for path in root.glob("private/**/"):
        assert mode(path) == 0o700, path
    assert mode(root / "private/steps/a-1/part.arrow") == 0o600
    assert mode(root / "private/steps/shard-1/key/data/part") == 0o600
    assert mode(root / "secret.json") == 0o600
    assert mode(root / "steps/a-1") == 0o755
    assert mode(root / "steps/a-1/part.arrow") == 0o644


def test_publish_folder(local):
    with local.publish_folder("s/out") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "a").write_text("1")
        assert local.list("s") == {}
    assert files(local.root) == ["s/out/deep/a"]
    with local.publish_folder("s/out") as folder:
        assert list(folder.iterdir()) == []
        (folder / "b").write_text("2")
    assert files(local.root) == ["s/out/b"]
    with pytest.raises(ValueError), local.publish_folder("s/out") as folder:
        (folder / "c").write_text("3")
        raise ValueError
    assert files(local.root) == ["s/out/b"]


def test_link_points_at_the_newest(local):
    for n in "12":
        with local.publish_folder(f"s/v{n}") as folder:
            (folder / "a").write_text(n)
        local.link("dataset", f"s/v{n}")
        assert (local.path("dataset") / "a").read_text() == n
    local.delete("dataset")
    assert local.exists("s/v2/a"), "deleting a link leaves what it points at"


def test_reading_goes_on_when_a_name_is_replaced(local):
    put(local, "a", b"old" * 1000)
    with local.open("a") as stream:
        put(local, "a", b"new")
        assert stream.read() == b"old" * 1000


def test_one_of_many_publishers_wins_whole(local):
    """Two workers that make the same part write the same name; readers see one of them, never a mix."""
    raws = [bytes([n]) * 300_000 for n in range(6)]
    threads = [threading.Thread(target=put, args=(local, "s/part", raw)) for raw in raws]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert get(local, "s/part") in raws
    assert local.list("s") == {"part": 300_000}


# -- an object store --------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "file"])
def remote(request, tmp_path):
    return f"memory://{uuid.uuid4().hex}/run" if request.param == "memory" else f"file://{tmp_path}/run"


def test_a_driver_that_lost_its_lock_cannot_commit(remote):
    one, two = FsspecStore(remote), FsspecStore(remote)
    with one.lock():
        put(one, "a", b"1")
        two.delete(".lock")  # a person was sure that the first was dead
        with two.lock():
            put(two, "a", b"2")
            with pytest.raises(Locked, match="taken over"):
                put(one, "a", b"3")
            assert get(two, "a") == b"2"
    put(two, "b")
    assert FsspecStore(remote).list("") == {"a": 1, "b": 1}, "both locks are gone"


def test_the_loser_does_not_remove_the_lock_of_the_winner(remote):
    one, two = FsspecStore(remote), FsspecStore(remote)
    with one.lock():
        two.delete(".lock")
        held = two.lock()
        held.__enter__()
    assert two.exists(".lock")
    held.__exit__(None, None, None)
    assert not two.exists(".lock")


def test_the_lock_object_names_its_holder(remote):
    store = FsspecStore(remote)
    with store.lock():
        who = json.loads(get(store, ".lock"))
        assert who["pid"] == os.getpid()
        assert who["token"]
    with pytest.raises(FileNotFoundError):
        get(store, ".lock")


names = st.text("abc.-_0", min_size=1, max_size=6).filter(lambda name: set(name) != {"."})


@settings(max_examples=25)
@given(st.dictionaries(names, st.binary(max_size=40), max_size=6))
def test_the_stores_agree(contents):
    """The same names and bytes in, the same listing and bytes out, in memory as in a folder."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        stores = [LocalStore(folder), FsspecStore(f"memory://{uuid.uuid4().hex}")]
        for store in stores:
            for name, raw in contents.items():
                put(store, f"s/{name}", raw)
        one, two = stores
        assert one.list("s") == two.list("s") == {name: len(contents[name]) for name in sorted(contents)}
        assert all(get(one, f"s/{name}") == get(two, f"s/{name}") == raw for name, raw in contents.items())
