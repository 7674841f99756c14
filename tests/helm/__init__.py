"""The chart: rendered, and on a real API server; a package, so that its tests share one control plane."""
