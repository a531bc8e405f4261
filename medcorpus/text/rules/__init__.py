"""The quality rules that large corpora were made with: `published` (their limits), `figures` (the columns, one call),
and the walks over a text that count for them: `lines`, `c4`, `words`.
"""
