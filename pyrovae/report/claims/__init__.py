"""The seed paper's claims: figures and the table of verdicts."""
