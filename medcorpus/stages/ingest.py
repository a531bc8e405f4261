"""Read files into records.

    - ingest: {path: "data/**/*.jsonl", columns: {text: abstract, language: lang}, licence: CC-BY-4.0}

`path` is a file, a folder, a glob, an archive, a run, a dataset or one of the Hub; the format is told by the name or
the content. Every record says where it comes from (`locator`: file, and line, row or element), and its id follows from
source, locator and text alone. What cannot be read is a reject with its place: a bad line costs that line, a bad file
that file.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator, model_validator

from medcorpus import formats
from medcorpus.core import keys
from medcorpus.core.errors import Fatal, Missing, nearest
from medcorpus.core.languages import registry
from medcorpus.core.licences import PERMISSIVE, permissive
from medcorpus.core.params import Params, decision, fill, place, speed
from medcorpus.core.schema import CATEGORIES, RECORD, conform, schema_with
from medcorpus.core.stage import Bad, Context, Partition, Reason, Source
from medcorpus.formats import takedown
from medcorpus.formats.base import Chunk, Options, Span, alike, in_file, joined, locators
from medcorpus.formats.columnar import is_record, pieces, schema_of
from medcorpus.formats.columns import FORMS, Column, Flag
from medcorpus.formats.discover import Found, NothingFound, SameLocator, find
from medcorpus.formats.encodings.tables import LABELS, canonical
from medcorpus.formats.mapping import FIELDS, ROLES, Mapping, MissingColumn, as_records, to_records
from medcorpus.formats.partitions import Digests, partitions

_FLAG = re.compile(r"[a-z][a-z0-9_]{0,39}")
LEFT_OUT = {formats.NO_READER, "null_text", "fuzzy", "obsolete"}
"""What the data itself leaves out: files of formats that nobody reads, rows without text, translations that their
maker does not stand for. Each is told and counted as a reason of its own; nothing is broken, so none counts against
the error budget."""

_BATCH_ROWS = 4096
_BATCH_BYTES = 8 << 20


class IngestParams(Params):
    """What `ingest` may be told."""

    path: str | list[str] = place(
        description="File, folder, glob (`**`: any depth), run or dataset, or a list of them. An archive stands for its"
        " files (`a.zip!/notes/*.txt`: for some), `hf://datasets/owner/name@revision` for a dataset of the Hub."
    )
    format: Literal[tuple(formats.READERS)] | None = Field(  # type: ignore[valid-type]
        None, description="Format of the files; told by suffix or content when left out."
    )
    kind: Literal["text", "qa", "mcqa", "dialogue"] = Field(
        "text", description="What a row is; says which columns make its text."
    )
    columns: dict[str, Column] | None = Field(
        None,
        description="Record field -> column of the file (`meta.lang`: nested); by equal names when left out. A map says"
        " more: `{columns: [title, abstract]}` (joined; as options A, B ...), `{from: stem}` (or `name`, `extension`,"
        " `folder` of the file), `{value: x}`, each with `pattern`, `split` and `part`, `map`; `as` for options"
        " (option_string, list, dict; `key`, `text`, `keys` name their members), answer (letter, letters, index0,"
        " index1, text), turns (alternating, messages), evidence (spans, from `base`, `within` a part of the text).",
    )
    flags: dict[str, Flag] = Field(
        {},
        description="Flag -> rows that get it: `{column: image, filled: true}` or `{column: text_only, equals: no}`.",
    )
    records: str | None = Field(
        None,
        pattern=r"^(\.|[^.]+(\.[^.]+)*)$",
        description="Where the rows of a JSON document are: names and `*`, as in `exams.*.data`; `.` for the document. "
        "Left out: the list it is, the values of an object of objects, else the document. Columns `_key`, `_name` (of "
        "the list around it), `_value` (what is no object) and `_up.name` (of an object around the row) are there too.",
    )
    sheet: str | None = Field(None, min_length=1, description="The sheet of a workbook to read; all when left out.")
    keep: list[str] | Literal["all", "none"] = Field("all", description="Other columns to keep, as JSON in `extra`.")
    source: str | None = Field(None, min_length=1, description="Name of the source; the step's id when left out.")
    labels: str | None = Field(
        None, description="Whose language labels the files speak, where they mean something of their own (`tico19`)."
    )
    language: str | None = Field(None, description="Language of rows whose column says none.")
    category: Literal[CATEGORIES] | None = Field(None, description="Category of rows whose column says none.")  # type: ignore[valid-type]
    licence: str = Field("unknown", description="Licence (SPDX) of rows whose column says none.")
    attribution: str | None = Field(None, description="Whom to credit, for rows whose column says none.")
    url: str | None = Field(None, description="Address of rows whose column says none.")
    split: str | None = Field(None, description="Split of rows whose column says none.")
    delimiter: str | None = Field(None, description="Between the fields of csv and tsv; comma and tab when left out.")
    quoting: bool = Field(True, description="Whether quotes mean anything in csv and tsv.")
    encoding: str | None = Field(None, description="Encoding of files that are not UTF-8; detected when left out.")
    header: list[str] | None = Field(None, min_length=1, description="Column names, for csv and tsv without a header.")
    retire: str | list[str] | None = place(
        None,
        description="Takedown: file (or files) with one id a line, `#` for comments. These rows, and rows made from"
        " them, are left out of the next version, counted as `retired`.",
    )
    permissive: list[str] = decision(
        list(PERMISSIVE), description="Licences (patterns) that the reason `licence` passes."
    )
    block_mb: int = speed(8, ge=1, le=256, description="Megabytes read at a time.")

    @field_validator("language")
    @classmethod
    def _known_language(cls, label: str | None) -> str | None:
        return None if label is None else registry().normalise(label)

    @field_validator("labels")
    @classmethod
    def _known_labels(cls, labels: str | None) -> str | None:
        if labels is not None and labels not in (known := registry().sources):
            raise ValueError(f"no label table '{labels}'{nearest(labels, list(known))} ({', '.join(known)})")
        return labels

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, label: str | None) -> str | None:
        if label is None:
            return None
        found = canonical(label)
        if found is None:
            raise ValueError(f"unknown encoding '{label[:40]}'{nearest(label.lower(), LABELS)}")
        return found

    @field_validator("delimiter")
    @classmethod
    def _one_byte(cls, delimiter: str | None) -> str | None:
        if delimiter is not None and (len(delimiter.encode()) != 1 or delimiter in '"\r\n'):
            raise ValueError("a delimiter is one ASCII character, no quote and no line end")
        return delimiter

    @model_validator(mode="after")
    def _known_fields(self) -> Self:
        known = [*ROLES[self.kind], *FIELDS]
        for name, column in (self.columns or {}).items():
            if name not in known:
                fields = ", ".join(known)
                raise ValueError(f"columns: no field '{name}' for {self.kind}{nearest(name, known)} ({fields})")
            forms = FORMS.get(name, ())
            if column.as_ and column.as_ not in forms:
                raise ValueError(f"columns.{name}: `as` may be {', '.join(forms) or 'left out only'}, not {column.as_}")
        for flag in self.flags:
            if not _FLAG.fullmatch(flag):
                raise ValueError(f"flags: '{flag}' is not a name of small letters, digits and _")
        return self


def _not_permissive(batch: pa.RecordBatch, params: IngestParams, languages: tuple[str, ...]) -> pa.Array:
    return pc.invert(permissive(batch["licence"], params.permissive))


class Ingest(Source):
    """Files of known formats become records."""

    name, version, Params = "ingest", 1, IngestParams
    compiles = True
    writes = tuple(RECORD)
    reasons = {"licence": Reason("the licence is not one of `permissive`", _not_permissive, params=("permissive",))}

    def __init__(self, params: IngestParams, context: Context = Context()):  # noqa: B008 (frozen)
        super().__init__(params, context)
        self._digests: Digests | None = None
        self._constants = {
            name: value
            for name in ("language", "category", "licence", "attribution", "url", "split")
            if (value := getattr(params, name)) is not None
        }
        self._mapping = Mapping(
            source=params.source or context.step or self.name,
            kind=params.kind,
            columns=params.columns,
            constants=self._constants,
            keep=params.keep if isinstance(params.keep, str) else tuple(params.keep),
            labels=params.labels,
            flags=params.flags,
        )
        self._documents = self._mapping.of_documents() if params.kind == "text" else self._mapping
        self._options = Options(
            wanted=self._mapping.wanted,
            required=self._mapping.required,
            looked_at=self._mapping.looked_at,
            keep=self._mapping.keep,
            delimiter=params.delimiter,
            quoting=params.quoting,
            records=params.records,
            sheet=params.sheet,
            header=tuple(params.header) if params.header else None,
            encoding=params.encoding,
            block_bytes=params.block_mb << 20,
        )

    # -- what there is --------------------------------------------------------------------------

    def snapshot(self) -> str:
        """Digest of all files with their locators; the same wherever they lie."""
        return keys.digest(sorted(partition.digest for partition in self.partitions()))

    def warm(self) -> None:
        """Take members out of JSON lines, which waits until some are read."""
        from medcorpus.formats.members import warm

        warm()

    def partitions(self) -> list[Partition]:
        """See `formats.partitions`. Raises Fatal when nothing matches, or a format is not known."""
        found = partitions(self._files(), self._known())
        return [self._without(partition) for partition in found] if self._retired else found

    def resource_digests(self) -> dict[str, str]:
        """The name of the source, which is in every row and enters every id; the registry of languages; and the model
        that has a say in which encoding a file is in.
        """
        from medcorpus.text.lid.model import digests, shipped_model

        return {"source": self._mapping.source, "languages": registry().digest} | digests(shipped_model())

    @cached_property
    def _retired(self) -> frozenset[str]:
        """Ids that may not be passed on. Raises Missing and Fatal (see `takedown.read_ids`)."""
        given = self.params.retire or []
        names = [given] if isinstance(given, str) else given
        return takedown.read_ids((name, Path(self.context.root, self._filled(name))) for name in names)

    def notes(self) -> list[str]:
        """`jsonl: 12 files, 340.2 MB` for each format."""
        files, size = Counter[str](), Counter[str]()
        for file, format in self._files():
            files[format] += 1
            size[format] += file.size
        shown = [
            f"{name}: {count:,} file{'s' * (count != 1)}, {size[name] / 1e6:,.1f} MB"
            for name, count in sorted(files.items())
        ]
        return [*shown, f"retired: {len(self._retired):,} ids"] if self._retired else shown

    def _without(self, partition: Partition) -> Partition:
        """`partition` with the ids of its rows that are to be left out, if there are any.

        Only such a share changes its key, so that a takedown costs downstream what it touches, not everything. To
        know them the source is read once for each new list; the answer is kept with the digests.
        """
        key = keys.digest([partition.digest, self.params.data(), self._mapping.source, sorted(self._retired)])
        hits = self._known().noted(
            f"retired-{key}", lambda: takedown.hits(self.read(partition.spec, lambda bad: None), self._retired)
        )
        if not hits:
            return partition
        spec = {**partition.spec, "retired": hits}
        return Partition(keys.digest([partition.digest, hits]), spec, partition.size)

    def _known(self) -> Digests:
        if self._digests is None:
            self._digests = Digests(self.context.state)
        return self._digests

    def _files(self) -> list[tuple[Found, str]]:
        paths = [self.params.path] if isinstance(self.params.path, str) else self.params.path
        try:
            found = find([self._filled(path) for path in paths], self.context.root, self._known().members)
        except (NothingFound, SameLocator) as error:
            raise Fatal(str(error)) from None
        return [(file, self._format(file)) for file in found]

    def _filled(self, path: str) -> str:
        try:
            return fill(path)
        except KeyError as error:
            raise Missing(f"{self._mapping.source}: the environment variable {error.args[0]} is not set") from None

    def _format(self, file: Found) -> str:
        if self.params.format or file.error:
            return self.params.format or "unknown"
        if file.dataset:
            return "arrow"
        try:
            return formats.guess(file.path)
        except formats.UnknownFormat as error:
            if file.named:
                raise Fatal(str(error)) from None
            return formats.NO_READER
        except OSError:
            return "unknown"  # the reader will say what is wrong with it

    # -- reading --------------------------------------------------------------------------------

    def read(self, spec: dict[str, Any], reject: Callable[[Bad], None]) -> Iterator[pa.RecordBatch]:
        """Records of the files of one partition, about 4,096 rows or 8 MB at a time.

        All batches have the same columns: RECORD, and the score columns that any of the files brings.
        """

        def told(bad: Bad) -> None:
            reject(replace(bad, reason=bad.error) if bad.error in LEFT_OUT else bad)

        held = {file["locator"]: self._holds_records(file) for file in spec["files"]}
        scores = {f.name: f for schema in held.values() if schema for f in schema if f.name not in RECORD.names}
        whole = schema_with(scores[name] for name in sorted(scores))
        retired = pa.array(spec.get("retired", []), pa.string())
        waiting: list[pa.RecordBatch] = []
        rows = size = 0
        for made in self._records(spec["files"], {name for name, schema in held.items() if schema}, whole, told):
            made = takedown.without(made, retired, self._retired, told) if len(retired) else made
            for batch in pieces(conform(made, whole), _BATCH_BYTES):
                if waiting and (rows + batch.num_rows > _BATCH_ROWS or size > _BATCH_BYTES):
                    yield pa.concat_batches(waiting)
                    waiting, rows, size = [], 0, 0
                waiting.append(batch)
                rows, size = rows + batch.num_rows, size + batch.nbytes
        if waiting:
            yield pa.concat_batches(waiting)

    def _records(
        self, files: list[dict[str, Any]], ready: set[str], schema: pa.Schema, reject: Callable[[Bad], None]
    ) -> Iterator[pa.RecordBatch]:
        """Records of files; those in `ready` hold records of `schema` already.

        What is wrong with a whole file (a column that is not there) is one reject with the number of rows.
        """
        lost: dict[str, tuple[str, str, int]] = {}
        for file, chunk, where, named in self._joined(files, reject):
            if file not in lost:
                try:
                    if file in ready:
                        batch, wrong = as_records(chunk, where, schema, self._constants)
                    else:
                        batch, wrong = to_records(chunk, where, self._mapping if file else self._documents, named)
                except ValueError as error:
                    kind = "missing_column" if isinstance(error, MissingColumn) else "schema"
                    if not file:
                        for locator in where.to_pylist():
                            reject(Bad(locator, kind, str(error)))
                        continue
                    lost[file] = kind, str(error), 0
                else:
                    for bad in wrong:
                        reject(bad)
                    yield batch
                    continue
            kind, message, rows = lost[file]
            lost[file] = kind, message, rows + chunk.batch.num_rows
        for file, (kind, message, rows) in lost.items():
            reject(Bad(file, kind, f"{message} ({rows:,} rows are lost)"))

    def _joined(
        self, files: list[dict[str, Any]], reject: Callable[[Bad], None]
    ) -> Iterator[tuple[str, Chunk, pa.Array, "str | pa.Array"]]:
        """(locator of the file, chunk, locators of its rows, locator of the file or of the file of each row).

        Documents, files of one row or a few that need no mapping, come together, as file "".
        """
        single: list[Chunk] = []
        where: list[pa.Array] = []
        named: list[pa.Array] = []
        size = 0

        def together() -> Iterator[tuple[str, Chunk, pa.Array, "str | pa.Array"]]:
            if single:
                yield "", joined(single), pa.concat_arrays(where), pa.concat_arrays(named)
                for waiting in (single, where, named):
                    waiting.clear()

        for file in files:
            locator = file["locator"]
            for chunk in self._chunks(file, reject):
                if chunk.places is not None and not chunk.kind:
                    yield from together()
                    yield locator, chunk, locators(chunk, locator), locator
                    continue
                if single and (size > _BATCH_BYTES or not alike(chunk, single[0])):
                    yield from together()
                size = chunk.batch.nbytes + (size if single else 0)
                single.append(chunk)
                where.append(locators(chunk, locator))
                named.append(pa.repeat(locator, chunk.batch.num_rows))
        yield from together()

    def _chunks(self, file: dict[str, Any], reject: Callable[[Bad], None]) -> Iterator[Chunk]:
        """Chunks of one file, or of its range, that have rows."""
        locator = file["locator"]
        try:
            if file["format"] == formats.NO_READER:
                reject(Bad(locator, formats.NO_READER, file["error"]))
                return
            if "error" in file or file["format"] not in formats.READERS:
                raise OSError(0, file.get("error", "it could not be looked at"))
            for chunk in formats.reader(file["format"])(Span.of(file), self._options):
                for bad in chunk.bad:
                    reject(Bad(f"{locator}#{bad.locator}" if bad.locator else locator, bad.error, bad.message))
                if chunk.batch.num_rows:
                    yield in_file(chunk, locator)
        except OSError as error:
            reject(Bad(locator, "unreadable", error.strerror or type(error).__name__))

    def _holds_records(self, file: dict[str, Any]) -> pa.Schema | None:
        """Columns of a file that holds records already, else None."""
        if "error" in file or file["format"] not in ("record", "arrow", "parquet"):
            return None
        schema = schema_of(file["path"])
        if schema is None or file["format"] == "record":
            return schema
        return schema if self.params.columns is None and is_record(schema) else None
