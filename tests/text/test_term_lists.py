"""The lists that are shipped: whole, of a size, read as people write them, and matching where the published filter does
not; lists of one's own that are refused."""

import pyarrow as pa
import pytest

from medcorpus.core.errors import Fatal
from medcorpus.core.languages import registry
from medcorpus.text import term_lists
from medcorpus.text.terms import count, index, tokens

PARTS = ["anatomy", "symptoms and signs", "diseases", "drugs", "procedures and examinations", "people, care, research"]


def found(language: str, text: str) -> int:
    return int(count(pa.array([text]), index(term_lists.shipped(language))).distinct[0])


@pytest.mark.parametrize("language", registry().mission)
def test_every_language_has_its_terms(language):
    path = term_lists.FOLDER / f"{language}.txt"
    sizes: dict[str, int] = {}
    part = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            part = line[2:]
        else:
            sizes[part] = sizes.get(part, 0) + 1
    assert list(sizes) == PARTS
    assert min(sizes.values()) >= 9, sizes
    assert sum(sizes.values()) >= 145
    assert len(term_lists.shipped(language)) >= 170


FAILURES = {  # of MMedC's published filter: it splits at blanks, so punctuation and scripts without blanks defeat it
    "comma": ("eng", "His heart, lungs, and liver.", 3),
    "quotes and brackets": ("eng", "(“fever”) 'nausea'; [jaundice]", 3),
    "Chinese": ("zho", "患者因发热、咳嗽入院，诊断为肺炎。", 4),
    "Chinese, traditional": ("zho", "醫生說他有高血壓和糖尿病。", 3),
    "Japanese": ("jpn", "患者は発熱と咳のため入院し、肺炎と診断された。", 4),
    "Thai": ("tha", "ผู้ป่วยมีไข้และไอ แพทย์วินิจฉัยว่าเป็นปอดอักเสบ", 3),
    "Lao": ("lao", "ຄົນເຈັບເປັນໄຂ້ມາລາເລຍ ແລະ ປວດຫົວ", 3),
    "Korean, with particles": ("kor", "환자는 폐렴으로 항생제를 복용했다", 3),
    "Hausa": ("hau", "Majinyaci yana da zazzaɓi, tari da ciwon kai.", 3),
    "Arabic, with articles": ("ara", "والطبيب عالج المريض بالمضادات الحيوية من السعال", 3),
    "Hebrew, with prefixes": ("heb", "והרופא טיפל בחולה בבית החולים", 2),
    "Hindi": ("hin", "मरीज को बुखार, खांसी और निमोनिया है।", 4),
    "Devanagari loan words, Nepali": ("nep", "क्यान्सर र मधुमेहका बिरामी", 2),
    "inflection, Russian": ("rus", "лёгочной гипертензией и пневмонией", 2),
    "inflection, Czech": ("ces", "pacientky s pneumonií a hepatitidou", 3),
}


@pytest.mark.parametrize(("language", "text", "least"), FAILURES.values(), ids=FAILURES)
def test_what_the_published_filter_misses(language, text, least):
    assert found(language, text) >= least


EVERYDAY = {
    "eng": "He dropped his cell phone in the cold water during the operation; the driver stayed positive and cool.",
    "fra": "L'opération de police a été positive, et la cellule de crise a tenu dans le froid.",
    "deu": "Die Operation der Polizei war positiv; in der Zelle war es kalt, und die Kraniche zogen weiter.",
    "spa": "La operación policial fue positiva; el equipo esperó en la celda fría.",
    "ita": "Il tifo dei padroni di casa spinge la squadra; l'operazione di mercato è positiva.",
    "rus": "Операция армии прошла успешно; они позвонили, и едем домой, железа в руде мало.",
    "dan": "De sene timer i bussen var kolde, og operationen lykkedes for hæren.",
    "hrv": "Kupio je pet kila jabuka, a policijska operacija je uspjela.",
    "zho": "警察检查了地铁，断层带上的居民脾气很好。",
    "tha": "การกินชาและการเดินทางของยูเอ็น",
    "heb": "בגן הילדים ברצועה דיבר על השוק ועל העלייה במחירים.",
    "ara": "صدر القرار في الرباط وشارك أطفال المدرسة.",
    "hin": "पुलिस की जांच में गोली और अधिक मात्रा में तापमान का जिक्र है।",
    "kor": "이명박 정부의 실명제와 쇼크",
    "lin": "Bongo bato bayokaki radio.",
    "hau": "Ina fata zai ba da shawara.",
}
"""Words that are medical in one sense only: the sentence holds no medicine and no term."""


@pytest.mark.parametrize("language", EVERYDAY)
def test_a_word_of_two_senses_is_no_term(language):
    assert found(language, EVERYDAY[language]) == 0


def test_matches_do_not_overlap():
    text = "high blood pressure"
    made = count(pa.array([text]), index(term_lists.shipped("eng")))
    assert (int(made.hits[0]), int(made.covered[0])) == (1, len(text))


def test_windows_files_are_read(tmp_path):
    path = tmp_path / "sw.txt"
    path.write_bytes("\ufeff# ours\r\ndaraja | madaraja\r\n\r\nreli\r\n".encode())
    assert term_lists.read(path) == [("daraja", "madaraja"), ("reli",)]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("fièvre\n".encode("latin-1"), r"fr\.txt is not utf-8: byte 0xe8 at 2"),
        ("fièvre\n".encode("utf-16"), r"fr\.txt is not utf-8: byte 0xff at 0"),
        (b"", r"fr\.txt holds no term"),
        (b"# only a comment\n\n | \n", r"fr\.txt holds no term"),
        (b"toux\n12 %\n", r"fr\.txt:2: the term '12 %' has no letter"),
        (b"toux\n*\n", r"fr\.txt:2: the term '\*' has a \* that ends no word"),
    ],
)
def test_bad_lists_are_refused_with_the_place(tmp_path, content, why):
    path = tmp_path / "fr.txt"
    path.write_bytes(content)
    with pytest.raises(Fatal, match=why):
        term_lists.read(path)


def test_every_language_of_the_mission_has_a_list():
    assert set(term_lists.languages()) == set(registry().mission)


@pytest.mark.parametrize("code", registry().mission)
def test_a_list_can_be_looked_for_and_says_nothing_twice(code):
    own = term_lists.read(term_lists.FOLDER / f"{code}.txt")
    seen = [tuple(tokens(spelling)) for term in own for spelling in term]
    assert len(seen) == len(set(seen))
    made = index(term_lists.shipped(code))
    assert made.size == len(term_lists.shipped(code)) >= len(own)


def test_scripts_bring_their_international_list():
    assert len(term_lists.shipped("fra")) > len(term_lists.read(term_lists.FOLDER / "fra.txt")) + 100
    assert set(term_lists.international("srp")) == {"international_cyrl", "international_latn"}
    assert term_lists.international("tha") == []
    assert term_lists.shipped("xxx") == ()


def test_what_is_written_on_to_a_word():
    assert "الحمى" in dict.fromkeys(one for term in term_lists.shipped("ara") for one in term)
    assert "והכבד" in dict.fromkeys(one for term in term_lists.shipped("heb") for one in term)


def test_lines_comments_and_spellings(tmp_path):
    path = tmp_path / "eng.txt"
    path.write_text("# head\n\nliver | livers  # an organ\ncardi*\n", encoding="utf-8")
    assert term_lists.read(path) == [("liver", "livers"), ("cardi*",)]
    path.write_text("liver\n12 | 13\n", encoding="utf-8")
    with pytest.raises(Fatal, match=r"eng\.txt:2: the term '12' has no letter"):
        term_lists.read(path)


def test_the_digest_follows_the_lists(tmp_path):
    before = term_lists.digest()
    (tmp_path / "eng.txt").write_text("liver\n")
    with_mine = term_lists.digest(tmp_path)
    (tmp_path / "eng.txt").write_text("livers\n")
    assert len({before, with_mine, term_lists.digest(tmp_path)}) == 3
