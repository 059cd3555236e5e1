"""What everything else stands on: errors, names, schedules, seeds, parameters, noise, files."""
