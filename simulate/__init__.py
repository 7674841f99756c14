"""`nos-mig simulate`: the allocator's own placement in virtual time, on traces and generated load; and policies to compare."""
