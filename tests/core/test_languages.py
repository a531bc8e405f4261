"""The language registry: every label of the field resolves, nothing is guessed, the maps are whole."""

import pickle
import re
import subprocess
import sys
import time
import unicodedata
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from medcorpus.core.languages import Label, Registry, UnknownLanguage, registry
from medcorpus.core.shipped import shipped

DATA = Path(__file__).parents[2].parent / "shared" / "data"
REG = registry()


def need(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    return path


@pytest.fixture(scope="module")
def raw() -> dict[str, Any]:
    text = shipped("language_families.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return data


def words(text: str) -> list[str]:
    return text.split()


def pairs(text: str) -> dict[str, str]:
    return dict(pair.split(":") for pair in text.split())


# SIB-200 and FLORES-200: labels that are their own code and script ...
SIB_PLAIN = words("""
ace_Arab ace_Latn afr_Latn aka_Latn amh_Ethi asm_Beng ast_Latn awa_Deva azb_Arab bak_Cyrl bam_Latn ban_Latn
bel_Cyrl bem_Latn ben_Beng bho_Deva bjn_Arab bjn_Latn bod_Tibt bos_Latn bug_Latn bul_Cyrl cat_Latn ceb_Latn
ces_Latn cjk_Latn ckb_Arab crh_Latn cym_Latn dan_Latn deu_Latn dyu_Latn dzo_Tibt ell_Grek eng_Latn epo_Latn
est_Latn eus_Latn ewe_Latn fao_Latn fij_Latn fin_Latn fon_Latn fra_Latn fur_Latn gla_Latn gle_Latn glg_Latn
grn_Latn guj_Gujr hat_Latn hau_Latn heb_Hebr hin_Deva hne_Deva hrv_Latn hun_Latn hye_Armn ibo_Latn ilo_Latn
ind_Latn isl_Latn ita_Latn jav_Latn jpn_Jpan kab_Latn kac_Latn kam_Latn kan_Knda kas_Arab kas_Deva kat_Geor
kaz_Cyrl kbp_Latn kea_Latn khm_Khmr kik_Latn kin_Latn kir_Cyrl kmb_Latn kon_Latn kor_Hang lao_Laoo lij_Latn
lim_Latn lin_Latn lit_Latn lmo_Latn ltg_Latn ltz_Latn lua_Latn lug_Latn luo_Latn lus_Latn mag_Deva mai_Deva
mal_Mlym mar_Deva min_Arab min_Latn mkd_Cyrl mlt_Latn mni_Beng mos_Latn mri_Latn mya_Mymr nld_Latn nno_Latn
nob_Latn nqo_Nkoo nso_Latn nus_Latn nya_Latn oci_Latn pag_Latn pan_Guru pap_Latn pol_Latn por_Latn prs_Arab
ron_Latn run_Latn rus_Cyrl sag_Latn san_Deva sat_Olck scn_Latn shn_Mymr sin_Sinh slk_Latn slv_Latn smo_Latn
sna_Latn snd_Arab som_Latn sot_Latn spa_Latn srd_Latn srp_Cyrl ssw_Latn sun_Latn swe_Latn szl_Latn tam_Taml
taq_Latn taq_Tfng tat_Cyrl tel_Telu tgk_Cyrl tgl_Latn tha_Thai tir_Ethi tpi_Latn tsn_Latn tso_Latn tuk_Latn
tum_Latn tur_Latn tzm_Tfng uig_Arab ukr_Cyrl umb_Latn urd_Arab vec_Latn vie_Latn war_Latn wol_Latn xho_Latn
yor_Latn yue_Hant zho_Hans zho_Hant zul_Latn
""")
# ... and the individual codes of a macrolanguage.
SIB_MACRO = {
    "acm_Arab": "ara", "acq_Arab": "ara", "aeb_Arab": "ara", "ajp_Arab": "ara", "apc_Arab": "ara",
    "arb_Arab": "ara", "arb_Latn": "ara", "ars_Arab": "ara", "ary_Arab": "ara", "arz_Arab": "ara",
    "als_Latn": "sqi", "ayr_Latn": "aym", "azj_Latn": "aze", "dik_Latn": "din", "fuv_Latn": "ful",
    "gaz_Latn": "orm", "khk_Cyrl": "mon", "kmr_Latn": "kur", "knc_Arab": "kau", "knc_Latn": "kau",
    "lvs_Latn": "lav", "npi_Deva": "nep", "ory_Orya": "ori", "pbt_Arab": "pus", "pes_Arab": "fas",
    "plt_Latn": "mlg", "quy_Latn": "que", "swh_Latn": "swa", "twi_Latn": "aka", "uzn_Latn": "uzb",
    "ydd_Hebr": "yid", "zsm_Latn": "msa",
}  # fmt: skip

LID176 = pairs("""
af:afr als:gsw am:amh an:arg ar:ara arz:ara as:asm ast:ast av:ava az:aze azb:azb ba:bak bar:bar bcl:bcl
be:bel bg:bul bh:bho bn:ben bo:bod bpy:bpy br:bre bs:bos bxr:bxr ca:cat cbk:cbk ce:che ceb:ceb ckb:ckb
co:cos cs:ces cv:chv cy:cym da:dan de:deu diq:diq dsb:dsb dty:dty dv:div el:ell eml:eml en:eng eo:epo es:spa
et:est eu:eus fa:fas fi:fin fr:fra frr:frr fy:fry ga:gle gd:gla gl:glg gn:grn gom:gom gu:guj gv:glv he:heb
hi:hin hif:hif hr:hrv hsb:hsb ht:hat hu:hun hy:hye ia:ina id:ind ie:ile ilo:ilo io:ido is:isl it:ita ja:jpn
jbo:jbo jv:jav ka:kat kk:kaz km:khm kn:kan ko:kor krc:krc ku:kur kv:kom kw:cor ky:kir la:lat lb:ltz lez:lez
li:lim lmo:lmo lo:lao lrc:lrc lt:lit lv:lav mai:mai mg:mlg mhr:mhr min:min mk:mkd ml:mal mn:mon mr:mar
mrj:mrj ms:msa mt:mlt mwl:mwl my:mya myv:myv mzn:mzn nah:nah nap:nap nds:nds ne:nep new:new nl:nld nn:nno
no:nob oc:oci or:ori os:oss pa:pan pam:pam pfl:pfl pl:pol pms:pms pnb:pnb ps:pus pt:por qu:que rm:roh ro:ron
ru:rus rue:rue sa:san sah:sah sc:srd scn:scn sco:sco sd:snd sh:hbs si:sin sk:slk sl:slv so:som sq:sqi sr:srp
su:sun sv:swe sw:swa ta:tam te:tel tg:tgk th:tha tk:tuk tl:tgl tr:tur tt:tat tyv:tyv ug:uig uk:ukr ur:urd
uz:uzb vec:vec vep:vep vi:vie vls:vls vo:vol wa:wln war:war wuu:wuu xal:xal xmf:xmf yi:yid yo:yor yue:yue
zh:zho
""")

LANGDETECT = pairs("""
af:afr ar:ara bg:bul bn:ben ca:cat cs:ces cy:cym da:dan de:deu el:ell en:eng es:spa et:est fa:fas fi:fin
fr:fra gu:guj he:heb hi:hin hr:hrv hu:hun id:ind it:ita ja:jpn kn:kan ko:kor lt:lit lv:lav mk:mkd ml:mal
mr:mar ne:nep nl:nld no:nob pa:pan pl:pol pt:por ro:ron ru:rus sk:slk sl:slv so:som sq:sqi sv:swe sw:swa
ta:tam te:tel th:tha tl:tgl tr:tur uk:ukr ur:urd vi:vie zh-cn:zho zh-tw:zho
""")

TICO19 = pairs("""
ar:ara bn:ben ckb:ckb din:din es-LA:spa fa.old:fas fa:fas fr:fra fuv:ful ha:hau hi:hin id:ind km:khm kr:kau
ku:kur lg:lug ln:lin mr:mar ms:msa my:mya ne:nep nus:nus om:orm prs:prs ps:pus pt-BR:por ru:rus rw:kin
so:som sw:swa ta:tam ti:tir ti_ER:tir ti_ET:tir tl:tgl ur:urd zh:zho zu:zul
""")

COVID = pairs("""
alb:sqi amh:amh ara:ara arm:hye ben:ben bul:bul ces:ces ckb:ckb deu:deu ell:ell eng:eng est:est fas:fas
fil:tgl fra:fra guj:guj hin:hin hun:hun ind:ind ita:ita kri:kri lav:lav lit:lit mal:mal nep:nep orm:orm
pan:pan pol:pol por:por prs:prs pus:pus ron:ron rus:rus slk:slk snd:snd som:som spa:spa swa:swa tam:tam
tir:tir tur:tur urd:urd vie:vie wol:wol yid:yid zh-cn:zho zh-tw:zho bla:bla chp:chp crg:crg crg-fr:crg
crk:crk csw:csw cwd:cwd ike:iku iku:iku labr1244:iku mic:mic moe:moe moh-east:moh moh-west:moh ojg:ojg
ojs:ojs ojs-rom:ojs ojw:ojw pqm:pqm sto:sto khm:khm kor:kor mah:mah tgl:tgl tha:tha Basaá:bas
Chinese-traditional:zho chinese-simplified:zho Dutch:nld English:eng Ewe:ewe French:fra German:deu
Gurenɛ:gur Indonesian:ind Japanese:jpn Jinghpaw:kac Kiribati:gil Korean:kor Likpakpaln:xon Malay:msa
Mizo:lus Northern-Sotho:nso Norwegian:nob NuosuYi:iii Romanian:ron Russian:rus SiSwati:ssw
Southern-Sotho-p.pdf:sot Spanish:spa Swahili:swa Tshivenḓa:ven Xitsonga:tso
""")

# Stems of the Universal Declaration that are no plain code, or whose text is not what the stem says.
UDHR = {
    "007": "cri", "008": "pov", "009": "kmb", "010": "tdt", "011": "umb", "012": "und", "020": "duu",
    "026": "und", "acu_1": "acu", "aka_asante": "aka", "aka_fante": "aka", "auv": "oci", "azj_cyrl": "aze",
    "blu": "hnj", "bos_cyrl": "bos", "btb": "bum", "ccx": "zha", "chr_cased": "chr", "cjk_AO": "cjk",
    "ckb": "kur", "cmn_hant": "zho", "deu_1901": "deu", "ell_polytonic": "ell", "eml": "eml", "flm": "cfm",
    "fri": "fry", "fuf_adlm": "ful", "fuv2": "ful", "gax": "orm", "gsw1": "gsw", "hat_popular": "hat",
    "hau_NE": "hau", "hna": "gej", "hsf": "hus", "hva": "hus", "jav_java": "jav", "khk_mong": "mon",
    "kkh_lana": "kkh", "lin_tones": "lin", "lnc": "oci", "mal_chillus": "mal", "mly_arab": "msa",
    "nya_chechewa": "nya", "oci_1": "frp", "pes_1": "fas", "pes_2": "prs", "prv": "oci", "qud": "que",
    "qxa": "que", "rmn_1": "rmn", "rmy": "rup", "roh_rumgr": "roh", "ron_1953": "ron", "san_gran": "san",
    "src": "srd", "srp_latn": "srp", "tam_LK": "tam", "tgl_tglg": "tgl", "tha2": "tha", "tzc": "tzo",
    "urd_2": "urd", "ven2": "ven", "vie_han": "vie", "zgh": "zgh",
}  # fmt: skip


def test_sib200_labels() -> None:
    assert len(SIB_PLAIN) + len(SIB_MACRO) == 205
    for text in SIB_PLAIN:
        assert REG.label(text, "sib200") == REG.label(text) == Label(*text.split("_"))
    for text, code in SIB_MACRO.items():
        assert REG.label(text, "sib200") == REG.label(text) == Label(code, text[4:])
    for text in set(SIB_PLAIN) | set(SIB_MACRO) - {"arb_Latn"}:  # arb_Latn is romanised for the data set
        assert text[4:] in REG[REG.normalise(text)].scripts


def test_lid176_labels() -> None:
    assert len(LID176) == 176
    for text, code in LID176.items():
        assert REG.normalise(f"__label__{text}", "lid176") == REG.normalise(text, "lid176") == code


@pytest.mark.parametrize(
    ("source", "labels"),
    [("langdetect", LANGDETECT), ("tico19", TICO19), ("covid19-datashare", COVID), ("udhr", UDHR)],
)
def test_labels_of_a_source(source: str, labels: dict[str, str]) -> None:
    assert {text: REG.normalise(text, source) for text in labels} == labels


def test_sib200_folder() -> None:
    names = {path.name.split(".")[0] for path in need(DATA / "lid" / "sib200").glob("*.tsv.gz")}
    assert names == set(SIB_PLAIN) | set(SIB_MACRO)


def test_udhr_folder() -> None:
    folder = need(DATA / "lid" / "udhr_unicode" / "data" / "udhr")
    index = {entry.get("f"): entry.attrib for entry in ElementTree.parse(folder / "index.xml").getroot()}
    corrected = {"ckb", "hna", "oci_1", "oci_2", "oci_3", "oci_4"}
    stems = [path.stem.removeprefix("udhr_") for path in folder.glob("udhr_*.xml")]
    assert len(stems) > 400
    for stem in stems:
        code, _ = REG.label(stem, "udhr")
        own = REG.normalise(index[stem]["iso639-3"])
        assert (code == own) != (stem in corrected), stem
        if code in REG and stem != "yue":  # declared Hani, printed in Hans
            assert index[stem]["iso15924"] in REG[code].scripts, stem


def test_udhr_ckb_is_kurmanji() -> None:
    folder = need(DATA / "lid" / "udhr_unicode" / "data" / "udhr")
    ckb, kmr = (ElementTree.parse(folder / f"udhr_{code}.xml").getroot().itertext() for code in ("ckb", "kmr"))
    assert "".join(ckb).split() == "".join(kmr).split()


def test_tico19_folder() -> None:
    folder = need(DATA / "documents" / "tico19_tmx")
    found = {path.name.removeprefix("all.en-").removesuffix(".tmx.zip") for path in folder.glob("*.zip")}
    assert found == set(TICO19)


def test_covid_folder() -> None:
    folder = need(DATA / "documents" / "covid_guidance")
    stems = [p.stem for part in ("dotw", "mythbusters") for p in (folder / part).iterdir()]
    ends = [p.suffix[1:] for part in ("canadagov", "kingcounty") for p in (folder / part).iterdir()]
    unknown = set()
    for text in stems + ends:
        try:
            REG.label(text, "covid19-datashare")
        except UnknownLanguage:
            unknown.add(text)
    assert unknown == {"files"}  # a list of file names, no language


# Labels of the field: code, or code-Script where the label says the script.
FIELD = {
    "iw": "heb", "zh-CN": "zho", "cmn": "zho", "arb": "ara",
    "__label__eng_Latn": "eng-Latn", "nb": "nob", "tl": "tgl", "zho_Hant": "zho-Hant",
    "srp_Latn": "srp-Latn", "zh-Hant-TW": "zho-Hant", "cmn_Hani": "zho-Hani", "no": "nob", "nor": "nob",
    "NN": "nno", "sh": "hbs", "als": "sqi", "kr": "kau", "fa-AF": "fas", "prs": "prs", "zh-yue": "yue",
    "zh-yue-Hant-HK": "yue-Hant", "ar-arz": "ara", "zh_min_nan": "nan", "es-419": "spa", "pt_BR": "por",
    "sr-Cyrl-RS": "srp-Cyrl", "de-1996": "deu", "ca-valencia": "cat", "in": "ind", "ji": "yid", "jw": "jav",
    "jp": "jpn", "en_XX": "eng", "Northern Sotho": "nso", "northern_sotho": "nso", "SEPEDI": "nso",
    "  Haitian   Creole ": "hat", "Farsi": "fas", "Deutsch": "deu", "中文": "zho",
    "Traditional Chinese": "zho-Hant", "mon": "mon", "kmr": "kur", "Sorani": "ckb", "und": "und",
    "mixed": "mixed", "zxx": "zxx", "und_Cyrl": "und-Cyrl",
}  # fmt: skip


@pytest.mark.parametrize("text", FIELD)
def test_labels_of_the_field(text: str) -> None:
    code, _, script = FIELD[text].partition("-")
    assert REG.label(text) == REG.label(text.swapcase()) == Label(code, script or None)
    assert REG.normalise(text) == code


@pytest.mark.parametrize("text", ["Basaá", "Tshivenḓa", "français"])
def test_decomposed_names(text: str) -> None:
    assert REG.label(unicodedata.normalize("NFD", text)) == REG.label(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "-", "_", "__label__", "xx", "english please", "eng-Abcd", "zh-min", "no-nynorsk",
     "eng_Latn_Latn", "hi-en", "en-", "zh--", "nan.0", "007", "bh", "eng;fra", "None", "a" * 10_000],
)  # fmt: skip
def test_unknown_labels_are_never_guessed(text: str) -> None:
    with pytest.raises(UnknownLanguage):
        REG.label(text)


def test_the_error_names_the_label_and_the_nearest_names() -> None:
    with pytest.raises(UnknownLanguage) as caught:
        REG.label("Portugese")
    message = str(caught.value)
    for part in ("'Portugese'", "Portuguese (por)", "`medcorpus languages` lists all"):
        assert part in message
    assert len(caught.value.nearest) == 3
    assert isinstance(caught.value, ValueError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == message
    assert len(str(UnknownLanguage("x" * 9999))) < 200


def test_ambiguous_labels_follow_their_source() -> None:
    assert REG.normalise("als", "lid176") == "gsw"
    assert REG.normalise("als_Latn", "sib200") == REG.normalise("als", "udhr") == "sqi"
    assert REG.normalise("qxa", "udhr") == "que"
    with pytest.raises(UnknownLanguage):
        REG.normalise("qxa")
    assert REG.label("zh-tw", "langdetect") == Label("zho", "Hant")
    with pytest.raises(KeyError, match="lid176"):
        REG.label("en", "lid177")


LABEL_LIKE = st.text(alphabet="zhentlab_-. LHasn019", max_size=24)


@given(st.text() | LABEL_LIKE, st.sampled_from([None, *REG.sources]))
def test_any_text_is_a_label_or_unknown(text: str, source: str | None) -> None:
    try:
        code, script = REG.label(text, source)
    except UnknownLanguage:
        return
    assert code in REG or code in REG.pseudo
    assert script is None or re.fullmatch("[A-Z][a-z]{3}", script)
    assert REG.label(code).code == code


@given(st.sampled_from([lang.code for lang in REG]), st.sampled_from(["", "_Latn", "-Arab"]))
def test_a_code_is_its_own_label(code: str, script: str) -> None:
    assert REG.label(code + script) == Label(code, script[1:] or None)


def test_every_label_of_a_language_leads_back_to_it() -> None:
    for lang in REG:
        for text in (lang.code, lang.bcp47, lang.name, lang.native or lang.name, *lang.aliases):
            assert REG.normalise(text) == lang.code, text


def test_no_two_languages_claim_one_label(raw: dict[str, Any]) -> None:
    owners: dict[str, set[str]] = {}
    for code, entry in {**raw["languages"], **raw["pseudo"]}.items():
        labels = [code, entry["name"], entry.get("bcp47"), entry.get("native"), *entry.get("aliases", ())]
        for text in filter(None, labels):
            key = re.sub(r"[\s_-]+", "-", unicodedata.normalize("NFC", text).casefold())
            owners.setdefault(key, set()).add(code)
    assert {text: codes for text, codes in owners.items() if len(codes) > 1} == {}


def test_a_contradictory_file_is_refused(raw: dict[str, Any]) -> None:
    eng = {**raw["languages"]["eng"], "aliases": ["fra"]}
    with pytest.raises(ValueError, match="'fra'"):
        Registry({**raw, "languages": {**raw["languages"], "eng": eng}})
    with pytest.raises(ValueError, match="'qqq'"):
        Registry({**raw, "labels": {"x": "qqq"}})
    with pytest.raises(ValueError, match="'qqq'"):
        Registry({**raw, "expert_maps": {"m": [{"index": 0, "name": "n", "codes": ["qqq"]}]}})


def test_entries_are_well_formed(raw: dict[str, Any]) -> None:
    assert raw["schema"] == 1
    keys = set(words("bcp47 name native scripts family branch segmentation macro aliases note"))
    for code, entry in raw["languages"].items():
        assert set(entry) <= keys, code
        for value in (code, *entry.values(), *entry["scripts"], *entry.get("aliases", ())):
            assert isinstance(value, str | list), (code, value)  # quoted where YAML would read something else
    known = set(raw["scripts"].split())
    for lang in REG:
        assert re.fullmatch("[a-z]{3}", lang.code)
        assert lang.bcp47 == lang.code or re.fullmatch("[a-z]{2}", lang.bcp47)
        assert lang.scripts and set(lang.scripts) <= known, lang.code
        assert lang.segmentation in {"spaced", "unspaced"}
        assert bool(lang.branch) == (lang.family in {"Indo-European", "Afro-Asiatic"})
        assert lang.macro is None or re.fullmatch("[a-z]{3}", lang.macro)
    assert set(raw["unspaced_scripts"]) <= known


def test_one_language_a_line() -> None:
    lines = shipped("language_families.yaml").read_text(encoding="utf-8").splitlines()
    assert sum(bool(re.match(r'  "?[a-z]{3}"?: \{bcp47: ', line)) for line in lines) == len(REG)


# The table of Apollo-MoE: expert name and its codes, as printed.
PUBLISHED = [
    ("Sino-Tibetan", "zh"),
    ("Altaic", "ko ja ne"),
    ("Australasian", "th vi lo"),
    ("Austronesian", "mg ceb su ilo doi"),
    ("Indo-European", "en de pt es fr ru hi it hr gl cs co lb la uk bs bg eo mai sr sq sk da sa no gn gd"),
    ("Afro-Asian", "ar ckb mt he"),
    ("Kongolese", "ln bm sw nso ig rw ha"),
]


def test_mission() -> None:
    assert len(REG.mission) == len(set(REG.mission)) == 50
    printed = " ".join(tags for _, tags in PUBLISHED)
    assert set(REG.mission) == {REG.normalise(text) for text in printed.split()}
    assert "never emitted" in REG["doi"].note


@pytest.mark.parametrize("map_name", ["glottolog", "apollo-moe"])
def test_expert_indices_are_contiguous(map_name: str) -> None:
    experts = REG.experts(map_name)
    assert [index for index, _, _ in experts] == list(range(len(experts)))
    codes = [code for _, _, codes in experts for code in codes]
    assert len(codes) == len(set(codes))
    for index, _, members in experts:
        assert {REG.expert(code, map_name) for code in members} == {index}
    assert [REG.expert(code, map_name) for code in ("und", "mixed", "zxx")] == [None] * 3


def test_glottolog_gives_every_language_an_expert() -> None:
    experts = REG.experts()
    assert 8 <= len(experts) <= 12
    assert {code for _, _, codes in experts for code in codes} == {lang.code for lang in REG}
    assert {REG.expert(code) for code in REG.mission} == set(range(len(experts)))
    together = words("eng,deu,gla,ell fra,lat,ron hin,ckb,doi zho,yue,bod hau,ara,mlt bam,swa jpn,kor,mon tam,epo")
    groups = [{REG.expert(code) for code in codes.split(",")} for codes in together]
    assert all(len(group) == 1 for group in groups)
    assert len(set.union(*groups)) == len(groups)
    with pytest.raises(KeyError):
        REG.expert("qqq")
    with pytest.raises(KeyError):
        REG.expert("eng", "no such map")


def test_apollo_moe_is_the_published_table(raw: dict[str, Any]) -> None:
    assert [(e["name"], " ".join(e["printed"])) for e in raw["expert_maps"]["apollo-moe"]] == PUBLISHED
    for (index, name, codes), (printed, tags) in zip(REG.experts("apollo-moe"), PUBLISHED, strict=True):
        both_readings = ["mon"] if index == 1 else []
        assert (name, list(codes)) == (printed, [REG.normalise(t) for t in tags.split()] + both_readings)
    assert {c for _, _, codes in REG.experts("apollo-moe") for c in codes} == {*REG.mission, "mon"}
    # By the macrolanguage, or not at all.
    assert REG.expert("yue", "apollo-moe") == 0
    assert REG.expert("nno", "apollo-moe") == REG.expert("nob", "apollo-moe") == 4
    assert REG.expert("tam", "apollo-moe") is None


def test_segmentation() -> None:
    unspaced = words("zho yue wuu hak gan nan cjy jpn tha lao khm mya bod dzo shn mnw kkh iii")
    assert {lang.code for lang in REG if lang.segmentation == "unspaced"} == set(unspaced)
    assert REG.segmentation("tha") == "unspaced"
    assert REG.segmentation("kor") == REG.segmentation("vie") == REG.segmentation("und") == "spaced"
    assert REG.segmentation("vie", "Hani") == REG.segmentation("und", "Thai") == "unspaced"
    assert REG.segmentation("nan", "Latn") == "spaced"
    with pytest.raises(KeyError):
        REG.segmentation("zh")


def test_how_words_are_told_apart() -> None:
    wanted = {"tha": "dictionary", "zho": "dictionary", "bod": "syllables", "iii": "clusters", "vie": "blanks"}
    assert {code: REG.words(code) for code in wanted} == wanted
    assert all((REG.words(lang.code) == "blanks") == (lang.segmentation == "spaced") for lang in REG)
    assert {"deu", "ces", "fin"} <= REG.ordinal_dot and not {"eng", "fra", "und"} & REG.ordinal_dot


def test_registry_is_a_collection_of_codes() -> None:
    assert len(REG) == len(list(REG)) >= 450
    assert "zho" in REG and "zh" not in REG and "und" not in REG
    assert REG["nob"].name == "Norwegian Bokmål" and REG.get("no") is None
    assert REG["srp"].scripts == ("Cyrl", "Latn") and REG["zho"].scripts == ("Hans", "Hant")
    assert REG["prs"].macro == "fas" and REG["yue"].macro == "zho" and REG["ckb"].macro == "kur"
    with pytest.raises(KeyError):
        REG["zh"]
    with pytest.raises(AttributeError):
        REG["eng"].name = "x"  # type: ignore[misc]


def test_importing_is_light() -> None:
    code = (
        "import sys; import medcorpus.core.languages as l; assert 'yaml' not in sys.modules;"
        "assert l.registry() is l.registry()"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


@pytest.mark.accept  # processor time, which a slow or busy machine has more of
def test_loading_is_quick() -> None:
    times = []
    for _ in range(5):
        start = time.process_time()
        registry.__wrapped__()
        times.append(time.process_time() - start)
    assert min(times) < 0.08


def test_the_digest_changes_with_what_labels_mean_and_with_nothing_else() -> None:
    data = yaml.load(shipped("language_families.yaml").read_text("utf-8"), Loader=yaml.BaseLoader)
    whole = Registry(data).digest
    assert whole == registry().digest and len(whole) == 32
    data["languages"]["deu"]["note"] = "spoken in Vienna too"
    data["languages"]["deu"]["family"] = "Uralic"
    assert Registry(data).digest == whole
    data["languages"]["deu"].setdefault("aliases", []).append("Tedesco")
    other = Registry(data).digest
    data["sources"]["sib200"]["xyz_Latn"] = "deu"
    assert len({whole, other, Registry(data).digest}) == 3
