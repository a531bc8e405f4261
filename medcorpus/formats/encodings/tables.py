"""Tables: labels of encodings, upper halves that Python does not have, letters of languages, Chinese characters.

Sources: labels and what they mean, the WHATWG Encoding Standard (encoding.spec.whatwg.org, section 4.2); VISCII,
RFC 1456; TCVN 5712:1993 (VN3, whose lower half is ASCII); ARMSCII-8, AST 34.002; GEORGIAN-PS and -ACADEMY as in
GNU libiconv. Letters: the main exemplar sets of CLDR, with what older spelling still uses.
"""

import codecs
from functools import cache

_ASCII = "".join(map(chr, range(128)))

_UPPER = {
    "viscii": (
        "ẠẮẰẶẤẦẨẬẼẸẾỀỂỄỆỐ"
        "ỒỔỖỘỢỚỜỞỊỎỌỈỦŨỤỲ"
        "Õắằặấầẩậẽẹếềểễệố"
        "ồổỗỠƠộờởịỰỨỪỬơớƯ"
        "ÀÁÂÃẢĂẳẵÈÉÊẺÌÍĨỳ"
        "ĐứÒÓÔạỷừửÙÚỹỵÝỡư"
        "àáâãảăữẫèéêẻìíĩỉ"
        "đựòóôõỏọụùúũủýợỮ"
    ),
    "tcvn": (
        "ÀẢÃÁẠẶẬÈẺẼÉẸỆÌỈĨ"
        "ÍỊÒỎÕÓỌỘỜỞỠỚỢÙỦŨ"
        "\xa0ĂÂÊÔƠƯĐăâêôơưđẰ"
        "\u0300\u0309\u0303\u0301\u0323àảãáạẲằẳẵắẴ"
        "ẮẦẨẪẤỀặầẩẫấậèỂẻẽ"
        "éẹềểễếệìỉỄẾỒĩíịò"
        "Ổỏõóọồổỗốộờởỡớợù"
        "ỖủũúụừửữứựỳỷỹýỵỐ"
    ),
    "armscii-8": (
        "\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f"
        "\x90\x91\x92\x93\x94\x95\x96\x97\x98\x99\x9a\x9b\x9c\x9d\x9e\x9f"
        "\xa0\ufffeև։)(»«—.՝,-֊…՜"
        "՛՞ԱաԲբԳգԴդԵեԶզԷէ"
        "ԸըԹթԺժԻիԼլԽխԾծԿկ"
        "ՀհՁձՂղՃճՄմՅյՆնՇշ"
        "ՈոՉչՊպՋջՌռՍսՎվՏտ"
        "ՐրՑցՒւՓփՔքՕօՖֆ՚\ufffe"
    ),
    "georgian-ps": (
        "\x80\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8d\x8e\x8f"
        "\x90‘’“”•–—˜™š›œ\x9d\x9eŸ"
        "\xa0¡¢£¤¥¦§¨©ª«¬\xad®¯"
        "°±²³´µ¶·¸¹º»¼½¾¿"
        "აბგდევზჱთიკლმნჲო"
        "პჟრსტჳუფქღყშჩცძწ"
        "ჭხჴჯჰჵæçèéêëìíîï"
        "ðñòóôõö÷øùúûüýþÿ"
    ),
    "georgian-academy": (
        "\x80\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8d\x8e\x8f"
        "\x90‘’“”•–—˜™š›œ\x9d\x9eŸ"
        "\xa0¡¢£¤¥¦§¨©ª«¬\xad®¯"
        "°±²³´µ¶·¸¹º»¼½¾¿"
        "აბგდევზთიკლმნოპჟ"
        "რსტუფქღყშჩცძწჭხჯ"
        "ჰჱჲჳჴჵჶçèéêëìíîï"
        "ðñòóôõö÷øùúûüýþÿ"
    ),
}
"""What bytes 128 to 255 mean; U+FFFE: nothing."""

_VISCII_LOW = {0x02: "Ẳ", 0x05: "Ẵ", 0x06: "Ẫ", 0x14: "Ỷ", 0x19: "Ỹ", 0x1E: "Ỵ"}


CODECS = {
    "utf-8": "utf-8", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be", "utf-32le": "utf-32-le",
    "utf-32be": "utf-32-be", "gb18030": "gb18030", "big5": "big5hkscs", "shift_jis": "cp932", "euc-jp": "euc_jp",
    "iso-2022-jp": "iso2022_jp_ext", "hz-gb-2312": "hz", "euc-kr": "cp949", "iso-2022-kr": "iso2022_kr",
    "windows-874": "cp874", "macintosh": "mac_roman", "x-mac-cyrillic": "mac_cyrillic", "ibm866": "cp866",
    "koi8-r": "koi8_r", "koi8-u": "koi8_u", "kz-1048": "kz1048", "ptcp154": "ptcp154",
    **{f"windows-{n}": f"cp{n}" for n in (1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258)},
    **{f"iso-8859-{n}": f"iso8859_{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    **{f"ibm{n}": f"cp{n}" for n in (437, 850, 852, 855, 857, 862)},
}  # fmt: skip
"""Our name of an encoding (WHATWG's where it has one) -> Python's codec."""

_LABELS = {
    "utf-8": "utf8 unicode-1-1-utf-8 unicode11utf8 utf-8-sig x-unicode20utf8",
    "utf-16le": "utf-16 utf16 ucs-2 iso-10646-ucs-2 unicode csunicode unicodefeff utf16le",
    "utf-16be": "unicodefffe utf16be",
    "utf-32le": "utf-32 utf32",
    "gb18030": "gb2312 gbk x-gbk chinese csgb2312 csiso58gb231280 gb_2312 gb_2312-80 iso-ir-58 cp936 euc-cn gb-18030",
    "big5": "big5-hkscs cn-big5 csbig5 x-x-big5 cp950 big5hkscs",
    "shift_jis": "csshiftjis ms932 ms_kanji shift-jis sjis windows-31j x-sjis cp932",
    "euc-jp": "cseucpkdfmtjapanese x-euc-jp eucjp ujis",
    "iso-2022-jp": "csiso2022jp jis",
    "hz-gb-2312": "hz hz-gb",
    "euc-kr": "cseuckr csksc56011987 iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949"
    " cp949 uhc",
    "iso-2022-kr": "csiso2022kr",
    "windows-1252": "ascii us-ascii ansi_x3.4-1968 cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1"
    " iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 latin-1 x-cp1252",
    "windows-1254": "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5"
    " latin-5 x-cp1254",
    "windows-874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 tis620 cp874",
    "iso-8859-2": "csisolatin2 iso-ir-101 iso_8859-2:1987 l2 latin2 latin-2",
    "iso-8859-3": "csisolatin3 iso-ir-109 iso_8859-3:1988 l3 latin3 latin-3",
    "iso-8859-4": "csisolatin4 iso-ir-110 iso_8859-4:1988 l4 latin4 latin-4",
    "iso-8859-5": "csisolatincyrillic cyrillic iso-ir-144 iso_8859-5:1988",
    "iso-8859-6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6-e iso-8859-6-i"
    " iso-ir-127 iso_8859-6:1987",
    "iso-8859-7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-ir-126 iso_8859-7:1987 sun_eu_greek",
    "iso-8859-8": "csiso88598e csisolatinhebrew hebrew iso-8859-8-e iso-ir-138 iso_8859-8:1988 visual csiso88598i"
    " iso-8859-8-i logical",
    "iso-8859-10": "csisolatin6 iso-ir-157 l6 latin6",
    "iso-8859-13": "latin7 l7",
    "iso-8859-14": "latin8 l8",
    "iso-8859-15": "csisolatin9 l9 latin9 latin-9",
    "iso-8859-16": "latin10 l10",
    "koi8-r": "cskoi8r koi koi8 koi8_r",
    "koi8-u": "koi8-ru koi8_u",
    "ibm866": "866 cp866 csibm866",
    "macintosh": "csmacintosh mac x-mac-roman mac-roman macroman",
    "x-mac-cyrillic": "x-mac-ukrainian mac-cyrillic",
    "tcvn": "tcvn5712 tcvn5712-1 tcvn-5712 abc",
    "viscii": "csviscii viscii1.1-1",
    "kz-1048": "kz1048 strk1048-2002 rk1048",
    "ptcp154": "pt154 cp154 csptcp154 cyrillic-asian",
}

LABELS: dict[str, str] = {name: name for name in (*CODECS, *_UPPER)}
for _name, _all in _LABELS.items():
    LABELS |= dict.fromkeys(_all.split(), _name)
for _n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16):
    LABELS |= dict.fromkeys((f"iso8859-{_n}", f"iso8859{_n}", f"iso_8859-{_n}", f"iso8859_{_n}"), f"iso-8859-{_n}")
for _n in range(1250, 1259):
    LABELS |= dict.fromkeys((f"cp{_n}", f"x-cp{_n}", f"windows{_n}", f"win-{_n}"), f"windows-{_n}")
for _n in (437, 850, 852, 855, 857, 862):
    LABELS |= dict.fromkeys((f"cp{_n}", str(_n)), f"ibm{_n}")

MULTI = ("gb18030", "big5", "shift_jis", "euc-jp", "euc-kr")
"""Encodings of two bytes and more a character, tried in this order."""

SINGLE = (
    "windows-1252", "iso-8859-15", "windows-1250", "iso-8859-2", "windows-1251", "windows-1254", "koi8-r", "koi8-u",
    "iso-8859-5", "windows-1253", "iso-8859-7", "windows-1255", "iso-8859-8", "windows-1256", "iso-8859-6",
    "windows-874", "windows-1257", "iso-8859-13", "iso-8859-4", "iso-8859-3", "iso-8859-16", "windows-1258",
    "iso-8859-10", "iso-8859-14", "kz-1048", "ptcp154", "ibm866", "x-mac-cyrillic", "tcvn", "viscii", "armscii-8",
    "georgian-ps", "georgian-academy", "macintosh", "ibm850", "ibm437", "ibm852", "ibm857",
)  # fmt: skip
"""Encodings of one byte a character, the likelier first: that order decides between equals."""

_UNDEFINED = "\ufffe"


@cache
def table(name: str) -> str | None:
    """The 256 characters of a single-byte encoding (U+FFFE: undefined); None for any other.

    As on the web, the five bytes that windows-1252 leaves open are control characters.
    """
    if name in _UPPER:
        low = "".join(_VISCII_LOW.get(i, c) for i, c in enumerate(_ASCII)) if name == "viscii" else _ASCII
        return low + "".join(_UPPER[name])
    if name not in SINGLE and not name.startswith("ibm"):
        return None
    made = []
    for byte in range(256):
        try:
            made.append(bytes([byte]).decode(CODECS[name]))
        except UnicodeDecodeError:
            made.append(chr(byte) if name == "windows-1252" else _UNDEFINED)
    return "".join(made)


def canonical(label: str) -> str | None:
    """Our name of the encoding that a label means, as browsers read labels, or None when nobody knows it.

    `iso-8859-1` means windows-1252 and `gb2312` means gb18030: each is read as the larger set that files so
    labelled really use.
    """
    key = label.strip().lower()
    found = LABELS.get(key) or LABELS.get(key.replace("_", "-"))
    if found is None:
        try:
            codec = codecs.lookup(key).name
        except (LookupError, ValueError):  # the latter: a NUL in the label
            return None
        known = {codecs.lookup(value).name: name for name, value in CODECS.items()}
        found = known.get(codec)
    return found


# -- letters ------------------------------------------------------------------------------------

_RU = "абвгдежзийклмнопрстуфхцчшщъыьэюя"
_VI = "àáâãèéêìíòóôõùúýăđĩũơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ\u0300\u0301\u0303\u0309\u0323"

LETTERS = {
    "afr": "áâäèéêëîïôöûü", "als": "çë", "ast": "áéíóúñüḥḷ", "ayr": "ñäïü", "azj": "çəğıöşü", "bos": "čćđšž",
    "cat": "àèéíïòóúüç·", "ces": "áčďéěíňóřšťúůýž", "cos": "àèìòùâêîôûïü", "crh": "çğıñöşüâ",
    "cym": "âêîôûŵŷáéíóúàèìòùäëïöüẅÿ",
    "dan": "æøåéêèóôüö", "deu": "äöüß", "eng": "éèêëçñöïæœâáà", "epo": "ĉĝĥĵŝŭ", "est": "äõöüšž", "eus": "ñçü",
    "fao": "áíóúýðæø", "fin": "äöåšž", "fra": "àâæçéèêëîïôœùûüÿ", "fur": "àèìòùâêîôûç", "gla": "àèìòùáéó",
    "gle": "áéíóúḃċḋḟġṁṗṡṫ", "glg": "áéíóúñüï", "grn": "áéíóúýñãẽĩõũỹ", "hat": "àèéòôùâ", "hrv": "čćđšž",
    "hsb": "čćěłńóřšžź",
    "dsb": "čćěłńóŕśšžź", "sme": "áčđŋšŧž",
    "bre": "âêîôûäëïöüñùéà", "rup": "ãâîñ", "wln": "åâêîôûéèëç", "pcd": "éèëêœâîôùàïç",
    "hun": "áéíóöőúüű", "isl": "áéíóúýðþæö", "ita": "àèéìòóùî", "kmr": "çêîşû", "lij": "àâæçèéêëìîïòôöùûñ",
    "lim": "àâäèéêëïòóôöü", "lit": "ąčęėįšųūž", "lmo": "àâäçèéêëìîòóôöùûü", "ltg": "āčēģīķļņōšūž",
    "ltz": "äëéèêîôûöüâçß",
    "lvs": "āčēģīķļņōŗšūž", "mlt": "ċġħżàèìòùîé", "nld": "áéëïóöüèêç", "nno": "æøåéêóòôàè", "nob": "æøåéêóòôàè",
    "nso": "šêô", "oci": "àáèéíòóúçïüê", "pap": "áéèíóòúùñü", "pol": "ąćęłńóśźż", "por": "ãáàâçéêíóôõúü",
    "quy": "ñáéíóú", "ron": "ăâîșțşţ", "sag": "âêîôûäëïöü", "scn": "àèìòùâêîôûç", "slk": "áäčďéíĺľňóôŕšťúýž",
    "slv": "čšžćđ", "spa": "áéíóúñü", "srd": "àèìòùáéíóú", "srp_Latn": "čćđšž", "swe": "åäöéàü",
    "szl": "ąćęłńóśźżōŏãôõé",
    "tsn": "šêô", "tuk": "çäňöşüýž", "tur": "çğıöşüâîû", "uzn": "ʻʼ", "vec": "àèéìòóùłç", "vie": _VI, "wol": "àãéëñóŋô",
    "rus": _RU + "ё", "ukr": "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя", "bel": "абвгдеёжзійклмнопрстуўфхцчшыьэюя",
    "bul": "абвгдежзийклмнопрстуфхцчшщъьюя", "mkd": "абвгдѓежзѕијклљмнњопрстќуфхцчџш",
    "srp_Cyrl": "абвгдђежзијклљмнњопрстћуфхцчџш", "kaz": _RU + "ёәғқңөұүһі", "kir": _RU + "ёңөү",
    "tat": _RU + "ёәөүҗңһ",
    "bak": _RU + "ёәғҙҡңөҫүһ", "tgk": "абвгғдеёжзиӣйкқлмнопрстуӯфхҳцчҷшъьэюя", "khk": _RU + "ёөү",
}  # fmt: skip
"""Small letters beyond a to z by language, as the language model labels it; those not here write many."""

COMMON = frozenset("áéíóúñüçàèìòùâêîôûäëïöãõåøæœßýÿ")
"""Letters that many languages written in Latin share: what a language not in `LETTERS` most likely uses."""

FREQUENT = {
    "Hans": "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下"
    "自之年过发后作里用道行所然家种事成方多经么"
    "去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民"
    "第公此已工使情明性知全三又关点正业外将两高"
    "病药患血疗检医症食体治疼痛问",
    "Hant": "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下"
    "自之年過發後作裡用道行所然家種事成方多經麼"
    "去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日軍者意無力它與長把機十民"
    "第公此已工使情明性知全三又關點正業外將兩高"
    "病藥患血療檢醫症食體治疼痛問權利由",
    "Hang": "이다는에의가을고하한지로리기사도를자나어대시서인으아그일수정라해부게들전구보만원장적"
    "있주과여상제동스성국시조안선무경기비미용할"
    "생우면계회신공모든권질병환증치약",
}
"""Characters that make up a third and more of running text in Chinese and Korean, and a handful of garbage."""

BY_SCRIPT = {
    "Cyrl": ("аеоинтрсылвд", 0.6), "Grek": ("αοιετσνηυρπκςάόίέήύώ", 0.8), "Hebr": ("יוהלאתרבםשנמע", 0.7),
    "Arab": ("اليمنوترهبعدسیک", 0.7), "Thai": ("านรกอเงยลมวดท่้ัิีส", 0.7), "Armn": ("աներիտուկսմոհ", 0.65),
    "Geor": ("აიერსდომლნბვ", 0.7),
}  # fmt: skip
"""The letters that texts in a script are full of, and the least share they have (counted over SIB-200)."""
