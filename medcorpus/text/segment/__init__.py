"""Words and sentences, in every script, as byte offsets into the column they stand in: put together they are the text.

`sentences`  our own rules, always there: marks of all scripts, abbreviations, numbers, lines; Thai and Lao, which have
             no mark, by their spaces.
`words`      by blanks where a script has them; elsewhere by ICU's dictionaries (extra `segment`), or by clusters of
             characters when told so.

Why ICU, through icu4py (MIT, wheels of 16 MB for Python 3.11 and 3.12 on Linux and macOS; 1.2.0 of October
2026 brings ICU 78.3): one library knows all six scripts that need a dictionary, and picks it by script, so that a
Chinese name in an English text is cut as well. Word boundaries against 20 sentences a language cut by hand (12 for
Lao, Khmer, Burmese; tests/text/segment), F1, and MB of text a second on one core:

            ICU           the language's own library         clusters   every 2 (Han) or 3 characters
    zh      .980   5      rjieba .980, BudouX .802           .713       .524
    ja      .935   6      BudouX .493 (cuts phrases)         .745       .524
    th      .926  18      PyThaiNLP .887 (0.6 MB/s)          .441       .371
    lo      .942  15      LaoNLP .951 (0.4 MB/s)             .492       .381
    km      .906  17      khmercut .946 (0.1 MB/s)           .604       .349
    my      .932  13      -                                  .503       .418

Import takes 11 ms of CPU (PyThaiNLP 1.1 s, LaoNLP 0.9 s). Not taken: PyICU and icupy (no wheels), ICU4X (none for
Python), jieba (last release 2020), botok for Tibetan (fetches its dictionaries when first used).
"""
