"""Read a fastText model file, `.bin` or `.ftz`, into numpy arrays.

What supervised models of words and character n-grams need, with a softmax or a hierarchical one, dense or
quantised: our own language identifier, lid.176, GlotLID, OpenLID. Anything else raises NotSupported and is left to
the fasttext library.

The layout is that of fastText 0.9 (`FastText::saveModel`, magic number 793712314, version 12), all of it
little-endian and unpadded: Args, Dictionary, one byte "input is quantised", input matrix, one byte "output
is quantised", output matrix.

    Args        12 int32: dim ws epoch minCount neg wordNgrams loss model bucket minn maxn lrUpdateRate; double t
    Dictionary  3 int32: size nwords nlabels; 2 int64: ntokens, pruneidx_size; `size` entries (bytes up to
                a zero, int64 count, int8 type: 0 word, 1 label); `pruneidx_size` pairs of int32 bucket, row
    dense       2 int64: rows, columns; float32 of each
    quantised   1 byte qnorm; 2 int64: rows, columns; int32 codesize; codes uint8; ProductQuantizer;
                with qnorm: rows uint8; ProductQuantizer
    ProductQuantizer  4 int32: dim nsubq dsub lastdsub; dim * 256 float32

Rows of the input matrix are those of the words, then those of n-grams. `pruneidx_size` is -1 when none of the
latter was cut: row = bucket then.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_MAGIC, _VERSION = 793712314, 12
_SUPERVISED, _HIERARCHICAL, _SOFTMAX = 3, 1, 3  # enums model_name and loss_name of args.h
_WORD, _IS_LABEL = 0, 1  # enum entry_type of dictionary.h
_CODES = 256  # centroids of a ProductQuantizer
_LABEL = b"__label__"
_HEAD = 92  # bytes before the entries of the dictionary
_QUANTISER = 16  # bytes of a ProductQuantizer before its centroids


class NotSupported(Exception):
    """A sound model, yet of a kind that only the fasttext library can run."""


@dataclass(frozen=True)
class FastTextFile:
    """A supervised model over words and character n-grams.

    Row i of `rows` (float32) belongs to `words[i]`, those after the words to the n-gram buckets `buckets` (int32,
    rising); n-grams of other buckets count for nothing. Row i of `output` (float32) is that of `labels[i]`, which
    stand as in the file, without `__label__`; or, with a `tree`, of the node `len(labels) + i`.
    """

    minn: int
    maxn: int
    bucket: int
    words: tuple[bytes, ...]
    buckets: np.ndarray
    rows: np.ndarray
    output: np.ndarray
    labels: tuple[str, ...]
    tree: np.ndarray | None  # of a hierarchical softmax, see `huffman`; else the labels stand side by side


def read(path: str | Path) -> FastTextFile:
    """The model in `path`. Raises ValueError when it is not a whole fastText file, NotSupported for other kinds."""
    reader = _Reader(Path(path).read_bytes())
    magic, version = reader.numbers(np.int32, 2).tolist()
    if magic != _MAGIC:
        raise ValueError("not a fastText file")
    if version != _VERSION:
        raise NotSupported(f"it is of version {version}, not {_VERSION}")
    dim, *_, word_ngrams, loss, model, bucket, minn, maxn, _ = reader.numbers(np.int32, 12).tolist()
    reader.numbers(np.float64, 1)
    size, many, names = reader.numbers(np.int32, 3).tolist()
    _, pruned = reader.numbers(np.int64, 2).tolist()
    if model != _SUPERVISED or loss not in (_SOFTMAX, _HIERARCHICAL):
        raise NotSupported("no supervised model with a softmax")
    if word_ngrams > 1:
        raise NotSupported("it knows pairs of words")
    if bucket < 1 or maxn < 1 or names < 1:
        raise NotSupported("it has no character n-grams, or no labels")
    if many < 0 or size != many + names:
        raise ValueError("its words and labels are not all it knows")
    words, _ = reader.entries(many, _WORD)
    raw, counts = reader.entries(names, _IS_LABEL)
    if not all(label.startswith(_LABEL) for label in raw):
        raise NotSupported("labels that do not begin with __label__")
    labels = tuple(label.removeprefix(_LABEL).decode() for label in raw)
    pairs = reader.numbers(np.int32, 2 * max(pruned, 0)).reshape(-1, 2)
    rows = reader.matrix()
    output = reader.matrix()
    reader.end()
    if rows.shape[1] != dim or output.shape != (names, dim):
        raise ValueError("its matrices do not fit together")
    if len(rows) != many + (bucket if pruned < 0 else pruned):
        raise ValueError("its rows and its n-grams do not fit together")
    if pruned < 0:
        buckets = np.arange(bucket, dtype=np.int32)
    else:
        pairs = pairs[np.argsort(pairs[:, 0])]
        buckets, places = np.ascontiguousarray(pairs[:, 0]), pairs[:, 1]
        wrong = (buckets < 0) | (buckets >= bucket) | (places < 0) | (places >= pruned)
        if wrong.any() or (np.diff(buckets) == 0).any():
            raise ValueError("its n-grams are out of range")
        rows = rows[np.r_[:many, many + places]]
    tree = huffman(counts) if loss == _HIERARCHICAL else None
    return FastTextFile(minn, maxn, bucket, words, buckets, rows, output, labels, tree)


def huffman(counts: list[int]) -> np.ndarray:
    """Children of each node of the tree over labels with `counts`, falling: int32 (2n - 1, 2), -1 for the n leaves.

    `HierarchicalSoftmaxLoss::buildTree`: of what has no parent yet the two rarest get one; the root comes last.
    """
    leaves, never = len(counts), 10**15
    if max(counts) >= never:
        raise ValueError("labels seen more often than can be")
    weight = counts + [never] * (leaves - 1)
    tree = np.full((2 * leaves - 1, 2), -1, np.int32)
    leaf, node = leaves - 1, leaves
    for parent in range(leaves, 2 * leaves - 1):
        for side in (0, 1):
            if leaf >= 0 and weight[leaf] < weight[node]:
                tree[parent, side], leaf = leaf, leaf - 1
            else:
                tree[parent, side], node = node, node + 1
        weight[parent] = weight[tree[parent, 0]] + weight[tree[parent, 1]]
    return tree


def check(path: str | Path) -> None:
    """Raise ValueError unless the file is a whole supervised model of any kind.

    The fasttext library does not ask: it reads noise where a file was cut short. Whole is a file that ends with the
    output matrix that its head tells of, a row for each label.
    """
    with Path(path).open("rb") as stream:
        head = _Reader(stream.read(_HEAD))
        if head.numbers(np.int32, 2).tolist() != [_MAGIC, _VERSION]:
            raise ValueError("not a fastText file of version 12")
        dim, *_, model, _, _, _, _ = head.numbers(np.int32, 12).tolist()
        head.numbers(np.float64, 1)
        _, _, names = head.numbers(np.int32, 3).tolist()
        if model != _SUPERVISED or names < 1:
            raise ValueError("it has no labels; word vectors are no identifier")
        size, begins = stream.seek(0, 2), {17 + 4 * names * dim: b"\0"}  # bytes of the matrix, and how it begins
        for parts in range(1, dim + 1):  # quantised: so many codes a row, without norms or with them
            plain = 22 + names * parts + _QUANTISER + 4 * _CODES * dim
            begins |= {plain: b"\1\0", plain + names + _QUANTISER + 4 * _CODES: b"\1\1"}
        for back, kind in begins.items():
            if size - back >= _HEAD:
                stream.seek(size - back)
                if stream.read(len(kind) + 16) == kind + np.array([names, dim], "<i8").tobytes():
                    return
    raise ValueError("the file is cut short")


class _Reader:
    """A position in the bytes of a file; every read checks that they are there."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def numbers(self, kind: type, count: int) -> np.ndarray:
        width = np.dtype(kind).newbyteorder("<")
        end = self._at + width.itemsize * count
        if not self._at <= end <= len(self._data):
            raise ValueError("the file is cut short")
        found = np.frombuffer(self._data, width, count, self._at)
        self._at = end
        return found.astype(kind, copy=False)

    def entries(self, count: int, kind: int) -> tuple[tuple[bytes, ...], list[int]]:
        """The next `count` of the dictionary, all of them of `kind`, and how often each was seen."""
        names, counts = [], []
        for _ in range(count):
            end = self._data.find(b"\0", self._at)
            if end < 0 or end + 10 > len(self._data):
                raise ValueError("the file is cut short")
            names.append(self._data[self._at : end])
            seen, found = struct.unpack_from("<qb", self._data, end + 1)
            if found != kind:
                raise ValueError("its words and labels are mixed up")
            counts.append(seen)
            self._at = end + 10
        return tuple(names), counts

    def matrix(self) -> np.ndarray:
        """Either sort of matrix, as float32."""
        if not self.numbers(np.uint8, 1)[0]:
            height, width = self.numbers(np.int64, 2).tolist()
            return self.numbers(np.float32, _size(height, width)).reshape(height, width)
        with_norms = self.numbers(np.uint8, 1)[0]
        height, width = self.numbers(np.int64, 2).tolist()
        codes = self.numbers(np.uint8, int(self.numbers(np.int32, 1)[0]))
        parts = self.quantizer()
        if codes.size != height * len(parts) or width != sum(part.shape[1] for part in parts):
            raise ValueError("its codes do not fit its matrix")
        codes = codes.reshape(height, len(parts))
        made = np.empty((height, width), np.float32)
        at = 0
        for which, part in enumerate(parts):
            made[:, at : at + part.shape[1]] = part[codes[:, which]]
            at += part.shape[1]
        if with_norms:
            norm_codes = self.numbers(np.uint8, height)
            (norms,) = self.quantizer()
            made *= norms[norm_codes]
        return made

    def quantizer(self) -> list[np.ndarray]:
        """Centroids of each sub-vector: float32 (256, columns)."""
        dim, count, columns, last = self.numbers(np.int32, 4).tolist()
        if not (0 < dim == columns * (count - 1) + last and 0 < last <= columns and count > 0):
            raise ValueError("its quantiser makes no sense")
        cuts = [_CODES * columns * which for which in range(1, count)]
        parts = np.split(self.numbers(np.float32, _CODES * dim), cuts)
        return [part.reshape(_CODES, -1) for part in parts]

    def end(self) -> None:
        if self._at != len(self._data):
            raise ValueError("the file is longer than its model")


def _size(height: int, width: int) -> int:
    if height < 0 or width < 0:
        raise ValueError("a matrix of a negative size")
    return height * width
