"""The rows of a chunk while they are tested: which are still good, and what is wrong with the others."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medcorpus.core.schema import MAX_ROW_BYTES
from medcorpus.core.stage import Bad
from medcorpus.formats.base import Chunk, json_text
from medcorpus.formats.encodings.mojibake import repair, suspects
from medcorpus.formats.encodings.refuse import suspects as zawgyi_suspects
from medcorpus.formats.encodings.refuse import zawgyi
from medcorpus.text.buffers import buffers

_TEXTS = (pa.string(), pa.large_string(), pa.string_view())


class Rows:
    """Tests over whole columns. A row is told bad once, for the first test that it fails."""

    def __init__(self, chunk: Chunk, locators: pa.Array):
        self.batch = chunk.batch
        self.count = chunk.batch.num_rows
        self.bad: list[Bad] = []
        self._ok = np.ones(self.count, bool)
        self._extra = chunk.extra
        self._mended = np.zeros(self.count, bool)
        self._utf8 = chunk.utf8
        self.locators = locators

    def reject(self, wrong: pa.Array, error: str, message: str) -> None:
        """Take out the rows where `wrong` is true (null counts as false)."""
        if wrong.null_count:
            wrong = pc.fill_null(wrong, False)
        if wrong.true_count:
            for row in np.flatnonzero(wrong.to_numpy(zero_copy_only=False)).tolist():
                self.reject_row(row, error, message)

    def reject_row(self, row: int, error: str, message: str) -> None:
        """Take out one row."""
        if self._ok[row]:
            self._ok[row] = False
            self.bad.append(Bad(self.locators[row].as_py(), error, message))

    def reject_large(self, *arrays: pa.Array) -> None:
        """Take out the rows whose strings are above the row limit together."""
        if sum(array.nbytes for array in arrays) > MAX_ROW_BYTES:
            size = np.zeros(self.count, np.int64)
            for array in arrays:
                size += pc.fill_null(pc.binary_length(array), 0).to_numpy(zero_copy_only=False)
            large = pa.array(size > MAX_ROW_BYTES)
            self.reject(large, "too_large", f"the row is larger than {MAX_ROW_BYTES >> 20} MB")

    def reject_nul(self, array: pa.Array) -> None:
        """Take out the rows whose string holds a NUL character."""
        data, offsets, _ = buffers(array)
        used = data[offsets[0] : offsets[-1]]
        if len(used) and not used.min():
            self.reject(pc.match_substring(array, "\0"), "nul_byte", "the text holds a NUL character")

    def mended(self, array: pa.Array) -> pa.Array:
        """`array` of texts with mojibake repaired; rows in Zawgyi are taken out."""
        if self._utf8 and zawgyi_suspects(array):
            for row, text in enumerate(array.to_pylist()):
                if text and (at := zawgyi(text)) is not None:
                    self.reject_row(
                        row, "zawgyi", f"character {at} of the text: Burmese in Zawgyi, which is not Unicode"
                    )
        rows = suspects(array)
        found = {row: made for row in rows.tolist() if (made := repair(array[row].as_py()))}
        if not found:
            return array
        self._mended[list(found)] = True
        return pc.replace_with_mask(
            array, pa.array(np.isin(np.arange(self.count), list(found))), pa.array([made[0] for made in found.values()])
        )

    def flags(self, more: pa.Array | None = None) -> pa.Array:
        """`mojibake_repaired` for the rows in which a text was, beside what `more` says of each; null for none."""
        if not self._mended.any():
            return pa.nulls(self.count, pa.list_(pa.string())) if more is None else more
        others = [None] * self.count if more is None else more.to_pylist()
        rows = zip(self._mended.tolist(), others, strict=True)
        found = [(["mojibake_repaired"] if mended else []) + (other or []) or None for mended, other in rows]
        return pa.array(found, pa.list_(pa.string()))

    def good(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """`batch` without the rows taken out."""
        return batch if self._ok.all() else batch.filter(pa.array(self._ok))

    def each_value(self, array: pa.Array, error: str, normalise: Callable[[str], str]) -> pa.Array:
        """`array` of labels with every distinct one normalised; a ValueError takes its rows out."""
        known: dict[str, str | None] = {}
        for label in pc.unique(array).to_pylist():
            if label is None:
                continue
            try:
                known[label] = normalise(label)
            except ValueError as problem:
                known[label] = None
                self.reject(pc.equal(array, label), error, str(problem))
        if all(label == code for label, code in known.items()):
            return array
        keys, codes = pa.array(list(known), pa.string()), pa.array(list(known.values()), pa.string())
        return codes.take(pc.index_in(array, keys))

    # -- columns --------------------------------------------------------------------------------

    def column(self, path: str) -> pa.Array | None:
        """The column `path`, or the nested field; None when the batch has neither."""
        names = self.batch.schema.names
        if path in names:
            return self.batch.column(names.index(path))
        first, *rest = path.split(".")
        if not rest or first not in names:
            return None
        here = self.batch.column(names.index(first))
        for name in rest:
            if not pa.types.is_struct(here.type) or here.type.get_field_index(name) < 0:
                return None
            here = pc.struct_field(here, name)  # a null parent gives null
        return here

    def strings(self, path: str) -> pa.Array | None:
        """The column as strings: numbers as they print, lists and structs as JSON, null where not utf-8."""
        array = self.column(path)
        if array is None:
            return None
        kind = array.type
        if pa.types.is_dictionary(kind):
            array = array.dictionary_decode()
            kind = array.type
        if pa.types.is_nested(kind):
            return pa.array([None if v is None else json_text(v) for v in array.to_pylist()], pa.string())
        if kind in _TEXTS:
            try:
                if not self._utf8:  # parquet does not promise that its strings are
                    array.validate(full=True)
                return array if kind == pa.string() else array.cast(pa.string())
            except pa.ArrowInvalid:
                array = array.cast(pa.binary())
        elif not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
            return array.cast(pa.string())
        return self._decoded(array)

    def _decoded(self, array: pa.Array) -> pa.Array:
        """Bytes as strings; a row that is not utf-8 is taken out."""
        try:
            return array.cast(pa.string())
        except pa.ArrowInvalid:
            texts: list[str | None] = []
            for row, value in enumerate(array.to_pylist()):
                try:
                    texts.append(None if value is None else value.decode())
                except UnicodeDecodeError as problem:
                    self.reject_row(row, "invalid_utf8", f"byte {problem.start} of the text is not utf-8")
                    texts.append(None)
            return pa.array(texts, pa.string())

    def others(self, mapped: set[str], keep: tuple[str, ...] | str) -> pa.Array:
        """The other columns as one JSON object per row, in their order; null where all of them are null."""
        names = [n for n in self.batch.schema.names if (n not in mapped if keep == "all" else n in keep)]
        if self._extra is not None or keep == "none" or not names:
            return pa.nulls(self.count, pa.string()) if self._extra is None else self._extra
        columns = [self.batch[name].to_pylist() for name in names]
        rows = ({n: v for n, v in zip(names, row, strict=True) if v is not None} for row in zip(*columns, strict=True))
        return pa.array([json_text(row) if row else None for row in rows], pa.string())
