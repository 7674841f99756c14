"""The placement benchmark: the shipped engine beside every published policy, under references that no policy can pass."""
