"""What the command does, as Python calls."""
