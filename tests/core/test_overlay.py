"""Parts that hold only what changed read as if they held everything."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcorpus.core import overlay, views
from medcorpus.core.manifest import Part
from medcorpus.core.store import LocalStore
from medcorpus.engine.parts import Over, PartWriter, part_schema, read_part


def write(store, name, batches, over=None, rows=None):
    with store.publish(name) as sink:
        writer = PartWriter(sink, over)
        for number, batch in enumerate(batches):
            writer.write(batch, None if rows is None else rows[number])
        writer.close()
        return Part(name, writer.rows, writer.size)


def column(store, name, columns=()):
    schema = part_schema(store, name)
    batches = list(read_part(store, name, columns))
    assert all(tuple(batch.schema.names) == (columns or tuple(schema.names)) for batch in batches)
    return {one: [value for batch in batches for value in batch[one].to_pylist()] for one in columns or schema.names}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_chain_of_overlays_reads_like_the_rows_themselves(tmp_path_factory, data):
    store = LocalStore(tmp_path_factory.mktemp("run"))
    rows = data.draw(st.integers(1, 30))
    table = pa.table(
        {
            "id": [f"{n}" for n in range(rows)],
            "text": ["ክኒን 5 mg " * (n % 3) for n in range(rows)],
            "kept": [None] * rows,
        }
    )
    table = table.cast(
        pa.schema(
            [pa.field("id", pa.string(), nullable=False), ("text", pa.string()), ("kept", pa.int8())], {b"k": b"v"}
        )
    )
    batches = table.to_batches(max_chunksize=data.draw(st.integers(1, rows)))
    name = "private/steps/a-1/x.arrow"
    part = write(store, name, batches)
    for step in range(data.draw(st.integers(1, 3))):
        before = pa.Table.from_batches(list(read_part(store, name)), part_schema(store, name))
        mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(before), max_size=len(before))), bool)
        after = before.append_column(f"m{step}", pa.array(np.arange(len(before)) * 10 + step))
        after = after.set_column(2, "kept", pa.array(np.full(len(before), step), pa.int8())).filter(pa.array(mask))
        numbers = np.flatnonzero(mask)
        over = Over(f"private/steps/b-{step}/x.arrow", name, part, part_schema(store, name), frozenset({"kept"}))
        size = data.draw(st.integers(1, 7))
        whole = pa.RecordBatch.from_pylist([], schema=after.schema)
        if len(after):
            whole = after.combine_chunks().to_batches()[0]
        starts = range(0, max(len(after), 1), size)
        made, told = [whole.slice(at, size) for at in starts], [numbers[at : at + size] for at in starts]
        name, part = over.name, write(store, over.name, made, over, told)
        read = pa.Table.from_batches(list(read_part(store, name)), part_schema(store, name))
        assert read.equals(after) and read.schema.equals(after.schema, check_metadata=True)
        assert column(store, name, ("kept", "id")) == after.select(["kept", "id"]).to_pydict()
        assert column(store, name, (f"m{step}",)) == after.select([f"m{step}"]).to_pydict()
        assert part.rows == len(after)
        seen = [views.written(batch) for batch in read_part(store, name, as_views=("text", "id"))]
        assert pa.Table.from_batches(seen, part_schema(store, name)).equals(after)


def test_what_is_missing_below_is_named(tmp_path):
    store = LocalStore(tmp_path)
    batch = pa.record_batch({"id": ["a", "b"], "text": ["x", "y"]})
    part = write(store, "steps/a-1/k.arrow", [batch])
    over = Over("steps/b-1/k.arrow", "steps/a-1/k.arrow", part, batch.schema, frozenset())
    write(store, over.name, [batch.slice(1)], over, [np.array([1])])
    assert column(store, over.name) == {"id": ["b"], "text": ["y"]}
    store.path("steps/a-1/k.arrow").write_bytes(b"rubbish")
    with pytest.raises(Exception, match=r"steps/a-1/k\.arrow is damaged"):
        column(store, over.name)
    store.delete("steps/a-1/k.arrow")
    with pytest.raises(Exception, match=r"steps/b-1/k\.arrow is damaged .*is gone: steps/a-1/k\.arrow"):
        column(store, over.name)
    write(store, "steps/a-1/k.arrow", [batch.slice(0, 1)])
    with pytest.raises(overlay.Damaged, match="more rows than the part it stands on"):
        list(overlay.read(store.open, over.name))


@pytest.mark.parametrize("left", [0, 3, 50, 300, 900, 0.5, 0.999])
def test_a_part_that_breaks_off_is_named_wherever_it_does(tmp_path, left):
    store = LocalStore(tmp_path)
    write(store, "steps/a-1/k.arrow", [pa.record_batch({"id": ["ሀ" * 9] * 900, "text": ["ክኒን 5 mg"] * 900})])
    path = store.path("steps/a-1/k.arrow")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole)) if isinstance(left, float) else left])
    with pytest.raises(Exception, match=r"steps/a-1/k\.arrow is damaged"):
        column(store, "steps/a-1/k.arrow")
    store.delete("steps/a-1/k.arrow")
    with pytest.raises(FileNotFoundError):
        column(store, "steps/a-1/k.arrow")
