"""Published tables beside ours: pages, tables, macros, figures."""
