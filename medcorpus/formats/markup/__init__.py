"""Readers of markup: what a document says, without how it looks."""
