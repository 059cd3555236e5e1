"""What a study keeps on disk: runs, checkpoints, diagnoses, and their tables."""
