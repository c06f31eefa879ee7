"""Verbs for developers; `make` calls them."""
