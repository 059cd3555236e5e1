"""Studies: configuration, plan, execution, store and results."""
