"""YAML to a typed plan: every problem at once, with file, line and the nearest right name.

yaml_lines   YAML with the line of every key and value
load         the file, its overrides (`--set`), the shipped recipes
compile      items to steps: parameters checked, inputs resolved, reasons bound, keys computed
"""
