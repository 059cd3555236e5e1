"""The runs of a plan, trained and measured: in processes, on a cluster."""
