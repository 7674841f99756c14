"""Who uses which slice: judged from four sources, and kept fresh."""
