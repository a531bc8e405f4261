"""Views of strings say what the strings say, whatever is done to them before they are written."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from medcorpus.core import views

TEXTS = st.lists(st.one_of(st.none(), st.text(), st.text(min_size=13)), max_size=12)


def batch(texts: list[str | None]) -> pa.RecordBatch:
    numbers = pa.array(range(len(texts)), pa.int32())
    return pa.RecordBatch.from_arrays([numbers, pa.array(texts, pa.string())], names=["n", "text"])


@given(TEXTS, TEXTS, st.data())
def test_rows_left_out_joined_and_put_in_order(one: list, two: list, data: st.DataObject) -> None:
    whole = batch([*one, *two])
    parts = [views.viewed(part, ("text",)) for part in (whole.slice(0, len(one)), whole.slice(len(one)))]
    together = pa.concat_batches(parts)
    rows = data.draw(st.lists(st.integers(0, max(len(whole) - 1, 0)), max_size=20 if len(whole) else 0))
    made = views.written(views.take(together, np.array(rows, np.int64)))
    made.validate(full=True)
    assert made.equals(whole.take(pa.array(rows, pa.int64())))
    cut = views.take(together.slice(1), np.arange(max(len(whole) - 1, 0)))
    assert views.written(cut).equals(whole.slice(1))


def test_only_named_strings_become_views() -> None:
    made = views.viewed(batch(["a", "b"]), ("n", "text", "missing"))
    assert made.schema == views.schema(batch([]).schema, ("n", "text")) and made.schema.field("n").type == pa.int32()
    assert made.schema.field("text").type == pa.string_view()
