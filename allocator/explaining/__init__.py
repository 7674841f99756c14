"""`nos-mig explain`: what would be decided for a Pod, or was, and why."""
