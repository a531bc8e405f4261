"""The data of a training step, settled before it starts: which tokens, in which order, in which row.

    template   a record becomes pieces of text, each supervised or not
    tokens     pieces become token files and a table of documents
    order      which documents, how often, in which order: mix, balance of languages, priority
    packing    documents become rows of `window` tokens
    items      exam questions as tokens
    build      all of it, written to a folder that `medcorpus.training.reader` reads

A plan is a pure function of documents, parameters and seed. It knows neither devices nor micro-batches, so a run may
go on with other ones, and where it stands is one integer: the step. Everything is decided by hashes of the documents'
ids, so the order of the input files means nothing.
"""
