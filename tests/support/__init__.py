"""What several subjects' tests share."""
