"""The plan of a study: what will run, with identities, checked before anything trains."""
