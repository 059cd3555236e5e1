"""A study's file: from YAML to resolved runs, each error with its place."""
