"""Text in many scripts for property tests."""

from hypothesis import strategies as st

BLOCKS = {
    "latin": (0x20, 0x24F), "marks": (0x300, 0x36F), "vietnamese": (0x1EA0, 0x1EF9), "greek": (0x370, 0x3FF),
    "cyrillic": (0x400, 0x52F), "hebrew": (0x590, 0x5F4), "arabic": (0x600, 0x6FF), "forms": (0xFB1D, 0xFEFC),
    "nko": (0x7C0, 0x7FA), "hindi": (0x900, 0x97F), "bengali": (0x980, 0x9FE), "punjabi": (0xA00, 0xA76),
    "tamil": (0xB80, 0xBFA), "thai": (0xE00, 0xE5B), "tibetan": (0xF00, 0xFDA), "burmese": (0x1000, 0x109F),
    "georgian": (0x10A0, 0x10FF), "jamo": (0x1100, 0x11FF), "amharic": (0x1200, 0x137C),
    "cherokee": (0x13A0, 0x13FD), "khmer": (0x1780, 0x17F9), "punctuation": (0x2000, 0x206F),
    "letterlike": (0x2100, 0x218B), "kana": (0x3040, 0x30FF), "han": (0x4E00, 0x9FFF),
    "compatible": (0xF900, 0xFAD9), "hangul": (0xAC00, 0xD7A3), "wide": (0xFF00, 0xFFEF),
    "adlam": (0x1E900, 0x1E95F), "emoji": (0x1F300, 0x1F6FF), "far": (0x2F800, 0x2FA1D),
    "tags": (0xE0000, 0xE01EF), "control": (0x00, 0x1F),
}  # fmt: skip

PIECES = [
    "www.", "WWW.", "http://", "HTTPS://", "ftp://", "://", "@", "a@b.c", "A.b@C-d.ef.", ".", "_", "/", "{",
    "~", "\x7f", "Σ", "ΑΣ", "Σ'", "\u0130", "\u212a", "\u212b", "\u023a", "ß", "ẞ", "ǰ", "J\u030c", "0", "5",
    "٥", "½", "Ⅳ", "ª", " ", "\n", "\u2028", "\u00ad", "\u200b", "\u200c", "\u200d", "e\u0301",
    "o\u0302\u0323", "\u1ea1\u0302", "\u0301", "\u0958", "\u09df\u09cd", "\u0a36\u0a3c", "\u0f43", "\u0b5c",
    "\u0112\u032d", "가", "\u1100\u1161", "가\u11a8", "中", "国", "國", "の", "カ", "👩\u200d👧", "patient", "больной",
    "患者",
]  # fmt: skip

script = st.sampled_from(sorted(BLOCKS)).flatmap(
    lambda name: st.text(st.characters(min_codepoint=BLOCKS[name][0], max_codepoint=BLOCKS[name][1]), max_size=30)
)
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
text = st.lists(st.one_of(st.sampled_from(PIECES), st.sampled_from(PIECES), script, anything), max_size=12).map("".join)
texts = st.lists(text, min_size=1, max_size=8)
