"""Language identification: `normal` (what a model sees of a text), `model` (what is asked), `kernel` and `line`
(the same over Arrow buffers), `fasttext_file` (reading model files), `junk` (text that is no language, to train on),
`scoring` (how well texts were labelled).
"""
