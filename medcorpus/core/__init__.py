"""The ground floor: the record, the five verbs, keys, manifests, the store, languages, errors, log.

Everything may import `core`; `core` imports nothing of the house. `errors`, `keys`, `languages`,
`log` and `shipped` need the standard library alone when imported, so that training can use them on a
machine without pydantic, typer or yaml.
"""
