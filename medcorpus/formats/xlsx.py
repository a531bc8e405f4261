"""Excel workbooks (.xlsx): one row of a sheet is one row. Needs the extra `xlsx`.

The first row that holds anything names the columns. All sheets are read, or the one that `sheet` names; a sheet
without the columns asked for is told once. Of a formula the value that was last computed counts; a formula never
computed and an error (#N/A) are null. Dates are ISO, whole numbers have no point. Places are `Sheet1!R17`, the
number that Excel shows.
"""

import datetime
import io
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from medcorpus.core.errors import Missing, nearest
from medcorpus.formats.base import MOST_IN_MEMORY, SEPARATOR, Chunk, Options, Span, failed, missing, open_bytes
from medcorpus.formats.containers.archive import BOMB_BYTES, BOMB_RATIO
from medcorpus.formats.delimited import names

_ROWS = 4096


def read(span: Span, options: Options) -> Iterator[Chunk]:
    """Rows of the sheets as string columns. Raises Missing without openpyxl."""
    try:
        import openpyxl
    except ImportError:
        raise Missing("reading xlsx needs openpyxl: pip install 'medcorpus[xlsx]'") from None
    with open_bytes(span.path) as file:
        source: BinaryIO = file
        if SEPARATOR in span.path:  # a member of an archive is read forwards only
            source = io.BytesIO(file.read(MOST_IN_MEMORY))
        if wrong := _wrong(source):
            yield failed("", *wrong)
            return
        try:
            book = openpyxl.load_workbook(source, read_only=True, data_only=True, keep_links=False)
        except Exception:  # whatever openpyxl makes of a damaged file
            yield failed("", "broken", "not a workbook that can be read, or one with a password")
            return
        try:
            chosen = [options.sheet] if options.sheet else book.sheetnames
            if missed := [sheet for sheet in chosen if sheet not in book.sheetnames]:
                message = f"no sheet '{missed[0]}'{nearest(missed[0], book.sheetnames)}"
                yield failed("", "missing_sheet", message)
                return
            filled = False
            for name in chosen:
                sheet = book[name]
                if not hasattr(sheet, "iter_rows"):
                    continue  # a chart
                sheet.reset_dimensions()  # many writers note wrong ones
                for chunk in _sheet(sheet, name, options):
                    filled = True
                    yield chunk
            if not filled:
                yield failed("", "empty", "the workbook has no rows")
        finally:
            book.close()


def _wrong(file: BinaryIO) -> tuple[str, str] | None:
    """What keeps openpyxl from being asked: it holds shared strings in memory."""
    try:
        with zipfile.ZipFile(file) as parts:
            if any(i.file_size > max(BOMB_BYTES, BOMB_RATIO * i.compress_size) for i in parts.infolist()):
                return "too_large", f"a part of it unpacks to more than {BOMB_RATIO} times its size"
    except (zipfile.BadZipFile, OSError, ValueError):
        return "broken", "not a workbook that can be read, or one with a password"
    file.seek(0)
    return None


def _sheet(sheet: Any, name: str, options: Options) -> Iterator[Chunk]:
    columns: tuple[str, ...] = names(options.header) if options.header else ()
    rows: list[list[str | None]] = []
    places: list[str] = []
    try:
        for number, cells in enumerate(sheet.iter_rows(), 1):
            values = [_text(cell) for cell in cells]
            while values and values[-1] is None:
                values.pop()
            if not values:
                continue
            if not columns:
                columns = names([value or "" for value in values])
                if absent := [column for column in options.required if column not in columns]:
                    yield failed(name, "missing_column", missing(absent[0], columns))
                    return
                continue
            if len(values) > len(columns):
                yield failed(f"{name}!R{number}", "field_count", f"{len(values)} cells under {len(columns)} names")
                continue
            rows.append(values + [None] * (len(columns) - len(values)))
            places.append(f"{name}!R{number}")
            if len(rows) == _ROWS:
                yield _chunk(columns, rows, places)
                rows, places = [], []
    except Exception:  # of the XML inside, whatever parser openpyxl found
        yield failed(f"{name}!R{len(places) + 1}", "broken", "the sheet breaks off; the rows before were read")
    if rows:
        yield _chunk(columns, rows, places)


def _chunk(columns: tuple[str, ...], rows: list[list[str | None]], places: list[str]) -> Chunk:
    arrays = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    return Chunk(pa.RecordBatch.from_arrays(arrays, names=list(columns)), pa.array(places, pa.string()))


def _text(cell: Any) -> str | None:
    value = cell.value
    if value is None or cell.data_type == "e":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return str(int(value))
    text = str(value)
    return text.encode("utf-8", "replace").decode() if text else None
