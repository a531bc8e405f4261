"""`dedup` on real text of 18 languages against exact Jaccard similarities of an independent tokeniser."""

import csv
import gzip
import io
import random
from collections import Counter, defaultdict
from itertools import combinations

import datasketch
import numpy as np
import pyarrow as pa
import pytest

from medcorpus.text.minhash import signatures
from medcorpus.text.shingles import shingles
from tests.cli.helpers import SHARED
from tests.records import records
from tests.stages.test_dedup import run, stage
from tests.text.test_shingles import said

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data is not here")

LANGUAGES = """eng_Latn zho_Hans jpn_Jpan tha_Thai khm_Khmr mya_Mymr lao_Laoo arb_Arab hin_Deva amh_Ethi hau_Latn
rus_Cyrl fra_Latn swh_Latn vie_Latn kor_Hang tel_Telu heb_Hebr""".split()  # noqa: SIM905
DOCUMENTS, SENTENCES = 5000, 4


def sentences(name):
    with gzip.open(SHARED / "lid" / "sib200" / f"{name}.train.tsv.gz", "rt", encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(io.StringIO(file.read()), delimiter="\t", quoting=csv.QUOTE_NONE)]


def edited(text, rng):
    """1 to 6 words, or characters where there are no spaces, replaced, left out or said twice."""
    spaced = len(text.split()) > len(text) / 12
    units = text.split(" ") if spaced else list(text)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(units))
        units[at : at + 1] = rng.choice([[rng.choice(units)], [], [units[at], units[at]]])
    return (" " if spaced else "").join(units)


@pytest.fixture(scope="module")
def corpus():
    """(texts, languages, shingle sets by the slow tokeniser)."""
    rng = random.Random(11)
    texts, languages = [], []
    for name in LANGUAGES:
        lines = sentences(name)
        originals = ["\n".join(lines[i : i + SENTENCES]) for i in range(0, len(lines), SENTENCES)]
        planted = [edited(rng.choice(originals), rng) for _ in range(DOCUMENTS // len(LANGUAGES) + 1 - len(originals))]
        planted[::5] = [rng.choice(originals) for _ in planted[::5]]
        texts += originals + planted
        languages += [name.split("_")[0]] * (len(originals) + len(planted))
    return texts, languages, [said(text) for text in texts]


def pairs(grams, languages, least):
    """All pairs of one language at `least` or above: {(i, j): similarity}."""
    where = defaultdict(list)
    for number, (_, found) in enumerate(grams):
        for gram in found:
            where[gram].append(number)
    shared = Counter(pair for numbers in where.values() if 1 < len(numbers) < 400 for pair in combinations(numbers, 2))
    out = {}
    for (one, two), both in shared.items():
        if both >= least * (len(grams[one][1]) + len(grams[two][1]) - both) and languages[one] == languages[two]:
            out[one, two] = both / (len(grams[one][1]) + len(grams[two][1]) - both)
    return out


@pytest.mark.parametrize("guard", [False, True])
@pytest.mark.parametrize("threshold", [0.7, 0.8])
def test_recall_and_soundness(corpus, threshold, guard):
    texts, languages, grams = corpus
    assert len(texts) >= DOCUMENTS and len(set(languages)) >= 12
    batch = records(texts, language=languages)
    rows = run(batch.slice(0, 2000), batch.slice(2000), stage=stage(threshold=threshold, guard=guard))
    near = pairs(grams, languages, threshold)
    wanted = [pair for pair, similarity in near.items() if similarity >= threshold + 0.1]
    together = sum(rows[a]["dedup_family"] == rows[b]["dedup_family"] is not None for a, b in wanted)
    by_language = Counter(languages[a] for a, _ in wanted)
    print(f"{threshold=} {guard=}: {together} of {len(wanted)} pairs in one family, {len(by_language)} languages")
    assert len(by_language) >= 12 and len(wanted) > 500
    assert together / len(wanted) >= 0.98
    number = {row["id"]: i for i, row in enumerate(rows)}
    dropped = 0
    for i, row in enumerate(rows):
        if row["dedup_duplicate_of"]:
            of = number[row["dedup_duplicate_of"]]
            similarity = near.get((min(i, of), max(i, of)), 0.0)
            equal = grams[i][0] == grams[of][0]
            assert rows[of]["dedup_duplicate_of"] is None
            assert equal or similarity >= threshold
            assert equal or row["dedup_similarity"] == pytest.approx(similarity, abs=1e-6)
            dropped += 1
    print(f"{dropped} of {len(rows)} dropped, each beside a kept row at {threshold} or above")


def test_estimates_agree_with_datasketch(corpus):
    texts, languages, grams = corpus
    near = pairs(grams, languages, 0.3)
    chosen = random.Random(2).sample(sorted(near), 300)
    found = shingles(pa.array(texts))
    ours = signatures(found.values, found.offsets, 112)
    errors = []
    for a, b in chosen:
        sketches = []
        for row in (a, b):
            sketch = datasketch.MinHash(112, seed=1, hashfunc=lambda v: int.from_bytes(v, "little"))
            sketch.update_batch([v.tobytes() for v in found.values[found.offsets[row] : found.offsets[row + 1]]])
            sketches.append(sketch)
        errors.append((np.mean(ours[a] == ours[b]) - near[a, b], sketches[0].jaccard(sketches[1]) - near[a, b]))
    mine, theirs = np.array(errors).T
    print(f"error of an estimate: ours {mine.std():.4f} (mean {mine.mean():+.4f}), datasketch {theirs.std():.4f}")
    assert abs(mine.mean()) < 0.01 and mine.std() < 1.25 * theirs.std()
